"""Bodies that are too large are refused before they are in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from madang.server.api.body_limit import MAX_BODY_BYTES
from tests.conftest import People

PIECE = bytes(2**20)
LOGIN = "/api/v1/auth/login"


@pytest.mark.parametrize("path", [LOGIN, "/api/v1/projects", "/api/v1/nothing"])
async def test_a_declared_length_is_refused_unread(sqlite_people: People, path: str) -> None:
    read: list[str] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(path)
        yield b""

    async with sqlite_people.client(None) as client:
        headers = {"Content-Length": str(MAX_BODY_BYTES + 1)}
        answer = await client.post(path, content=body(), headers=headers)
    assert read == []
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.json()["title"] == "the request is larger than 8MiB"


@pytest.mark.parametrize(
    ("path", "pieces_read"),
    [(LOGIN, 9), ("/internal/v1/tasks/task-1/reports", 65), ("/api/v1/tokens", 9)],
)
async def test_a_stream_is_refused_where_the_limit_is(
    sqlite_people: People, path: str, pieces_read: int
) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(80):
            sent += 1
            yield PIECE

    async with sqlite_people.client(None) as client:
        answer = await client.post(
            path, content=body(), headers={"Content-Type": "application/json"}
        )
    assert (answer.status_code, answer.json()["code"]) == (413, "limit_exceeded")
    assert sent == pieces_read


async def test_what_fits_and_what_has_limits_of_its_own_pass(sqlite_people: People) -> None:
    async with sqlite_people.client(None) as client:
        fits = await client.post(LOGIN, json={"name": "a" * 1000, "password": "b"})
        for method, path in (
            ("POST", "/api/v1/code"),
            ("POST", "/api/2.0/mlflow/runs/log-batch"),
            ("PUT", "/projects/vision/api/2.0/mlflow-artifacts/artifacts/1/a/model.bin"),
        ):
            answer = await client.request(method, path, content=PIECE * 9)
            assert answer.status_code == 401
    assert fits.status_code in (401, 422)
