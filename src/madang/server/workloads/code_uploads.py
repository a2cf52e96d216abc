"""How many uploads of code are taken in at once: each is held in memory until it is whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from madang.core.errors import RateLimited
from madang.server.context import ServerContext

AT_ONCE = 8
AT_ONCE_EACH = 2
"""Of one user: whoever sends slowly keeps nobody else from sending."""
PATIENCE_S = 30.0

_PART = "workloads.code_uploads"


@asynccontextmanager
async def upload_slot(context: ServerContext, user_id: str) -> AsyncIterator[None]:
    """Wait until one of few may be taken, and have it within the block. Raises RateLimited when
    none becomes free in time."""
    slots = context.parts.get(_PART)
    if slots is None:
        slots = context.parts[_PART] = _Slots()
    await slots.take(user_id)
    try:
        yield
    finally:
        await slots.give(user_id)


class _Slots:
    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    async def take(self, user_id: str) -> None:
        def free() -> bool:
            return self._taken.total() < AT_ONCE and self._taken[user_id] < AT_ONCE_EACH

        try:
            async with asyncio.timeout(PATIENCE_S), self._changed:
                await self._changed.wait_for(free)
                self._taken[user_id] += 1
        except TimeoutError:
            raise RateLimited(
                "too much code is being sent at once",
                retry_after_s=PATIENCE_S,
                hint="Send it again when other uploads have ended.",
            ) from None

    async def give(self, user_id: str) -> None:
        async with self._changed:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]
            self._changed.notify_all()
