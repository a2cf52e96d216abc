"""Lists of workloads, quick whatever the number of rows and the filters.

Each combination of project and state is a range of one index in the order of the list, so that the
first page of the whole is among the first pages of the ranges; nothing is sorted or counted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product

from sqlalchemy import ColumnElement, Select, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.states import WorkloadKind, WorkloadState
from madang.server.workloads.tables import WorkloadRow

_MOST_RANGES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a list shows; an empty field does not narrow it. `name` is a part of the name."""

    kind: WorkloadKind
    projects: Collection[str] | None = None
    states: Collection[WorkloadState] = ()
    user_id: str = ""
    queue_id: str = ""
    parent_id: str = ""
    name: str = ""


async def list_workloads(
    session: AsyncSession, filters: Filters, *, limit: int, cursor: str | None
) -> Sequence[WorkloadRow]:
    """Newest first, older than `cursor`; one more than `limit` when there are more."""
    if filters.projects is not None and not filters.projects:
        return []
    ids = list(await session.scalars(_ids(filters, limit, cursor)))
    rows = await session.scalars(
        select(WorkloadRow).where(WorkloadRow.id.in_(ids)).order_by(WorkloadRow.id.desc())
    )
    return rows.all()


def _ids(filters: Filters, limit: int, cursor: str | None) -> Select[tuple[str]]:
    projects: list[str | None] = [None]
    if filters.projects is not None:
        projects = [*sorted(filters.projects)]
    states: list[WorkloadState | None] = [*sorted(filters.states)] or [None]
    common = _conditions(filters, cursor)
    ranges: list[list[ColumnElement[bool]]] = []
    if len(projects) * len(states) <= _MOST_RANGES:
        for project, state in product(projects, states):
            ranges.append(_in_range([project], [state]))
    else:
        ranges.append(_in_range(projects, states))
    parts = [
        select(WorkloadRow.id)
        .where(*common, *part)
        .order_by(WorkloadRow.id.desc())
        .limit(limit + 1)
        .subquery()
        for part in ranges
    ]
    merged = union_all(*(select(part.c.id) for part in parts)).subquery()
    return select(merged.c.id).order_by(merged.c.id.desc()).limit(limit + 1)


def _conditions(filters: Filters, cursor: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [WorkloadRow.kind == filters.kind]
    if cursor:
        conditions.append(WorkloadRow.id < cursor)
    if filters.user_id:
        conditions.append(WorkloadRow.user_id == filters.user_id)
    if filters.queue_id:
        conditions.append(WorkloadRow.queue_id == filters.queue_id)
    if filters.parent_id:
        conditions.append(WorkloadRow.parent_id == filters.parent_id)
    if filters.name:
        conditions.append(WorkloadRow.name.contains(filters.name, autoescape=True))
    return conditions


def _in_range(
    projects: Sequence[str | None], states: Sequence[WorkloadState | None]
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if projects[0] is not None:
        conditions.append(WorkloadRow.project_id.in_(projects))
    if states[0] is not None:
        conditions.append(WorkloadRow.state.in_(states))
    return conditions
