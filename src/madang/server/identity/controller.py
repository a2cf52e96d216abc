"""Housekeeping of logins: writes down when tokens were used, forgets what has expired."""

from __future__ import annotations

import asyncio

from sqlalchemy import delete, update

from madang.server.context import ServerContext
from madang.server.identity.tables import LoginLinkRow, LoginSessionRow, TokenRow

_EVERY_S = 60.0
_TIDY_EVERY = 60
"""Rounds between two searches for expired sessions."""


async def run(context: ServerContext) -> None:
    """Loop until cancelled; a token's use is written at most once a minute, and at the end."""
    rounds = 0
    try:
        while True:
            if rounds % _TIDY_EVERY == 0:
                await forget_expired(context)
            await write_token_uses(context)
            rounds += 1
            await asyncio.sleep(_EVERY_S)
    finally:
        await write_token_uses(context)


async def write_token_uses(context: ServerContext) -> None:
    """Write `last_used_at` of the tokens that were used since the last time."""
    if not context.token_uses:
        return
    uses = dict(context.token_uses)
    async with context.db.transaction() as session:
        for token_id, used_at in uses.items():
            await session.execute(
                update(TokenRow).where(TokenRow.id == token_id).values(last_used_at=used_at)
            )
    for token_id, used_at in uses.items():
        if context.token_uses.get(token_id) == used_at:
            del context.token_uses[token_id]


async def forget_expired(context: ServerContext) -> None:
    """Delete sessions and links that have run out."""
    now = context.clock.now()
    async with context.db.transaction() as session:
        for table in (LoginSessionRow, LoginLinkRow):
            await session.execute(delete(table).where(table.expires_at <= now))
