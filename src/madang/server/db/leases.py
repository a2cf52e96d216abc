"""Leases: the right to work on something for a while, outside of any transaction.

    lease = await acquire(database, "environment:env-1", ttl_s=60)
    if lease:                                # somebody else has it otherwise
        result = await long_work()
        async with database.transaction() as session:
            await lease.check(session)       # raises LeaseLost when it ran out meanwhile
            row.result = result

Time is the database's, so that machines with wrong clocks agree. The token fences: who lost the
lease can't write, even when it does not know yet.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, delete, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from madang.server.db.base import Base, database_now
from madang.server.db.engine import Database


class LeaseRow(Base):
    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str]
    expires_at: Mapped[int]
    """Microseconds since 1970, by the database's clock."""


class LeaseLost(Exception):
    """The lease ran out and somebody else may have it: drop the result."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on `name` until it runs out; `token` proves it."""

    name: str
    token: str

    async def check(self, session: AsyncSession) -> None:
        """Hold on to the lease for this transaction. Raises LeaseLost."""
        await self._extend(session, ttl_us=0)

    async def renew(self, database: Database, ttl_s: float) -> None:
        """Keep it for another `ttl_s` seconds from now. Raises LeaseLost."""
        async with database.transaction() as session:
            await self._extend(session, ttl_us=int(ttl_s * 1e6))

    async def release(self, database: Database) -> None:
        """Give it back; does nothing when it is lost already."""
        async with database.transaction() as session:
            await session.execute(
                delete(LeaseRow).where(LeaseRow.name == self.name, LeaseRow.token == self.token)
            )

    async def _extend(self, session: AsyncSession, ttl_us: int) -> None:
        now = _now_us()
        # Writing the row, not just reading it, makes a rival's acquire wait for our commit.
        expires_at = now + ttl_us if ttl_us else LeaseRow.expires_at
        renewed = await session.execute(
            update(LeaseRow)
            .where(
                LeaseRow.name == self.name,
                LeaseRow.token == self.token,
                LeaseRow.expires_at > now,
            )
            .values(expires_at=expires_at)
            .returning(LeaseRow.name)
            .execution_options(synchronize_session=False)
        )
        if renewed.scalar_one_or_none() is None:
            raise LeaseLost(self.name)


async def acquire(database: Database, name: str, ttl_s: float) -> Lease | None:
    """Take the lease on `name` for `ttl_s` seconds; None when somebody else holds it."""
    lease = Lease(name, secrets.token_hex(8))
    insert = sqlite.insert if database.dialect == "sqlite" else postgresql.insert
    expires_at = _now_us() + int(ttl_s * 1e6)
    statement = insert(LeaseRow).values(name=name, token=lease.token, expires_at=expires_at)
    taken = statement.on_conflict_do_update(
        index_elements=[LeaseRow.name],
        set_={"token": lease.token, "expires_at": expires_at},
        where=LeaseRow.expires_at <= _now_us(),
    ).returning(LeaseRow.token)
    async with database.transaction() as session:
        return lease if (await session.execute(taken)).scalar_one_or_none() else None


def _now_us() -> ColumnElement[int]:
    """A number, for durations are added to it, which a Timestamp would take for a time."""
    return type_coerce(database_now(), BigInteger)
