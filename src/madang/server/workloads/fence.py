"""One scheduler at a time: the newest. What an older one, that does not know it yet, would still
write is refused by the database."""

from __future__ import annotations

import secrets

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from madang.server.db.engine import Database
from madang.server.db.leases import Lease, LeaseRow

_NAME = "scheduler"

_FOREVER = 2**62
"""It does not run out: a scheduler that begins takes over, whoever had it, and at once."""


class Fence:
    """The right to start and stop things, until another scheduler begins."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    @classmethod
    async def take(cls, database: Database) -> Fence:
        """Take over from whoever scheduled before."""
        lease = Lease(_NAME, secrets.token_hex(8))
        insert = sqlite.insert if database.dialect == "sqlite" else postgresql.insert
        values = {"token": lease.token, "expires_at": _FOREVER}
        statement = insert(LeaseRow).values(name=_NAME, **values)
        async with database.transaction() as session:
            await session.execute(
                statement.on_conflict_do_update(index_elements=[LeaseRow.name], set_=values)
            )
        return cls(lease)

    async def check(self, session: AsyncSession) -> None:
        """Hold on to it for this transaction. Raises LeaseLost."""
        await self._lease.check(session)
