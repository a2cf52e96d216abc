"""Jobs, users and projects that reasons speak of, by name, for those who may see them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.tables import ProjectRow, UserRow
from madang.server.workloads.tables import EventRow, ReservationRow, WorkloadRow

_OTHERS_RESERVATION = "of another project"
"""As in "waits for reservation of another project to begin"."""


async def names_in_reasons(
    session: AsyncSession, principal: Principal, reasons: Iterable[Mapping[str, Any] | None]
) -> dict[str, str]:
    """Id → name of the jobs that these reasons (as rows keep them) name, of those that she
    sees; `user:ID` → `user mina` of the limits that they name, projects alike; and the names of
    reservations."""
    told = [reason["facts"] for reason in reasons if reason]
    wanted = {job for facts in told for job in _jobs(facts)}
    subjects = {subject for facts in told for subject in _named_by(facts, "subject")}
    named = await _named_subjects(session, subjects) if subjects else {}
    windows = {one for facts in told for one in _named_by(facts, "reservation")}
    if windows:
        named |= await _named_reservations(session, principal, windows)
    if not wanted:
        return named
    rows = await session.execute(
        select(WorkloadRow.id, WorkloadRow.name, WorkloadRow.project_id).where(
            WorkloadRow.id.in_(wanted)
        )
    )
    return named | {job: name for job, name, project_id in rows if principal.sees(project_id)}


def with_subjects(facts: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The facts of a reason with users, projects and reservations by name."""
    shown = dict(facts)
    if "subject" in shown:
        shown["subject"] = names.get(shown["subject"], shown["subject"])
    if "reservation" in shown:
        shown["reservation"] = names.get(shown["reservation"], _OTHERS_RESERVATION)
    for name in ("also", "remedy"):
        if name in shown:
            shown[name] = [
                {**part, "facts": with_subjects(part["facts"], names)}
                if "facts" in part
                else with_subjects(part, names)
                for part in shown[name]
            ]
    return shown


async def _named_subjects(session: AsyncSession, subjects: set[str]) -> dict[str, str]:
    ids = {subject.partition(":")[2] for subject in subjects}
    users = await session.execute(select(UserRow.id, UserRow.name).where(UserRow.id.in_(ids)))
    named = {f"user:{found}": f"user {name}" for found, name in users}
    projects = await session.execute(
        select(ProjectRow.id, ProjectRow.name).where(ProjectRow.id.in_(ids))
    )
    return named | {f"project:{found}": f"project {name}" for found, name in projects}


async def _named_reservations(
    session: AsyncSession, principal: Principal, ids: set[str]
) -> dict[str, str]:
    rows = await session.execute(
        select(ReservationRow.id, ReservationRow.name, ReservationRow.project_id).where(
            ReservationRow.id.in_(ids)
        )
    )
    return {found: name for found, name, project_id in rows if principal.sees(project_id)}


def _named_by(facts: Mapping[str, Any], what: str) -> Iterator[str]:
    """What a reason and its further clauses name as `what`."""
    if name := facts.get(what):
        yield name
    for clause in facts.get("also", ()):
        yield from _named_by(clause["facts"], what)


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
