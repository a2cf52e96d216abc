"""What user code reports (loss, accuracy…): from its socket into a spool, from there to control.

User code sends datagrams of JSON lines to `MADANG_REPORT_SOCKET`. Good lines are appended to
`reports.<number of its first line>`; batches go to

    POST /internal/v1/tasks/{task}/reports    {"attempt", "offset", "lines"}

where `offset` is the number of the first line: control skips the lines that it has already. What
was acknowledged is in `reports.sent`, so that a later shim goes on where this one stopped.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from itertools import pairwise

from . import records
from .loop import READ, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop, Timer

LINE_BYTES = 64 * 1024

MAX_HELD_BYTES = 64 * 2**20
"""Of reports that control has not taken yet, per task; further ones are dropped."""

_PREFIX = "reports."
_DATAGRAM_BYTES = 1 << 20
_DATAGRAMS_AT_ONCE = 16
"""Before the loop looks at its other descriptors: a task that never pauses shall not keep the shim
from its log, its limits and its end."""
_MAX_NOTES = 100
_SEGMENT_BYTES = 1 << 20
_BATCH_LINES = 1000
_BATCH_BYTES = 1 << 20
_PAUSE_S = 0.05
_RETRY_S = (0.1, 0.2, 0.5, 1.0)
_ANSWER_TIMEOUT_S = 30.0


def split_lines(datagram: bytes) -> tuple[list[bytes], list[str]]:
    """The good lines of a datagram, and for each bad one what is wrong with it."""
    good: list[bytes] = []
    bad: list[str] = []
    for line in datagram.split(b"\n"):
        if not line.strip():
            continue
        if len(line) > LINE_BYTES:
            bad.append(f"it has {len(line)} bytes, the limit is {LINE_BYTES}")
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            bad.append(f"it is not JSON: {error}")
            continue
        if isinstance(value, dict):
            good.append(line)
        else:
            bad.append("it is not a JSON object")
    return good, bad


def has_unsent(folder: str) -> bool:
    """Whether a task's folder holds reports that control has not acknowledged."""
    if not any(name[len(_PREFIX) :].isdigit() for name in os.listdir(folder) if _PREFIX in name):
        return False
    spool = Spool(folder)
    spool.close()
    return spool.sent < spool.end


