"""The clock that nodes' leases are measured by: the database's, in microseconds since 1970."""

from __future__ import annotations

from sqlalchemy import BigInteger, ColumnElement, literal, type_coerce

from madang.server.db.base import database_now


def from_now(seconds: float) -> ColumnElement[int]:
    """The moment `seconds` from now (before now, when negative)."""
    now = type_coerce(database_now(), BigInteger())
    return now + literal(int(seconds * 1e6), BigInteger())
