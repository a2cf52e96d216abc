"""Changes pushed to open pages: one subscription for the process, fanned out to tabs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from nicegui import background_tasks, events, ui
from nicegui.client import ClientConnectionTimeout

from madang.core.errors import MadangError
from madang.server.bus import Bus
from madang.server.portal.session import PortalSession

QUIET_S = 0.5
"""A change is drawn at once; those that follow within this time are drawn together after it."""

REST = 4.0
"""What takes long to draw is drawn less often: it rests so many times as long."""

CONNECT_S = 60.0

log = logging.getLogger(__name__)


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


class Patience:
    """Holds live changes back while somebody's hand is on `place`: a menu of it is open, a handle
    held, a number typed (scheduling.js tells). What was held back is drawn after it."""

    def __init__(self, place: ui.element, draw: Callable[[], Awaitable[None]]) -> None:
        self._draw = draw
        self._busy = False
        self._late = False
        place.on("busy", self._told, js_handler="(event) => emit(event.detail)")

    async def draw(self) -> None:
        if self._busy:
            self._late = True
        else:
            await self._draw()

    async def _told(self, event: events.GenericEventArguments) -> None:
        self._busy = bool(event.args)
        if self._late and not self._busy:
            self._late = False
            await self._draw()


def refresh_on(
    session: PortalSession,
    prefixes: tuple[str, ...],
    refresh: Callable[[], Awaitable[None]],
    *,
    quiet_s: float = QUIET_S,
) -> None:
    """Call `refresh` after each change of a topic that begins so, as long as the page is open.

    A page in a hidden tab is drawn when it is looked at again.
    """
    parts = session.context.parts
    pages: LivePages = parts.setdefault("portal", LivePages(session.context.bus))
    key, changed = pages.watch(prefixes)
    client = ui.context.client
    seen = _visibility(session)

    loop = asyncio.get_running_loop()

    async def follow() -> None:
        try:
            await client.connected(timeout=CONNECT_S)
        except ClientConnectionTimeout:
            return
        while True:
            await changed.wait()
            await seen.wait()
            changed.clear()
            begin = loop.time()
            try:
                with client:
                    await refresh()
            except MadangError as error:
                log.info("a page was not drawn again: %s", error)
            await asyncio.sleep(max(quiet_s, REST * (loop.time() - begin)))

    task = background_tasks.create(follow(), name="live page")

    def stop() -> None:
        task.cancel()
        pages.forget(key)

    client.on_delete(stop)


def _visibility(session: PortalSession) -> asyncio.Event:
    """Set while the page can be seen; portal.js tells."""
    if session.seen is None:
        seen = session.seen = asyncio.Event()
        seen.set()
        ui.on("visible", lambda event: seen.set() if event.args else seen.clear())
    return session.seen
