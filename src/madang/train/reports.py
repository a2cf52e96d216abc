"""Telling the platform how training goes, without ever waiting for it.

A report is one line of JSON in a datagram to the task's socket (`MADANG_REPORT_SOCKET`):

    {"step": 12, "time": 1764000000.5, "rank": 0, "metrics": {"loss": 0.31}}
    {"step": 12, "time": 1764000001.0, "rank": 0, "saved": true}      a checkpoint is on disk
    {"time": 1764000000.0, "rank": 0, "total": 5000}                  how many steps there will be

The task's supervisor keeps it and brings it to the server, also when the server is away for a
while. When even the supervisor is away, reports wait here, up to a bound; then the oldest are
dropped, and the next line says how many (`"dropped": 7`).
"""

from __future__ import annotations

import atexit
import json
import math
import os
import socket
import sys
import threading
import time
from collections import deque
from typing import SupportsFloat

MAX_WAITING = 10_000
_END_S = 1.0
_PAUSE_S = 0.01
_RECONNECT_S = 1.0
_LONGEST_ADDRESS = 107


class Reporter:
    """Sends reports to one socket; `address` empty: nowhere. Safe to share between threads."""

    def __init__(self, address: str, *, max_waiting: int = MAX_WAITING) -> None:
        self._address = address
        self._waiting: deque[dict[str, object]] = deque()
        self._max_waiting = max_waiting
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._connect_after = 0.0
        self._untold = 0
        self.dropped = 0
        """Reports that were given up so far."""

    def report(self, step: int, rank: int, metrics: dict[str, float]) -> None:
        """Send or keep a report; returns at once."""
        numbers = {name: _plain(value) for name, value in metrics.items()}
        self.tell(rank, step=step, metrics=numbers)

    def tell(self, rank: int, **facts: object) -> None:
        """Send or keep a line with these facts; returns at once."""
        if not self._address:
            return
        line: dict[str, object] = {"time": time.time(), "rank": rank, **facts}
        with self._lock:
            if len(self._waiting) >= self._max_waiting:
                self._waiting.popleft()
                self.dropped += 1
                self._untold += 1
            self._waiting.append(line)
            self._send()

    def flush(self, timeout_s: float = _END_S) -> bool:
        """Try for up to `timeout_s` seconds to send what waits; whether nothing waits any more."""
        end = time.monotonic() + timeout_s
        while True:
            with self._lock:
                self._send()
                if not self._waiting:
                    return True
            if time.monotonic() >= end:
                return False
            time.sleep(_PAUSE_S)

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _send(self) -> None:
        while self._waiting:
            connected = self._connected()
            if connected is None:
                return
            line = self._waiting[0] | ({"dropped": self._untold} if self._untold else {})
            try:
                connected.send(json.dumps(line, separators=(",", ":")).encode())
            except BlockingIOError:
                return  # the supervisor is behind: with the next report
            except OSError:
                connected.close()  # it is away, or was started anew: connect again
                self._socket = None
                if self._connect_after > time.monotonic():
                    return
                continue
            self._waiting.popleft()
            self._untold = 0

    def _connected(self) -> socket.socket | None:
        if self._socket is not None:
            return self._socket
        now = time.monotonic()
        if now < self._connect_after:
            return None
        self._connect_after = now + _RECONNECT_S
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        made.setblocking(False)
        try:
            _connect(made, self._address)
        except OSError:
            made.close()
            return None
        self._socket = made
        return made


def _connect(made: socket.socket, address: str) -> None:
    if len(os.fsencode(address)) <= _LONGEST_ADDRESS:
        made.connect(address)
        return
    # Without a sandbox the address may be longer than the kernel takes.
    folder = os.open(os.path.dirname(address), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made.connect(f"/proc/self/fd/{folder}/{os.path.basename(address)}")
    finally:
        os.close(folder)


def report(step: int, **metrics: SupportsFloat) -> None:
    """Report numbers of a training step: `report(12, loss=loss.item(), accuracy=0.97)`.

    They show as curves on the job's page. Never waits and never fails for want of a listener;
    outside of a task it does nothing. Raises TypeError or ValueError for what is no number.
    """
    numbers = {name: float(value) for name, value in metrics.items()}
    reporter().report(int(step), _rank(), numbers)


def declare(total: SupportsFloat) -> None:
    """Say how many steps training takes in all, in the unit that `report` counts: `declare(5000)`.

    The scheduler then knows how far it is: shortest-first and goodput queues go by it, and waiting
    jobs are told when this one ends. Say it again when it changes. Raises ValueError for what is
    no positive number.
    """
    steps = float(total)
    if not math.isfinite(steps) or steps <= 0:
        raise ValueError(f"total is {total}: it must be a positive number of steps")
    reporter().tell(_rank(), total=steps)


def saved(step: int) -> None:
    """Say that the work up to `step` is on disk: who is stopped now loses what came after it.
    `Checkpoints.save` says it by itself."""
    reporter().tell(_rank(), step=int(step), saved=True)


def dropped_reports() -> int:
    """How many reports of this process were given up."""
    return reporter().dropped


def _rank() -> int:
    return int(os.environ.get("RANK") or 0)


def reporter() -> Reporter:
    """The one of this process."""
    global _reporter
    if _reporter is None:
        _reporter = Reporter(os.environ.get("MADANG_REPORT_SOCKET", ""))
        atexit.register(_at_end, _reporter)
        os.register_at_fork(after_in_child=_forget)
    return _reporter


_reporter: Reporter | None = None


def _forget() -> None:
    """A forked child has its own: what waits in its parent's is the parent's to send."""
    global _reporter
    _reporter = None


def _at_end(reporter: Reporter) -> None:
    if not reporter.flush():
        print("madang: some reports of this task could not be delivered", file=sys.stderr)
    if reporter.dropped:
        print(f"madang: {reporter.dropped} reports were dropped", file=sys.stderr)


def _plain(value: float) -> float | str:
    """JSON has no numbers for infinity and not-a-number: they go as words."""
    return value if math.isfinite(value) else str(value)
