"""Transactions: many at once, reading before writing, all or nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from madang.core.errors import InvalidInput, Unavailable
from madang.core.ids import new_id
from madang.server.context import ServerContext
from madang.server.db.engine import Database
from madang.server.identity.tables import ProjectRow


def project(context: ServerContext, name: str) -> ProjectRow:
    return ProjectRow(id=new_id("proj"), name=name, created_at=context.clock.now())


async def count(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(ProjectRow)) or 0


async def test_writers_that_read_first_do_not_fail(context: ServerContext) -> None:
    async def writer(number: int) -> None:
        async with context.db.transaction() as session:
            await session.scalar(select(func.count()).select_from(ProjectRow))
            await asyncio.sleep(0)
            session.add(project(context, f"p{number}"))

    await asyncio.gather(*(writer(number) for number in range(30)))
    assert await count(context.db) == 30


async def test_two_processes_write_the_same_sqlite_file(sqlite_context: ServerContext) -> None:
    other = Database.sqlite(sqlite_context.paths.database)

    async def writer(database: Database, number: int) -> None:
        async with database.transaction() as session:
            await session.scalar(select(func.count()).select_from(ProjectRow))
            session.add(project(sqlite_context, f"p{number}"))

    await asyncio.gather(
        *(writer((sqlite_context.db, other)[number % 2], number) for number in range(20))
    )
    assert await count(other) == 20
    await other.close()


async def test_all_or_nothing(context: ServerContext) -> None:
    with pytest.raises(IntegrityError):
        async with context.db.transaction() as session:
            session.add(project(context, "once"))
            await session.flush()
            session.add(project(context, "once"))
    assert await count(context.db) == 0


async def test_a_reader_sees_one_moment(context: ServerContext) -> None:
    async with context.db.read() as session:
        query = select(func.count()).select_from(ProjectRow)
        before = await session.scalar(query)
        async with context.db.transaction() as writing:
            writing.add(project(context, "meanwhile"))
        assert await session.scalar(query) == before


async def test_readers_can_not_write(context: ServerContext) -> None:
    with pytest.raises((Unavailable, DBAPIError)):
        async with context.db.read() as session:
            await session.execute(text("DELETE FROM projects"))


async def test_foreign_keys_hold(context: ServerContext) -> None:
    with pytest.raises(IntegrityError):
        async with context.db.transaction() as session:
            await session.execute(
                text("INSERT INTO memberships VALUES ('proj-none', 'user-none', 'member')")
            )


def test_other_databases_are_refused_without_the_password() -> None:
    with pytest.raises(InvalidInput) as refused:
        Database.from_setting("mysql://me:secret@host/x", Path("/nowhere"))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("there", [False, True])
async def test_nobody_else_may_read_a_sqlite_file(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "madang.db"
    if there:
        path.touch(mode=0o644)
    database = Database.sqlite(path)
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE t (x)"))
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    await database.close()
    assert modes == {"madang.db": 0o600, "madang.db-wal": 0o600, "madang.db-shm": 0o600}
