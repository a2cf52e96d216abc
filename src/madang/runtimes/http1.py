"""A small HTTP/1.1 server: a thread for each connection, kept alive between requests.

It speaks to the platform's relay and knows what that needs: bodies by length or in chunks, no
trailers, no pipelining beyond what order gives. What it can't read it refuses and hangs up.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO

from madang.runtimes.tensors import RequestError

MAX_LINE_BYTES = 16 * 1024
MAX_HEADERS = 100
IDLE_S = 120.0
"""Longer than the relay keeps an idle connection: it must be the one to hang up."""


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` have lower-case names. `path` is without its query, still percent-encoded."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Response]


def json_response(status: int, value: object) -> Response:
    return Response(status, json.dumps(value).encode())


class Server:
    """Listens at once; `serve` answers until `stop` has been called and all is answered."""

    def __init__(self, address: tuple[str, int], handler: Handler, *, max_body_bytes: int) -> None:
        self._handler = handler
        self._max_body_bytes = max_body_bytes
        self._socket = socket.create_server(address, backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._idle: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()

    def serve(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:  # `stop` has shut the socket down
                break
            thread = threading.Thread(target=self._talk, args=(connection,), daemon=True)
            with self._lock:
                self._threads.add(thread)
            thread.start()
        self._socket.close()
        self._hang_up_idle()
        for thread in list(self._threads):
            thread.join()

    def stop(self) -> None:
        """Take no new connections and let `serve` end; safe in a signal handler."""
        self._stopping.set()
        self._socket.shutdown(socket.SHUT_RDWR)

    def _hang_up_idle(self) -> None:
        with self._lock:
            for connection in self._idle:
                # The thread that reads from it sees its end.
                connection.shutdown(socket.SHUT_RD)

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(IDLE_S)
                while self._talk_once(connection, stream):
                    pass
        except (OSError, ValueError):
            pass  # it hung up, or said nothing for too long
        finally:
            with self._lock:
                self._idle.discard(connection)
                self._threads.discard(threading.current_thread())

    def _talk_once(self, connection: socket.socket, stream: BinaryIO) -> bool:
        """Answer one request; whether the connection can be used for another."""
        with self._lock:
            if self._stopping.is_set():
                return False
            self._idle.add(connection)
        first = stream.readline(MAX_LINE_BYTES + 1)
        with self._lock:
            self._idle.discard(connection)
        if not first:
            return False
        try:
            method, path, version = _request_line(first)
            headers = _headers(stream)
            if headers.get("expect", "").lower() == "100-continue":
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = _body(stream, headers, self._max_body_bytes)
        except RequestError as error:
            # Where its body ends is not known, so nothing after it can be read.
            _send(connection, json_response(error.status, {"error": str(error)}), close=True)
            return False
        response = self._handler(Request(method, path, headers, body))
        close = (
            self._stopping.is_set()
            or version == "HTTP/1.0"
            or "close" in headers.get("connection", "").lower()
        )
        _send(connection, response, close=close, with_body=method != "HEAD")
        return not close


def _request_line(line: bytes) -> tuple[str, str, str]:
    words = line.decode("latin-1").rstrip("\r\n").split(" ")
    if len(words) != 3 or not line.endswith(b"\n") or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise RequestError("this is not an HTTP/1.1 request")
    return words[0], words[1].partition("?")[0], words[2]


def _headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = stream.readline(MAX_LINE_BYTES + 1)
        if line in (b"\r\n", b"\n"):
            return headers
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not line.endswith(b"\n") or name != name.strip():
            raise RequestError("a header can't be read")
        name = name.lower()
        if name in headers and name in ("content-length", "transfer-encoding"):
            raise RequestError(f"the header {name} is there twice")
        headers[name] = value.strip()
    raise RequestError(f"there are more than {MAX_HEADERS} headers")


def _body(stream: BinaryIO, headers: dict[str, str], max_bytes: int) -> bytes:
    length, encoding = headers.get("content-length"), headers.get("transfer-encoding")
    if encoding is not None:
        if encoding.lower() != "chunked" or length is not None:
            raise RequestError("the body's length is ambiguous")
        return _chunks(stream, max_bytes)
    if length is None:
        return b""
    if not (length.isascii() and length.isdecimal()):
        raise RequestError(f"Content-Length {length!r} is not a number")
    return _exactly(stream, _checked(int(length[:20]), max_bytes))


def _chunks(stream: BinaryIO, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    total = 0
    while True:
        line = stream.readline(MAX_LINE_BYTES + 1).partition(b";")[0].strip()
        try:
            size = int(line[:16], 16)
        except ValueError:
            raise RequestError("a chunk of the body has no size") from None
        if size < 0:
            raise RequestError("a chunk of the body has no size")
        total = _checked(total + size, max_bytes)
        if size == 0:
            while stream.readline(MAX_LINE_BYTES + 1) not in (b"\r\n", b"\n", b""):
                pass
            return b"".join(chunks)
        chunks.append(_exactly(stream, size))
        stream.readline(3)


def _checked(size: int, max_bytes: int) -> int:
    if size > max_bytes:
        raise RequestError(f"the body has {size} bytes or more; at most {max_bytes} are taken")
    return size


def _exactly(stream: BinaryIO, size: int) -> bytes:
    body = stream.read(size)
    if len(body) != size:
        raise OSError("the connection ended within a body")
    return body


def _send(
    connection: socket.socket, response: Response, *, close: bool, with_body: bool = True
) -> None:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        *(f"{name}: {value}" for name, value in response.headers),
        *(["Connection: close"] if close else []),
    ]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    connection.sendall(head + response.body if with_body else head)
    if close:
        connection.shutdown(socket.SHUT_WR)
