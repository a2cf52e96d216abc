"""Carrying bytes both ways between two sockets."""

from __future__ import annotations

import os
import socket

from .loop import READ, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop

_CHUNK_BYTES = 128 * 1024
_BUFFER_BYTES = 256 * 1024


class _Direction:
    """From `source` to `target`. `allowance` is how many bytes may pass, None for any number;
    what comes after them is read and dropped."""

    def __init__(
        self, source: socket.socket, target: socket.socket, first: bytes, allowance: int | None
    ) -> None:
        self.source = source
        self.target = target
        self.buffer = bytearray(first)
        self.allowance = allowance
        self.source_ended = False
        self.ended = False
        self.broken = False

    @property
    def wants_read(self) -> bool:
        return not self.source_ended and len(self.buffer) < _BUFFER_BYTES

    def read(self) -> None:
        try:
            chunk = self.source.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.source_ended = True
            return
        if self.allowance is not None:
            chunk = chunk[: self.allowance]
            self.allowance -= len(chunk)
        self.buffer += chunk

    def write(self) -> None:
        try:
            if self.buffer:
                del self.buffer[: self.target.send(self.buffer)]
            if self.source_ended and not self.buffer and not self.ended:
                self.ended = True
                self.target.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            # The target takes no more, but may have answered already (a refused upload): what
            # still comes is dropped, and the other direction goes on.
            self.broken = True
            self.allowance = 0
            self.buffer.clear()
            self.ended = self.source_ended


class Pump:
    """Owns two sockets and closes both when both directions have ended or one has failed.

    A half-close is passed on: the other direction goes on. `first` goes to `far` before anything
    that `near` sends.
    """

    def __init__(
        self,
        loop: Loop,
        near: socket.socket,
        far: socket.socket,
        *,
        first: bytes = b"",
        allowance: int | None = None,
        closed: Callable[[Pump], None],
    ) -> None:
        self._loop = loop
        self._closed = closed
        self._there = _Direction(near, far, first, allowance)
        self._back = _Direction(far, near, b"", None)
        near.setblocking(False)
        far.setblocking(False)
        self._advance()

    def close(self) -> None:
        for side in (self._there.source, self._there.target):
            if side.fileno() >= 0:
                self._loop.unwatch(side.fileno())
                side.close()

    @property
    def open(self) -> bool:
        return self._there.source.fileno() >= 0

    def _handle(self, side: socket.socket, events: int) -> None:
        outgoing = self._there if side is self._there.source else self._back
        if events & ~WRITE and outgoing.wants_read:
            outgoing.read()
        self._advance()

    def _advance(self) -> None:
        there, back = self._there, self._back
        there.write()
        back.write()
        if (there.ended or there.broken) and (back.ended or back.broken):
            self.close()
            self._closed(self)
            return
        self._watch(there, back)
        self._watch(back, there)

    def _watch(self, outgoing: _Direction, incoming: _Direction) -> None:
        side = outgoing.source
        mask = (READ if outgoing.wants_read else 0) | (WRITE if incoming.buffer else 0)
        self._loop.watch(side.fileno(), mask, lambda events: self._handle(side, events))


def listen_unix(path: str, mode: int) -> socket.socket:
    """A listening stream socket at `path`, in place of what was there."""
    if os.path.lexists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_mask = os.umask(0o777 & ~mode)
    try:
        listener.bind(path)
    finally:
        os.umask(old_mask)
    listener.listen(128)
    listener.setblocking(False)
    return listener


class AppRelay:
    """Takes connections on a Unix socket to a port inside the task's network."""

    def __init__(self, loop: Loop, path: str, port: int) -> None:
        self._loop = loop
        self._port = port
        self._pumps: set[Pump] = set()
        self._listener = listen_unix(path, 0o600)
        loop.watch(self._listener.fileno(), READ, lambda events: self._accept())

    def close(self) -> None:
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()
        for pump in self._pumps:
            pump.close()
        self._pumps.clear()

    def _accept(self) -> None:
        try:
            near, _ = self._listener.accept()
        except OSError:
            return
        far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        far.setblocking(False)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A refused connection shows at the first read, which closes the near side.
        far.connect_ex(("127.0.0.1", self._port))
        pump = Pump(self._loop, near, far, closed=self._pumps.discard)
        if pump.open:
            self._pumps.add(pump)
