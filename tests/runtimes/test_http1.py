"""The small HTTP server: keeping connections, refusing what is ambiguous, ending in order."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from madang.runtimes.http1 import Request, Response, Server, json_response
from tests.runtimes.conftest import Listening, tensor

BODY = json.dumps({"inputs": [tensor([1, 2, 3], [1, 3])]})
INFER = "/v2/models/digits/infer"


def test_a_connection_is_kept(listening: Listening) -> None:
    connection = listening.connect()
    for _ in range(3):
        connection.request("POST", INFER, BODY)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["outputs"][0]["data"]) == (200, [6.0])
    assert connection.sock is not None
    connection.request("GET", "/v2", headers={"Connection": "close"})
    assert connection.getresponse().read()
    assert connection.sock is None


def test_a_body_in_chunks(listening: Listening) -> None:
    connection = listening.connect()
    pieces = [BODY[:7].encode(), BODY[7:].encode()]
    connection.request("POST", INFER, iter(pieces), encode_chunked=True)
    assert connection.getresponse().read()
    connection.request("GET", "/v2/health/ready")
    assert connection.getresponse().status == 200


def test_head_has_no_body(listening: Listening) -> None:
    connection = listening.connect()
    connection.request("HEAD", "/v2")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    connection.request("GET", "/v2")
    assert connection.getresponse().status == 200


def test_many_at_once(listening: Listening) -> None:
    answers: list[int] = []

    def ask() -> None:
        connection = listening.connect()
        for _ in range(20):
            connection.request("POST", INFER, BODY)
            answer = connection.getresponse()
            answer.read()
            answers.append(answer.status)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 160


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"hello\r\n\r\n",
        b"GET /v2 HTTP/3\r\n\r\n",
        b"GET " + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"GET /v2 HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    ],
)
def test_what_can_not_be_read_is_refused_in_words(
    listening: Listening, request_bytes: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", listening.server.port), timeout=10) as client:
        client.sendall(request_bytes)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]


def test_a_stop_waits_for_what_is_under_way_and_hangs_up_on_the_idle() -> None:
    began, release = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        if request.path == "/slow":
            began.set()
            release.wait(10)
        return json_response(200, {"path": request.path})

    server = Server(("127.0.0.1", 0), slow, max_body_bytes=1000)
    serving = threading.Thread(target=server.serve)
    serving.start()
    listening = Listening(server)
    idle, busy = listening.connect(), listening.connect()
    idle.request("GET", "/quick")
    idle.getresponse().read()
    busy.request("GET", "/slow")
    began.wait(10)
    server.stop()
    assert idle.sock.recv(1) == b""
    release.set()
    answer = busy.getresponse()
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    answer.read()
    serving.join(10)
    assert not serving.is_alive()
    with pytest.raises(ConnectionRefusedError):
        listening.connect().connect()
    listening.close()
