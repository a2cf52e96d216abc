"""Code is taken in from a few at a time, and nobody can take all the places."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from madang.core.errors import RateLimited
from madang.server.context import ServerContext
from madang.server.workloads import code_uploads
from madang.server.workloads.code_uploads import AT_ONCE, AT_ONCE_EACH, upload_slot


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_uploads, "PATIENCE_S", 0.05)


async def test_one_user_leaves_places_to_others(sqlite_context: ServerContext) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(AT_ONCE_EACH):
            await stack.enter_async_context(upload_slot(sqlite_context, "mina"))
        with pytest.raises(RateLimited):
            await stack.enter_async_context(upload_slot(sqlite_context, "mina"))
        await stack.enter_async_context(upload_slot(sqlite_context, "juno"))


async def test_so_many_in_all(sqlite_context: ServerContext) -> None:
    async with AsyncExitStack() as stack:
        for number in range(AT_ONCE):
            await stack.enter_async_context(upload_slot(sqlite_context, f"user-{number}"))
        with pytest.raises(RateLimited):
            await stack.enter_async_context(upload_slot(sqlite_context, "late"))


async def test_who_waits_gets_the_place_that_becomes_free(
    sqlite_context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_uploads, "PATIENCE_S", 10)
    running = most = 0

    async def send() -> None:
        nonlocal running, most
        async with upload_slot(sqlite_context, "mina"):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(send() for _ in range(20)))
    assert most <= AT_ONCE_EACH
