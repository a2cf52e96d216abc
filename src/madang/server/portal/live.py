"""Changes pushed to open pages: one subscription for the process, fanned out to tabs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nicegui import background_tasks, ui

from madang.server.bus import Bus

QUIET_S = 0.3
"""Changes within this time are drawn once: a burst does not flicker, nor cost a query each."""


class LivePages:
    """Who wants to know of which topics. One reader of the bus serves all open pages."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._watchers: dict[object, tuple[tuple[str, ...], asyncio.Event]] = {}
        self._reader: asyncio.Task[None] | None = None

    def watch(self, prefixes: tuple[str, ...]) -> tuple[object, asyncio.Event]:
        """An event that is set when a topic with one of these prefixes changes."""
        key, changed = object(), asyncio.Event()
        self._watchers[key] = (prefixes, changed)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        return key, changed

    def forget(self, key: object) -> None:
        self._watchers.pop(key, None)
        if not self._watchers and self._reader is not None:
            self._reader.cancel()
            self._reader = None

    async def _read(self) -> None:
        with self._bus.subscribe("") as subscription:
            while True:
                topics = await subscription.wait()
                for prefixes, changed in list(self._watchers.values()):
                    if any(topic.startswith(prefixes) for topic in topics):
                        changed.set()


_by_bus: dict[int, LivePages] = {}


def refresh_on(
    bus: Bus, prefixes: tuple[str, ...], refresh: Callable[[], Awaitable[None]]
) -> None:
    """Call `refresh` after each change of a topic that begins so, as long as the page is open."""
    pages = _by_bus.setdefault(id(bus), LivePages(bus))
    key, changed = pages.watch(prefixes)
    client = ui.context.client

    async def follow() -> None:
        await client.connected(timeout=30)
        while True:
            await changed.wait()
            changed.clear()
            with client:
                await refresh()
            await asyncio.sleep(QUIET_S)

    task = background_tasks.create(follow(), name="live page")

    def stop() -> None:
        task.cancel()
        pages.forget(key)

    client.on_delete(stop)
