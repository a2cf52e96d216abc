"""Server-sent events: a stream of named JSON messages over one HTTP answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi.encoders import jsonable_encoder
from fastapi.responses import StreamingResponse


@dataclass(frozen=True, slots=True)
class Message:
    """`id` comes back as Last-Event-ID when a browser connects again."""

    event: str
    data: Any
    id: str = ""


def event_stream(messages: AsyncIterator[Message | None]) -> StreamingResponse:
    """The answer; None in the stream is sent as a comment, so that a dead connection shows."""
    return StreamingResponse(
        _encode(messages),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _encode(messages: AsyncIterator[Message | None]) -> AsyncIterator[str]:
    yield ": connected\n\n"  # browsers and proxies take the stream as open with its first byte
    async for message in messages:
        if message is None:
            yield ": nothing new\n\n"
            continue
        lines = [f"event: {message.event}"]
        if message.id:
            lines.append(f"id: {message.id}")
        lines.append(f"data: {json.dumps(jsonable_encoder(message.data), ensure_ascii=False)}")
        yield "\n".join(lines) + "\n\n"
