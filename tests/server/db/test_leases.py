"""Leases: one holder, until it runs out by the database's clock."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import update

from madang.server.context import ServerContext
from madang.server.db.leases import Lease, LeaseLost, LeaseRow, acquire


async def run_out(context: ServerContext, name: str) -> None:
    """What passing time does to a lease."""
    async with context.db.transaction() as session:
        await session.execute(update(LeaseRow).where(LeaseRow.name == name).values(expires_at=1))


async def test_one_of_many_rivals_wins(context: ServerContext) -> None:
    rivals = await asyncio.gather(*(acquire(context.db, "build:1", 60) for _ in range(8)))
    assert sum(lease is not None for lease in rivals) == 1
    assert await acquire(context.db, "build:2", 60) is not None


async def test_a_lease_that_ran_out_can_be_taken(context: ServerContext) -> None:
    first = await acquire(context.db, "build:1", 60)
    assert first is not None
    assert await acquire(context.db, "build:1", 60) is None
    await run_out(context, "build:1")
    second = await acquire(context.db, "build:1", 60)
    assert second is not None
    assert second.token != first.token


async def test_time_is_the_databases(context: ServerContext) -> None:
    """The context's clock stands still in tests: what runs out does so by itself."""
    lease = await acquire(context.db, "build:1", 0.05)
    assert lease is not None
    for _ in range(100):
        if await acquire(context.db, "build:1", 60) is not None:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the lease never ran out")


async def test_who_lost_it_can_not_write(context: ServerContext) -> None:
    slow = await acquire(context.db, "build:1", 60)
    assert slow is not None
    await run_out(context, "build:1")
    quick = await acquire(context.db, "build:1", 60)
    assert quick is not None
    with pytest.raises(LeaseLost):
        async with context.db.transaction() as session:
            await slow.check(session)
    with pytest.raises(LeaseLost):
        await slow.renew(context.db, 60)
    await slow.release(context.db)
    async with context.db.transaction() as session:
        await quick.check(session)


async def test_a_check_after_it_ran_out_fails_even_without_a_rival(
    context: ServerContext,
) -> None:
    lease = await acquire(context.db, "build:1", 60)
    assert lease is not None
    await run_out(context, "build:1")
    with pytest.raises(LeaseLost):
        async with context.db.transaction() as session:
            await lease.check(session)


async def test_release_and_renew(context: ServerContext) -> None:
    lease = await acquire(context.db, "build:1", 60)
    assert lease is not None
    await lease.renew(context.db, 120)
    await lease.release(context.db)
    again = await acquire(context.db, "build:1", 60)
    assert isinstance(again, Lease)
