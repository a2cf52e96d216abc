"""Server-sent events: the stream is open at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from madang.server.api.sse import Message, event_stream


async def test_the_first_byte_comes_before_the_first_message() -> None:
    there = asyncio.Event()

    async def messages() -> AsyncIterator[Message | None]:
        await there.wait()
        yield Message("news", {"a": 1}, id="7")
        yield None

    body = event_stream(messages()).body_iterator.__aiter__()
    async with asyncio.timeout(5):
        assert str(await body.__anext__()).startswith(":")
        there.set()
        assert await body.__anext__() == 'event: news\nid: 7\ndata: {"a": 1}\n\n'
        assert str(await body.__anext__()).startswith(":")
