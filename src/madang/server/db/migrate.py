"""Bringing the databases to the tables that this version of the code has.

Control data and telemetry each have their own line of migrations (`migrations/control`,
`migrations/telemetry`) and their own version table, so that both may live in one PostgreSQL
database. Alembic is imported only when there is something to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, inspect, text

from madang.core.errors import Unsupported
from madang.server.db import tables as _all_tables  # noqa: F401 - fills the metadata
from madang.server.db.base import Base, Json, TelemetryBase, Timestamp
from madang.server.db.engine import Database

MIGRATIONS = Path(__file__).parent / "migrations"

_REVISION = re.compile(r"""^revision: str = ["'](\w+)["']""", re.MULTILINE)
_DOWN_REVISION = re.compile(r"""^down_revision: .* = ["'](\w+)["']""", re.MULTILINE)

_MIGRATION_LOCK = 0x6D61_6461
"""Two servers that start on one PostgreSQL database migrate it one after the other."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of migrations and the tables that it leads to."""

    name: str
    metadata: MetaData
    version_table: str

    @property
    def folder(self) -> Path:
        return MIGRATIONS / self.name

    def revisions(self) -> set[str]:
        return {revision for revision, _ in self._links()}

    def head(self) -> str | None:
        """The newest revision, read from the files without importing Alembic."""
        links = self._links()
        replaced = {down for _, down in links}
        heads = [revision for revision, _ in links if revision not in replaced]
        assert len(heads) <= 1, f"{self.folder} has several heads: {heads}"
        return heads[0] if heads else None

    def _links(self) -> list[tuple[str, str | None]]:
        links: list[tuple[str, str | None]] = []
        for path in self.folder.glob("*.py"):
            source = path.read_text()
            if found := _REVISION.search(source):
                down = _DOWN_REVISION.search(source)
                links.append((found[1], down[1] if down else None))
        return links


CONTROL = Line("control", Base.metadata, "alembic_version")
TELEMETRY = Line("telemetry", TelemetryBase.metadata, "alembic_version_telemetry")


async def migrate(control: Database, telemetry: Database) -> None:
    """Bring both databases up to date; does nothing, quickly, when they are.

    Raises Unsupported for a database that a newer version has changed already.
    """
    await migrate_line(control, CONTROL)
    await migrate_line(telemetry, TELEMETRY)


async def migrate_line(database: Database, line: Line) -> None:
    async with database.writer.connect() as connection:
        current = await connection.run_sync(_current_revision, line)
        await connection.rollback()
    if current == line.head():
        return
    if current is not None and current not in line.revisions():
        raise Unsupported(
            f"the database is at revision {current!r}, which this version does not know",
            hint="It was used with a newer version of Madang: install that one again.",
        )
    async with database.writer.begin() as connection:
        await connection.run_sync(_upgrade, line)


def alembic_config(line: Line, connection: Connection | None = None) -> Any:
    """Alembic's configuration for one line; `connection` is what `env.py` runs on."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("version_locations", str(line.folder))
    config.set_main_option("path_separator", "newline")
    config.attributes["line"] = line
    config.attributes["connection"] = connection
    return config


def configure(alembic_context: Any) -> None:
    """Tell Alembic what to compare and where to run; called by `migrations/env.py`."""
    attributes = alembic_context.config.attributes
    line: Line = attributes["line"]
    alembic_context.configure(
        connection=attributes["connection"],
        target_metadata=line.metadata,
        version_table=line.version_table,
        include_name=_only_own_tables(line),
        render_item=_render_plain_types,
        render_as_batch=True,
        compare_type=True,
    )


def _only_own_tables(line: Line) -> Any:
    """Both lines may share a database: the other's tables are none of this one's business."""
    others = (TELEMETRY if line is CONTROL else CONTROL).metadata.tables

    def include(name: str | None, kind: str, parents: Any) -> bool:
        return kind != "table" or (name not in others and not str(name).startswith("alembic_"))

    return include


def _render_plain_types(kind: str, item: Any, autogenerate_context: Any) -> str | bool:
    """Migrations name plain types: they must not change when our own types do."""
    if kind == "type" and isinstance(item, Timestamp):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(item, Json):
        return "sa.JSON()"
    return False


def _current_revision(connection: Connection, line: Line) -> str | None:
    if not inspect(connection).has_table(line.version_table):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {line.version_table}")).scalar()
    return None if found is None else str(found)


def _upgrade(connection: Connection, line: Line) -> None:
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
    command.upgrade(alembic_config(line, connection), "head")
