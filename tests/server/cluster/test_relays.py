"""The shim's relays: from the task to the API, from the gateway to the task's app."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from madang.server.cluster.shim.api_relay import BadRequest, rewrite_head
from madang.testing.agents import task_spec
from tests.server.cluster.conftest import Node, boxed

CALL = """
import http.client, json, os, sys, urllib.parse
host = urllib.parse.urlsplit(os.environ["MADANG_API_URL"]).netloc
def call(method, path, body=None, headers={}):
    connection = http.client.HTTPConnection(host)
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()
"""

ECHO_APP = """
import socket
listener = socket.create_server(("127.0.0.1", 7000))
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    connection.sendall(b"got %d " % len(received) + received[:10])
    connection.close()
"""


def script(text: str) -> tuple[str, ...]:
    return ("python", "-c", CALL + text)


async def call_and_log(node: Node, text: str) -> list[Any]:
    ended = await node.run(task_spec("task-1", *script(text)))
    assert ended["exit_code"] == 0, node.log("task-1")
    return [json.loads(line) for line in node.log("task-1").splitlines()]


async def test_requests_get_the_tasks_token_and_lose_other_credentials(node: Node) -> None:
    (answer,) = await call_and_log(
        node,
        'print(call("GET", "/api/v1/jobs?limit=2", headers={"Authorization": "Bearer stolen",'
        ' "Cookie": "session=stolen", "X-Other": "kept"})[1].decode())',
    )
    assert answer["path"] == "/api/v1/jobs?limit=2"
    assert answer["headers"]["authorization"] == "Bearer token-of-task-1"
    assert answer["headers"]["x-other"] == "kept"
    assert "cookie" not in answer["headers"]


async def test_bodies_stream_through(node: Node) -> None:
    lengths = await call_and_log(
        node,
        'body = b"x" * 5_000_000\n'
        'print(len(json.loads(call("PUT", "/files", body)[1])["body"]))\n'
        'chunks = (b"y" * 100_000 for _ in range(30))\n'
        'print(len(json.loads(call("POST", "/files", chunks)[1])["body"]))\n',
    )
    assert lengths == [5_000_000, 3_000_000]


@pytest.mark.parametrize(
    "path",
    [
        *("/internal/v1/nodes/a/sync", "//internal/x", "/%69nternal/x", "/%2569nternal/x"),
        *("/api/../internal/x", "/./internal", "/INTERNAL/x", "http://control/internal/x"),
        *("/api/%2e%2e/internal/x", "/internal"),
    ],
)
def test_internal_addresses_are_refused_however_spelled(path: str) -> None:
    with pytest.raises(BadRequest, match="may not call"):
        rewrite_head(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), "t")


@pytest.mark.parametrize("path", ["/api/v1/internal", "/internals", "/", "/a?b=/internal/"])
def test_other_addresses_are_not(path: str) -> None:
    head, length = rewrite_head(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), "t")
    assert head.startswith(f"GET {path} HTTP/1.1\r\n".encode())
    assert length == 0


def test_the_head_of_a_request_says_how_much_may_follow() -> None:
    assert rewrite_head(b"POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n", "t")[1] == 7
    assert rewrite_head(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "t")[1] is None
    with pytest.raises(BadRequest, match="not a number"):
        rewrite_head(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "t")
    with pytest.raises(BadRequest, match="not an HTTP"):
        rewrite_head(b"\x16\x03\x01\x02\r\n\r\n", "t")


async def test_a_second_request_on_the_same_connection_goes_nowhere(node: Node) -> None:
    lines = await call_and_log(
        node,
        "import socket\n"
        'host, port = host.split(":")\n'
        "s = socket.create_connection((host, int(port)))\n"
        's.sendall(b"GET /first HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" * 2)\n'
        'text = b"".join(iter(lambda: s.recv(65536), b""))\n'
        'print(text.count(b"HTTP/1.1 200"))\n',
    )
    assert lines == [1]


async def test_a_request_waits_while_control_restarts(node: Node) -> None:
    await node.control.run(
        task_spec("task-1", *script('input\nprint("go", flush=True)\nprint(call("GET", "/")[0])'))
    )
    await node.control.until_running("task-1")
    await node.control.stop_serving()
    await node.until_log("task-1", "go")
    await asyncio.sleep(0.2)
    await node.control.start()
    await node.control.until_exited("task-1")
    assert node.log("task-1").splitlines()[-1] == "200"


async def exchange(path: str, message: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(message)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.root
async def test_an_app_is_reached_by_its_unix_socket_alone(node: Node) -> None:
    await node.control.run(boxed("task-1", "python", "-c", ECHO_APP, app_port=7000))
    await node.until_log("task-1", "listening")
    path = node.paths.app_socket("task-1")
    assert path.stat().st_mode & 0o777 == 0o600
    assert await exchange(str(path), b"hello") == b"got 5 hello"
    big = b"z" * 3_000_000
    answers = await asyncio.gather(*(exchange(str(path), big) for _ in range(8)))
    assert answers == [b"got 3000000 zzzzzzzzzz"] * 8
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 7000))


async def test_a_connection_to_an_app_that_does_not_listen_ends(node: Node) -> None:
    await node.control.run(task_spec("task-1", "sleep", "60", app_port=7999))
    await node.control.until_running("task-1")
    assert await exchange(str(node.paths.app_socket("task-1")), b"hello") == b""


@pytest.mark.root
async def test_tasks_of_a_group_share_a_network(node: Node) -> None:
    await node.control.run(
        boxed("task-1", "python", "-c", ECHO_APP, network_group="gang"),
    )
    await node.until_log("task-1", "listening")
    knock = (
        "import socket; s = socket.create_connection(('127.0.0.1', 7000));"
        "s.sendall(b'hi'); s.shutdown(1); print(s.recv(99).decode())"
    )
    await node.control.run(
        boxed("task-2", "python", "-c", knock, network_group="gang"),
        boxed("task-3", "python", "-c", knock, network_group="other"),
    )
    await node.control.until_exited("task-2")
    await node.control.until_exited("task-3")
    assert node.log("task-2") == "got 2 hi\n"
    assert "ConnectionRefusedError" in node.log("task-3")
