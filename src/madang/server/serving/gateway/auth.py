"""Who may pass: asks control once, remembers the answer for a while.

An answer is good for `FRESH_S`. While control does not answer, the last one stays good for
`AWAY_S`, so that nobody is cut off by a restart; nothing can be revoked in that time anyway. A
refusal is remembered for `REFUSED_S` only.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from madang.core.errors import MadangError, Unauthenticated, Unavailable
from madang.core.permissions import Permission
from madang.server.serving.grants import Grant, Resource
from madang.server.serving.tickets import TICKET_PREFIX

FRESH_S = 30.0
AWAY_S = 3600.0
REFUSED_S = 2.0
MAX_ENTRIES = 4096
TICKET_HEADER = "X-Madang-Ticket"
TICKET_PARAMETER = "ticket"


class Authorize(Protocol):
    """What the handlers behind the gateway are given. Raises the MadangError to answer with."""

    async def __call__(
        self, request: web.Request, permission: Permission, resource: Resource
    ) -> Grant: ...


class AskControl(Protocol):
    """Puts one question to control. Raises Unavailable when control does not answer."""

    async def __call__(
        self, credential: str, permission: Permission, resource: Resource
    ) -> Grant: ...


@dataclass(slots=True)
class _Entry:
    asked_at: float
    grant: Grant | None = None
    refusal: MadangError | None = None


class Authorizer:
    """The `Authorize` of the gateway; belongs to one event loop."""

    def __init__(
        self,
        ask: AskControl,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._now = now
        self._monotonic = monotonic
        self._entries: OrderedDict[tuple[bytes, Permission, Resource], _Entry] = OrderedDict()
        self._asking: dict[tuple[bytes, Permission, Resource], asyncio.Task[Grant]] = {}

    async def __call__(
        self, request: web.Request, permission: Permission, resource: Resource
    ) -> Grant:
        return await self.check(credential_of(request), permission, resource)

    async def check(self, credential: str, permission: Permission, resource: Resource) -> Grant:
        """The grant, remembered or asked for. Questions that are the same are asked once."""
        key = (hashlib.sha256(credential.encode()).digest(), permission, resource)
        entry = self._entries.get(key)
        if entry is not None and self._is_good(entry, FRESH_S):
            return _outcome(entry)
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.create_task(self._refresh(key, credential))
            self._asking[key] = asking
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _refresh(self, key: tuple[bytes, Permission, Resource], credential: str) -> Grant:
        _, permission, resource = key
        try:
            entry = _Entry(self._monotonic(), await self._ask(credential, permission, resource))
        except Unavailable:
            remembered = self._entries.get(key)
            if remembered and remembered.grant and self._is_good(remembered, AWAY_S):
                return remembered.grant
            raise
        except MadangError as error:
            entry = _Entry(self._monotonic(), refusal=error)
        self._entries[key] = entry
        self._entries.move_to_end(key)
        while len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
        return _outcome(entry)

    def _is_good(self, entry: _Entry, keep_s: float) -> bool:
        if entry.grant is None:
            return self._monotonic() - entry.asked_at < REFUSED_S
        expires_at = entry.grant.expires_at
        if expires_at is not None and expires_at <= self._now():
            return False
        return self._monotonic() - entry.asked_at < keep_s


def credential_of(request: web.Request) -> str:
    """The token or ticket that a request carries. Raises Unauthenticated when it has none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    ticket = request.headers.get(TICKET_HEADER) or request.query.get(TICKET_PARAMETER, "")
    if ticket.startswith(TICKET_PREFIX):
        return ticket
    raise Unauthenticated(
        "this address needs a token or a ticket",
        hint="Send 'Authorization: Bearer TOKEN', or ?ticket= from POST /api/v1/tickets.",
    )


def _outcome(entry: _Entry) -> Grant:
    if entry.refusal is not None:
        # The same exception object must not collect tracebacks of many requests.
        raise entry.refusal.with_traceback(None)
    assert entry.grant is not None
    return entry.grant
