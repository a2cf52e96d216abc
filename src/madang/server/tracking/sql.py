"""Statements that SQLAlchemy spells differently for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement, literal
from sqlalchemy.types import Boolean

ID_CHUNK = 1_000
"""How many ids go into one `IN (…)`."""


async def insert_or_update(
    session: AsyncSession,
    row_class: type[DeclarativeBase],
    values: Sequence[dict[str, Any]],
    *,
    update: Sequence[str] = (),
    when: Callable[[Any, Table], ColumnElement[bool]] | None = None,
) -> None:
    """Insert rows; of one that is there already set the columns `update` (none: leave it).

    `when(new, table)` says which of those are changed. The values must not repeat a key.
    """
    if not values:
        return
    table = cast(Table, row_class.__table__)
    connection = await session.connection()
    insert: Any = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    key = [column.name for column in table.primary_key]
    if update:
        new = insert.excluded
        insert = insert.on_conflict_do_update(
            index_elements=key,
            set_={name: new[name] for name in update},
            where=when(new, table) if when else None,
        )
    else:
        insert = insert.on_conflict_do_nothing(index_elements=key)
    await connection.execute(insert, list(values))


def chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    """Parts of `ids` that fit into one statement."""
    return (ids[start : start + ID_CHUNK] for start in range(0, len(ids), ID_CHUNK))


class like(FunctionElement[bool]):
    """SQL's LIKE with `%` and `_`, minding case, without an escape character."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], pattern: str) -> None:
        super().__init__(column, literal(pattern), literal(_glob(pattern)))


@compiles(like, "sqlite")
def _sqlite_like(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    column, _, glob = element.clauses
    return f"({compiler.process(column, **options)} GLOB {compiler.process(glob, **options)})"


@compiles(like, "postgresql")
def _postgresql_like(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    column, pattern, _ = element.clauses
    left, right = (compiler.process(part, **options) for part in (column, pattern))
    return f"({left} LIKE {right} ESCAPE '')"


def _glob(pattern: str) -> str:
    translated = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(translated.get(character, character) for character in pattern)
