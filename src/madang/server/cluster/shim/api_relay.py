"""The task's way to the API: HTTP on a loopback port inside, control's Unix socket outside.

Only the head of a request is read: the task's token goes in, whatever credentials were there go
out, and the rest is bytes. One request a connection (`Connection: close`): what follows the body
of the first is dropped, so that nothing reaches the API unseen.
"""

from __future__ import annotations

import errno
import json
import socket

from .loop import READ
from .pump import Pump
from .records import boottime_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .loop import Loop

FIRST_PORT = 29411
"""Below the kernel's range for outgoing connections, so that an adopter finds it free again."""
LAST_PORT = 31999

_HEAD_BYTES = 64 * 1024
_HEAD_TIMEOUT_S = 60.0
_AWAY_RETRY_S = 0.1
_AWAY_LIMIT_S = 15.0
_DROPPED = frozenset(
    {b"authorization", b"cookie", b"connection", b"keep-alive", b"proxy-authorization", b"upgrade"}
)


class BadRequest(Exception):
    """The head of a request can't be passed on; `status` says why."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


def rewrite_head(head: bytes, token: str) -> tuple[bytes, int | None]:
    """The head to send to the API, and how many bytes of body may follow (None: chunked).

    `head` ends with its empty line. Raises BadRequest.
    """
    request_line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    words = request_line.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        raise BadRequest("400 Bad Request", "this is not an HTTP/1 request")
    _refuse_internal(words[1])
    kept = [request_line]
    length: int | None = 0
    for line in lines:
        name = line.partition(b":")[0].strip().lower()
        if name == b"content-length" and length is not None:
            length = _content_length(line)
        elif name == b"transfer-encoding":
            length = None
        if name not in _DROPPED:
            kept.append(line)
    kept.append(b"Authorization: Bearer " + token.encode())
    kept.append(b"Connection: close")
    return b"\r\n".join(kept) + b"\r\n\r\n", length


def _content_length(line: bytes) -> int:
    value = line.partition(b":")[2].strip()
    if not value.isdigit():
        raise BadRequest("400 Bad Request", "Content-Length is not a number")
    return int(value)


def _refuse_internal(target: bytes) -> None:
    """What control and agents say to each other is not for tasks, however it is spelled."""
    path = target.decode("latin-1").partition("?")[0].partition("#")[0]
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2]
    while (decoded := _unquote(path)) != path:
        path = decoded
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts or (parts and parts[0].lower() == "internal"):
        raise BadRequest("403 Forbidden", "tasks may not call this address")


def _unquote(path: str) -> str:
    first, *escaped = path.split("%")
    for part in escaped:
        try:
            first += chr(int(part[:2], 16)) + part[2:]
        except ValueError:
            first += "%" + part
    return first


class ApiRelay:
    """Listens on `port` (0: the first free one) of the loopback interface of this namespace."""

    def __init__(self, loop: Loop, control_socket: str, token: str, port: int) -> None:
        self._loop = loop
        self._control_socket = control_socket
        self._token = token
        self._open: set[_Request | Pump] = set()
        self._listener = _listen(port)
        self.port: int = self._listener.getsockname()[1]
        loop.watch(self._listener.fileno(), READ, lambda events: self._accept())

    def close(self) -> None:
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()
        for connection in tuple(self._open):
            connection.close()
        self._open.clear()

    def _accept(self) -> None:
        try:
            near, _ = self._listener.accept()
        except OSError:
            return
        near.setblocking(False)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(_Request(self._loop, self, near))

    def pass_on(self, request: _Request, head: bytes, rest: bytes, length: int | None) -> None:
        """Connect to control; while it is away (it is being restarted) hold the request."""
        far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        far.setblocking(False)
        error = far.connect_ex(self._control_socket)
        if error:
            far.close()
            if error in (errno.EAGAIN, errno.ECONNREFUSED, errno.ENOENT) and (
                boottime_s() < request.received_s + _AWAY_LIMIT_S
            ):
                request.retry(_AWAY_RETRY_S, lambda: self.pass_on(request, head, rest, length))
            else:
                request.refuse("503 Service Unavailable", "the platform's server is away")
            return
        self._open.discard(request)
        first = rest if length is None else rest[:length]
        pump = Pump(
            self._loop,
            request.near,
            far,
            first=head + first,
            allowance=None if length is None else length - len(first),
            closed=self._open.discard,
        )
        if pump.open:
            self._open.add(pump)

    def forget(self, request: _Request) -> None:
        self._open.discard(request)

    def rewrite(self, head: bytes) -> tuple[bytes, int | None]:
        return rewrite_head(head, self._token)


class _Request:
    """A connection whose head is being read, or that waits for control."""

    def __init__(self, loop: Loop, relay: ApiRelay, near: socket.socket) -> None:
        self._loop = loop
        self._relay = relay
        self.near = near
        self._received = bytearray()
        self.received_s = boottime_s()
        self._timer = loop.call_later(_HEAD_TIMEOUT_S, self.close)
        loop.watch(near.fileno(), READ, lambda events: self._read())

    def close(self) -> None:
        self._timer.cancel()
        self._relay.forget(self)
        if self.near.fileno() >= 0:
            self._loop.unwatch(self.near.fileno())
            self.near.close()

    def retry(self, delay_s: float, action: object) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, action)  # type: ignore[arg-type]

    def refuse(self, status: str, message: str) -> None:
        body = json.dumps(
            {
                "type": "about:blank",
                "title": message,
                "status": int(status[:3]),
                "code": "unavailable" if status.startswith("503") else "forbidden",
            }
        ).encode()
        answer = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
        ).encode() + body
        try:
            self.near.send(answer)
            self.near.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.close()

    def _read(self) -> None:
        try:
            chunk = self.near.recv(_HEAD_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self._received += chunk
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if not chunk:
                self.close()
            elif len(self._received) > _HEAD_BYTES:
                self.refuse("431 Request Header Fields Too Large", "the headers are too long")
            return
        self._timer.cancel()
        self._loop.unwatch(self.near.fileno())
        self.received_s = boottime_s()
        head, rest = bytes(self._received[: end + 4]), bytes(self._received[end + 4 :])
        try:
            rewritten, length = self._relay.rewrite(head)
        except BadRequest as error:
            self.refuse(error.status, str(error))
            return
        self._relay.pass_on(self, rewritten, rest, length)


def _listen(port: int) -> socket.socket:
    candidates = [port] if port else range(FIRST_PORT, LAST_PORT)
    for candidate in candidates:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen(128)
        except OSError:
            listener.close()
            continue
        listener.setblocking(False)
        return listener
    raise OSError(errno.EADDRINUSE, f"no port of 127.0.0.1 is free in {list(candidates)[:1]}…")
