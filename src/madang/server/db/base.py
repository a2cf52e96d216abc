"""What all tables share: the metadata, column types that mean the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect, MetaData, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Timestamp(TypeDecorator[datetime]):
    """An aware datetime, kept as microseconds since 1970: exact, ordered and indexable on both."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Json(TypeDecorator[Any]):
    """A JSON value: a whole that is read and written as one, never searched into."""

    impl = JSON
    cache_ok = True


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """Base of all tables. Rows are dataclasses: a column without a default must be given."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: Timestamp,
        str: String,
        int: BigInteger,
        dict[str, Any]: Json,
        list[Any]: Json,
    }


class TelemetryBase(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """Base of the tables in the telemetry database: much written, little lost with a crash."""

    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    type_annotation_map = Base.type_annotation_map


class database_now(FunctionElement[datetime]):
    """The database's clock as a Timestamp: what leases compare with, whoever's clock is wrong."""

    type = Timestamp()
    inherit_cache = True


@compiles(database_now, "sqlite")
def _sqlite_now(element: object, compiler: SQLCompiler, **_: object) -> str:
    # To the millisecond. unixepoch('subsec') would need SQLite 3.42, newer than Debian 12 has.
    return "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000"


@compiles(database_now, "postgresql")
def _postgresql_now(element: object, compiler: SQLCompiler, **_: object) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
