"""Refusing at submission what limits and queues would never let start, or let wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.amounts import format_amount
from madang.core.errors import InvalidInput, LimitExceeded
from madang.core.states import WorkloadState
from madang.scheduling.model import Amounts
from madang.scheduling.sums import Meter, exceeds, of_groups
from madang.server.identity.tables import ProjectRow, UserRow
from madang.server.workloads.possible import starting_together
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import LimitRow, QueueRow, WorkloadRow


async def check_quota(session: AsyncSession, spec: WorkloadSpec, queue: QueueRow) -> None:
    """Raises LimitExceeded when too much waits already, InvalidInput when this alone is more than
    its user, its project or a queue above it may have."""
    limits = await _limits(session, spec)
    for limit in limits:
        await _check_pending(session, limit, spec)
    bounds = [
        (await _in_words(session, limit.subject, spec), limit.amounts, "`madang limit list`")
        for limit in limits
    ]
    for row in await _upwards(session, queue):
        most = dict(row.limit)
        for name, amount in row.borrowing_limit.items():
            with_borrowed = row.guarantee.get(name, 0) + amount
            most[name] = min(most.get(name, with_borrowed), with_borrowed)
        bounds.append((f"queue {row.name}", most, f"`madang queue explain {row.name}`"))
    _check_amounts(spec, bounds)


async def _limits(session: AsyncSession, spec: WorkloadSpec) -> list[LimitRow]:
    """Of the user and of the project; `*` holds for those without one of their own."""
    own = {"user": f"user:{spec.user_id}", "project": f"project:{spec.project_id}"}
    subjects = [*own.values(), *(f"{kind}:*" for kind in own)]
    rows = await session.scalars(select(LimitRow).where(LimitRow.subject.in_(subjects)))
    found = {row.subject: row for row in rows}
    limits = [found.get(subject) or found.get(f"{kind}:*") for kind, subject in own.items()]
    return [limit for limit in limits if limit is not None]


async def _check_pending(session: AsyncSession, limit: LimitRow, spec: WorkloadSpec) -> None:
    if limit.pending is None:
        return
    of_user = limit.subject.startswith("user:")
    whose = (
        WorkloadRow.user_id == spec.user_id
        if of_user
        else WorkloadRow.project_id == spec.project_id
    )
    query = select(func.count()).select_from(WorkloadRow)
    waiting = await session.scalar(
        query.where(
            WorkloadRow.ended_at.is_(None), WorkloadRow.state == WorkloadState.PENDING, whose
        )
    )
    if (waiting or 0) >= limit.pending:
        who = await _in_words(session, limit.subject, spec)
        raise LimitExceeded(
            f"{who} has {waiting} waiting, of at most {limit.pending}",
            hint="Wait until some have started, or cancel what is not needed any more.",
            details={"value": waiting, "possible": limit.pending},
        )


async def _in_words(session: AsyncSession, subject: str, spec: WorkloadSpec) -> str:
    if subject.startswith("user:"):
        return f"user {(await session.get_one(UserRow, spec.user_id)).name}"
    return f"project {(await session.get_one(ProjectRow, spec.project_id)).name}"


async def _upwards(session: AsyncSession, queue: QueueRow) -> list[QueueRow]:
    """The queue, the one above it, and so on."""
    rows = [queue]
    while (parent := rows[-1].parent_id) is not None:
        rows.append(await session.get_one(QueueRow, parent))
    return rows


def _check_amounts(
    spec: WorkloadSpec, bounds: Sequence[tuple[str, Mapping[str, int], str]]
) -> None:
    meter = Meter(name for _, most, _ in bounds for name in most)
    kinds = {"gpu", *(role.resources.device_kind for role in spec.roles)}
    for groups in starting_together(spec):
        wanted: Amounts = of_groups(meter, groups)
        for who, most, where in bounds:
            if (name := exceeds({}, wanted, most)) is not None:
                asked = format_amount(name, dict(wanted)[name], kinds)
                bound = format_amount(name, most[name], kinds)
                raise InvalidInput(
                    f"{name}={asked} at once is more than {who} may ever have",
                    field="resources",
                    hint=f"At most {name}={bound}; {where} tells more.",
                    details={"value": {name: asked}, "possible": {name: bound}},
                )
