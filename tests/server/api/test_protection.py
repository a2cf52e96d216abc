"""Which hosts are answered, and the headers of each answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from madang.core.settings import Settings
from madang.server.api.protection import Protection
from madang.server.hosts import allowed_hosts, is_our_host
from tests.conftest import People

SETTINGS = Settings(state_dir=Path("/nowhere"), public_url="https://ml.example")


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost:8642", True),
        ("127.0.0.1:8642", True),
        ("[::1]:8642", True),
        ("192.168.0.7:8642", True),
        ("ML.example", True),
        ("evil.test:8642", False),
        ("localhost.evil.test", False),
        ("", False),
        ("[", False),
        ("127.0.0.1.evil.test", False),
        ("evil.test@127.0.0.1", False),
    ],
)
def test_hosts(host: str, ours: bool) -> None:
    assert is_our_host(host, allowed_hosts(SETTINGS)) is ours


async def test_foreign_hosts_are_refused(sqlite_people: People) -> None:
    async with sqlite_people.client("admin") as client:
        foreign = await client.get("http://evil.test:8642/api/v1/projects")
        ours = await client.get("http://127.0.0.1:8642/api/v1/projects")
    assert (foreign.status_code, ours.status_code) == (421, 200)


async def test_headers(sqlite_people: People) -> None:
    async with sqlite_people.client(None) as client:
        for path in ("/api/v1/health", "/api/v1/projects", "/api/v1/nothing"):
            headers = (await client.get(path)).headers
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        ("http://127.0.0.1:8642", 101),
        ("https://ml.example", 101),
        ("http://127.0.0.1:8643", 403),
        ("http://evil.test", 403),
        ("https://ml.example.evil.test", 403),
        ("null", 403),
    ],
)
@pytest.mark.parametrize("kind", ["websocket", "http"])
async def test_only_our_pages_hold_connections(origin: str | None, status: int, kind: str) -> None:
    sent: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sent.append(101)

    async def send(message: Message) -> None:
        if message["type"].endswith("response.start"):
            sent.append(message["status"])

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    headers = [(b"host", b"127.0.0.1:8642")]
    headers += [(b"origin", origin.encode())] if origin else []
    scope = {
        "type": kind,
        "path": "/_nicegui_ws/socket.io/",
        "headers": headers,
        "extensions": {"websocket.http.response": {}},
    }
    await Protection(app, SETTINGS)(scope, receive, send)
    assert sent == [status]
