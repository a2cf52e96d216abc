"""Migrations: from nothing, again, and to exactly the tables of the code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text

from madang.core.errors import Unsupported
from madang.server.db.engine import Database
from madang.server.db.migrate import CONTROL, TELEMETRY, Line, alembic_config, migrate
from tests.postgres import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def databases(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Database, Database]]:
    """Empty ones; on PostgreSQL both lines share a database, as in an installation."""
    setting = "sqlite"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        setting = server.create_database()
    control = Database.from_setting(setting, tmp_path / "control.db")
    telemetry = Database.from_setting(setting, tmp_path / "telemetry.db")
    yield control, telemetry
    await control.close()
    await telemetry.close()


def differences(connection: Connection, line: Line) -> list[object]:
    """What `alembic check` finds."""
    from alembic.autogenerate import produce_migrations
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    from madang.server.db import migrate as module

    config = alembic_config(line, connection)
    with EnvironmentContext(config, ScriptDirectory.from_config(config)) as environment:
        module.configure(environment)
        found = produce_migrations(environment.get_context(), line.metadata)
    assert found.upgrade_ops is not None
    return list(found.upgrade_ops.as_diffs())


async def test_up_from_nothing_gives_the_tables(databases: tuple[Database, Database]) -> None:
    control, telemetry = databases
    await migrate(control, telemetry)
    for database, line in ((control, CONTROL), (telemetry, TELEMETRY)):
        async with database.writer.connect() as connection:
            assert await connection.run_sync(differences, line) == []


async def test_again_does_nothing(databases: tuple[Database, Database]) -> None:
    await migrate(*databases)
    await migrate(*databases)


async def test_down_to_nothing(databases: tuple[Database, Database]) -> None:
    from alembic import command

    def down(connection: Connection, line: Line) -> None:
        command.downgrade(alembic_config(line, connection), "base")

    def tables(connection: Connection) -> set[str]:
        return set(inspect(connection).get_table_names())

    await migrate(*databases)
    for database, line in zip(databases, (CONTROL, TELEMETRY), strict=True):
        async with database.writer.begin() as connection:
            await connection.run_sync(down, line)
        async with database.writer.connect() as connection:
            assert not await connection.run_sync(tables) & set(line.metadata.tables)


async def test_a_newer_database_is_refused(databases: tuple[Database, Database]) -> None:
    await migrate(*databases)
    async with databases[0].writer.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Unsupported, match="9999"):
        await migrate(*databases)
