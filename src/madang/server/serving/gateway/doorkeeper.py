"""Closing connections on which nobody says what they want.

The web server waits for the head of the first request for ever; a client that sends half of one, a
byte now and then, would keep its connection and cost nothing to have thousands of.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

HEAD_WITHIN_S = 20.0
LOOK_EVERY_S = 5.0


class Doorkeeper:
    """Knows the connections that have made a request; the others have `head_within_s`."""

    def __init__(self, head_within_s: float = HEAD_WITHIN_S) -> None:
        self._head_within_s = head_within_s
        self._known: set[Any] = set()
        self._waiting_since: dict[Any, float] = {}

    @web.middleware
    async def let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._known.add(request.protocol)
        return await handler(request)

    async def run(self, server: web.Server) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(min(LOOK_EVERY_S, self._head_within_s))
            self.look(server, time.monotonic())

    def look(self, server: web.Server, now_s: float) -> None:
        """Close the connections whose time is over."""
        connections = set(server.connections)
        self._known &= connections
        self._waiting_since = {
            connection: self._waiting_since.get(connection, now_s)
            for connection in connections - self._known
        }
        for connection, since_s in self._waiting_since.items():
            if now_s - since_s >= self._head_within_s:
                connection.force_close()
