"""Asking the servers of this machine, with the standard library alone."""

from __future__ import annotations

import json
import socket
import tomllib
from typing import Any

from madang.core.settings import Settings
from madang.server.paths import StatePaths

_ANSWER_TIMEOUT_S = 10.0
_PROBE_TIMEOUT_S = 0.5
_TAIL_LINES = 12


def answers(server: str, settings: Settings, paths: StatePaths) -> bool:
    """Whether `control`, `gateway` or `agent` is there for its work."""
    if server == "control":
        return ask(paths, "GET", "/internal/v1/healthz", timeout_s=_PROBE_TIMEOUT_S) is not None
    if server == "gateway":
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return _connects(family, (host, settings.gateway_port))
    return _connects(socket.AF_UNIX, str(paths.agent_socket))


def ask(
    paths: StatePaths,
    method: str,
    path: str,
    token: str = "",
    timeout_s: float = _ANSWER_TIMEOUT_S,
) -> dict[str, Any] | None:
    """Control's JSON answer over its Unix socket; None without one, or for an error."""
    request = [f"{method} {path} HTTP/1.0", "Host: localhost", "Content-Length: 0"]
    if token:
        request.append(f"Authorization: Bearer {token}")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(paths.control_socket))
            connection.sendall("\r\n".join([*request, "", ""]).encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not status or not status[0].startswith(b"2"):
        return None
    found = json.loads(body)
    return found if isinstance(found, dict) else None


def login_link(paths: StatePaths) -> str:
    """A link that logs the local administrator in once; empty when control makes none."""
    token = str(tomllib.loads(paths.client_config.read_text())["token"])
    session = ask(paths, "GET", "/api/v1/auth/session", token)
    if session is None:
        return ""
    link = ask(paths, "POST", f"/api/v1/users/{session['user']['id']}/login-links", token)
    return str(link["url"]) if link else ""


def log_tail(paths: StatePaths, server: str, start: int = 0) -> str:
    """The last lines that a server wrote, from byte `start` of its log on."""
    path = paths.server_logs / f"{server}.log"
    written = path.read_bytes() if path.exists() else b""
    if start <= len(written):  # else it was rotated since
        written = written[start:]
    lines = written.decode(errors="replace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:]) or "(empty)"


def _connects(family: socket.AddressFamily, address: Any) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PROBE_TIMEOUT_S)
        try:
            connection.connect(address)
        except OSError:
            return False
        return True
