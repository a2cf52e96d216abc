"""Sockets to listen on. Standard library alone: the supervisor uses it too."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from madang.core.errors import Conflict
from madang.core.settings import Settings
from madang.server.paths import StatePaths

_BACKLOG = 1024


@contextmanager
def listen(
    settings: Settings, paths: StatePaths, inherited: Sequence[int] = ()
) -> Iterator[list[socket.socket]]:
    """The TCP socket and the Unix socket of control: those inherited, else new ones.

    Raises Conflict when the port is taken.
    """
    if inherited:
        listeners = [socket.socket(fileno=descriptor) for descriptor in inherited]
        for listener in listeners:
            listener.set_inheritable(False)
    else:
        listeners = [
            listen_tcp(settings.host, settings.port, "port"),
            listen_unix(paths.control_socket),
        ]
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def listen_tcp(host: str, port: int, setting: str) -> socket.socket:
    """A listening TCP socket. Raises Conflict, naming `setting`, when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        flag = setting.replace("_", "-")
        raise Conflict(
            f"{host}:{port} can't be listened on: {os.strerror(error.errno or 0).lower()}",
            field=setting,
            hint=f"Choose another with --{flag}, or --{flag} 0 for a free one.",
        ) from None
    return listener


def listen_unix(path: Path) -> socket.socket:
    """A listening Unix socket that only this user may connect to; takes an old one's place."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(_BACKLOG)
    return listener