class Spool:
    """The lines of a task, numbered from 0, in segments that are dropped once sent."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.sent: int = (records.read_json(folder, records.SENT) or {"lines": 0})["lines"]
        starts = self._segments()
        self._start = starts[-1] if starts else self.sent
        self._file = self._open()
        self._bytes = self._cut_torn_line()
        self._held_bytes = sum(os.stat(self._path(start)).st_size for start in self._segments())
        self.end = self._start + self._count(self._start)

    def close(self) -> None:
        os.close(self._file)

    @property
    def full(self) -> bool:
        return self._held_bytes >= MAX_HELD_BYTES

    def append(self, lines: list[bytes]) -> None:
        """Keep them. Raises OSError when the disk is full, after which none of them is kept."""
        if self._bytes >= _SEGMENT_BYTES:
            os.close(self._file)
            self._start, self._bytes = self.end, 0
            self._file = self._open()
        text = b"".join(line + b"\n" for line in lines)
        written = os.write(self._file, text)
        if written < len(text):
            os.ftruncate(self._file, self._bytes)
            raise OSError(errno.ENOSPC, "No space left on device")
        self._bytes += written
        self._held_bytes += written
        self.end += len(lines)

    def batch(self) -> list[bytes]:
        """The next lines to send, from number `sent` on."""
        start = max((s for s in self._segments() if s <= self.sent), default=None)
        if start is None:
            return []
        with open(self._path(start), "rb") as file:
            for _ in range(self.sent - start):
                file.readline()
            lines: list[bytes] = []
            size = 0
            while len(lines) < _BATCH_LINES and size < _BATCH_BYTES and (line := file.readline()):
                lines.append(line.rstrip(b"\n"))
                size += len(line)
        return lines

    def acknowledge(self, count: int) -> None:
        self.sent += count
        records.write_json(self._folder, records.SENT, {"lines": self.sent}, durable=False)
        starts = self._segments()
        for start, following in pairwise(starts):
            if following <= self.sent:
                self._held_bytes -= os.stat(self._path(start)).st_size
                os.unlink(self._path(start))

    def _segments(self) -> list[int]:
        names = (name[len(_PREFIX) :] for name in os.listdir(self._folder) if _PREFIX in name)
        return sorted(int(name) for name in names if name.isdigit())

    def _path(self, start: int) -> str:
        return os.path.join(self._folder, f"{_PREFIX}{start}")

    def _open(self) -> int:
        return os.open(self._path(self._start), os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def _cut_torn_line(self) -> int:
        """Drop the half line that a kill during `append` may have left; returns the size."""
        size = os.fstat(self._file).st_size
        whole = os.pread(self._file, size, 0).rfind(b"\n") + 1
        if whole < size:
            os.ftruncate(self._file, whole)
        return whole

    def _count(self, start: int) -> int:
        with open(self._path(start), "rb") as file:
            return sum(1 for _ in file)


class Reports:
    """Takes reports from the socket and delivers them in order, retrying until control answers."""

    def __init__(
        self,
        loop: Loop,
        receiver: socket.socket | None,
        spool: Spool,
        *,
        control_socket: str,
        task_id: str,
        attempt: int,
        token: str,
        note: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._receiver = receiver
        self._spool = spool
        self._control_socket = control_socket
        self._url = f"/internal/v1/tasks/{task_id}/reports"
        self._attempt = attempt
        self._token = token
        self._note = note
        self._timer: Timer | None = None
        self._post: Post | None = None
        self._failures = 0
        self._refused = False
        self._dropping = False
        self._notes = 0
        self.when_idle: Callable[[], None] | None = None
        if receiver is not None:
            receiver.setblocking(False)
            loop.watch(receiver.fileno(), READ, lambda events: self.receive())
        self._send_soon(0.0)

    @property
    def delivered(self) -> bool:
        """Control has all of them, or wants no more from this task."""
        return self._refused or self._spool.sent >= self._spool.end

    @property
    def failing(self) -> bool:
        return self._failures > 0

    def close_receiver(self) -> None:
        """Take what still waits in the socket, then close it."""
        if self._receiver is not None:
            while self._receive_some():
                pass
            self._loop.unwatch(self._receiver.fileno())
            self._receiver.close()
            self._receiver = None

    def receive(self) -> None:
        """Take some of what waits in the socket; the loop calls again for the rest."""
        self._receive_some()
        self._send_soon(_PAUSE_S)

    def _receive_some(self) -> bool:
        """False once nothing is left."""
        assert self._receiver is not None
        for _ in range(_DATAGRAMS_AT_ONCE):
            try:
                datagram = self._receiver.recv(_DATAGRAM_BYTES)
            except BlockingIOError:
                return False
            self._keep(datagram)
        return True

    def _keep(self, datagram: bytes) -> None:
        if self._spool.full:
            if not self._dropping:
                held = MAX_HELD_BYTES >> 20
                self._note(f"reports are dropped: {held} MiB of them wait for the server already")
            self._dropping = True
            return
        good, bad = split_lines(datagram)
        for problem in bad[: _MAX_NOTES - self._notes]:
            self._notes += 1
            last = "; further ones are not noted" if self._notes == _MAX_NOTES else ""
            self._note(f"a report was dropped: {problem}{last}")
        if good:
            try:
                self._spool.append(good)
            except OSError as error:
                self._note(f"a report was dropped: {error.strerror}")

    def _send_soon(self, delay_s: float) -> None:
        if self._timer is None and self._post is None:
            if self.delivered:
                self._dropping = False
                self._tell_idle()
            else:
                self._timer = self._loop.call_later(delay_s, self._send)

    def _send(self) -> None:
        self._timer = None
        lines = self._spool.batch()
        body = b'{"attempt": %d, "offset": %d, "lines": [%s]}' % (
            self._attempt,
            self._spool.sent,
            b", ".join(lines),
        )
        self._post = Post(
            self._loop,
            self._control_socket,
            self._url,
            self._token,
            body,
            lambda status: self._answered(status, len(lines)),
        )
        self._post.start()

    def _answered(self, status: int, count: int) -> None:
        self._post = None
        if 200 <= status < 300:
            self._failures = 0
            self._spool.acknowledge(count)
            self._send_soon(_PAUSE_S if count < _BATCH_LINES else 0.0)
        elif status in (400, 413, 422):
            self._note(f"{count} reports were dropped: the server answered {status}")
            self._spool.acknowledge(count)
            self._send_soon(_PAUSE_S)
        elif 400 <= status < 500 and status not in (408, 425, 429):
            # This attempt is over for control: nobody wants them any more.
            self._refused = True
            self._tell_idle()
        else:
            delay_s = _RETRY_S[min(self._failures, len(_RETRY_S) - 1)]
            self._failures += 1
            self._send_soon(delay_s)
            self._tell_idle()

    def _tell_idle(self) -> None:
        if self.when_idle is not None:
            self.when_idle()


class Post:
    """One HTTP POST on a Unix socket; `answered(status)`, 0 when there was no answer."""

    def __init__(
        self,
        loop: Loop,
        address: str,
        url: str,
        token: str,
        body: bytes,
        answered: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._address = address
        self._answered = answered
        self._unsent = (
            f"POST {url} HTTP/1.1\r\nHost: madang\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        ).encode() + body
        self._received = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._timer = loop.call_later(_ANSWER_TIMEOUT_S, lambda: self._finish(0))

    def start(self) -> None:
        if self._socket.connect_ex(self._address):
            self._finish(0)
        else:
            self._loop.watch(self._socket.fileno(), WRITE, lambda events: self._step())

    def _step(self) -> None:
        try:
            if self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
                if not self._unsent:
                    self._loop.watch(self._socket.fileno(), READ, lambda events: self._step())
                return
            chunk = self._socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
            self._unsent = b""
        self._received += chunk
        words = bytes(self._received).partition(b"\r\n")
        if words[1]:
            self._finish(int(words[0].split()[1]))
        elif not chunk:
            self._finish(0)

    def _finish(self, status: int) -> None:
        self._timer.cancel()
        if self._socket.fileno() >= 0:
            self._loop.unwatch(self._socket.fileno())
            self._socket.close()
        self._answered(status)
