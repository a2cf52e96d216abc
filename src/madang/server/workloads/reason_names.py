"""Jobs that reasons speak of, by name, for those who may see them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads.tables import EventRow, WorkloadRow


async def names_in_reasons(
    session: AsyncSession, principal: Principal, reasons: Iterable[Mapping[str, Any] | None]
) -> dict[str, str]:
    """Id → name of the jobs that these reasons (as rows keep them) name, of those that she
    sees."""
    wanted = {job for reason in reasons if reason for job in _jobs(reason["facts"])}
    if not wanted:
        return {}
    rows = await session.execute(
        select(WorkloadRow.id, WorkloadRow.name, WorkloadRow.project_id).where(
            WorkloadRow.id.in_(wanted)
        )
    )
    return {job: name for job, name, project_id in rows if principal.sees(project_id)}


async def names_in_events(
    context: ServerContext, principal: Principal, rows: Iterable[EventRow]
) -> dict[str, str]:
    """The same for the reasons of events."""
    async with context.db.read() as session:
        return await names_in_reasons(session, principal, [row.reason for row in rows])


def _jobs(facts: Mapping[str, Any]) -> Iterator[str]:
    if job := facts.get("job"):
        yield job
    yield from (job for job in facts.get("jobs", ()) if job)
    for clause in facts.get("also", ()):
        yield from _jobs(clause["facts"])
    for step in facts.get("remedy", ()):
        for name in ("jobs", "requests"):
            yield from (job.partition(":")[0] for job in step.get(name, ()))
