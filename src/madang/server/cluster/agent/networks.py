"""Network namespaces of tasks, one for each group of tasks on the node."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


class Networks:
    """Namespaces by group. The agent keeps a descriptor of each while a task of the group lives;
    the tasks' own processes hold it too, so it outlives the agent. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptors: dict[str, int] = {}

    def get(self, group: str) -> int:
        """The group's namespace, made when there is none, with its loopback interface up."""
        with self._lock:
            if group not in self._descriptors:
                self._descriptors[group] = _make_namespace()
            return self._descriptors[group]

    def adopt(self, group: str, pid: int) -> None:
        """Learn the group's namespace from one of its living processes."""
        with self._lock:
            if group not in self._descriptors:
                try:
                    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                except OSError:
                    return
                self._descriptors[group] = descriptor

    def release(self, group: str) -> None:
        """Let go of a group whose last task has ended."""
        with self._lock:
            descriptor = self._descriptors.pop(group, None)
        if descriptor is not None:
            os.close(descriptor)


def _make_namespace() -> int:
    """A namespace belongs to a thread: one is born for it, and dies."""
    result: list[int | OSError] = []

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            result.append(OSError(number, os.strerror(number)))
            return
        try:
            _bring_loopback_up()
            result.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    outcome = result[0]
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFFLAGS, request)
        flags = struct.unpack("16sH14s", answer)[1] | _IFF_UP
        fcntl.ioctl(probe.fileno(), _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags, b""))
