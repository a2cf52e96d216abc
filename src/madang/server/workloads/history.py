"""The only way to change a state: checked against the table, recorded with who and why."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import NotFound
from madang.core.reasons import Reason
from madang.core.states import (
    IllegalTransition,
    TaskState,
    WorkloadState,
    check_task_transition,
    check_workload_transition,
)
from madang.server.db.engine import announce
from madang.server.workloads.tables import EventRow, TaskRow, WorkloadRow

Row = TypeVar("Row", WorkloadRow, TaskRow)

_STORY_LENGTH = 20


async def lock_workload(session: AsyncSession, workload_id: str) -> WorkloadRow:
    """The workload, to be changed in this transaction: nobody else changes it or its tasks before
    the commit. Who locks several does so in the order of their ids. Raises NotFound."""
    row = await session.scalar(
        select(WorkloadRow)
        .where(WorkloadRow.id == workload_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise NotFound(f"there is no job {workload_id!r}")
    return row


async def set_workload_state(
    session: AsyncSession,
    row: WorkloadRow,
    new: WorkloadState,
    *,
    now: datetime,
    actor: str,
    reason: Reason | None,
) -> None:
    """Move a (locked) workload to `new`. Raises IllegalTransition with its story."""
    old = WorkloadState(row.state)
    try:
        check_workload_transition(row.id, old, new)
    except IllegalTransition:
        story = await _story(session, row.id)
        raise IllegalTransition(row.id, old, new, story) from None
    row.state = new
    row.reason = reason.to_json() if reason else None
    if new is WorkloadState.RUNNING and row.started_at is None:
        row.started_at = now
    if new.ended:
        row.ended_at = now
    session.add(_change(row, row.id, old, new, now, actor, reason))
    announce_workload(session, row)


async def set_task_state(
    session: AsyncSession,
    workload: WorkloadRow,
    row: TaskRow,
    new: TaskState,
    *,
    now: datetime,
    actor: str,
    reason: Reason | None = None,
) -> None:
    """Move a task of a (locked) workload to `new`. Raises IllegalTransition with its story."""
    old = TaskState(row.state)
    try:
        check_task_transition(row.id, old, new)
    except IllegalTransition:
        story = await _story(session, row.id)
        raise IllegalTransition(row.id, old, new, story) from None
    row.state = new
    if reason is not None:
        row.reason = reason.to_json()
    if new.ended:
        row.ended_at = now
    session.add(_change(workload, row.id, old, new, now, actor, reason))
    announce(session, f"task:{row.id}")
    announce_workload(session, workload)


def record_event(
    session: AsyncSession,
    *,
    at: datetime,
    subject: str,
    action: str,
    actor: str,
    project_id: str | None,
    workload_id: str | None = None,
    reason: Reason | None = None,
    old: str | None = None,
    new: str | None = None,
) -> None:
    """Write down something that is no change of a workload's or task's state: `submitted`,
    `scaled`, `cordoned`. Without a project everybody sees it."""
    session.add(
        EventRow(
            at=at,
            subject=subject,
            action=action,
            actor=actor,
            project_id=project_id,
            workload_id=workload_id,
            old=old,
            new=new,
            reason=reason.to_json() if reason else None,
        )
    )
    announce(session, f"event:{subject}")


def announce_workload(session: AsyncSession, row: WorkloadRow) -> None:
    announce(session, f"workload:{row.id}", f"project:{row.project_id}:workloads")


def _change(
    workload: WorkloadRow,
    subject: str,
    old: str,
    new: str,
    now: datetime,
    actor: str,
    reason: Reason | None,
) -> EventRow:
    return EventRow(
        at=now,
        subject=subject,
        action="state",
        actor=actor,
        project_id=workload.project_id,
        workload_id=workload.id,
        old=str(old),
        new=str(new),
        reason=reason.to_json() if reason else None,
    )


async def _story(session: AsyncSession, subject: str) -> str:
    events = await session.scalars(
        select(EventRow)
        .where(EventRow.subject == subject)
        .order_by(EventRow.id.desc())
        .limit(_STORY_LENGTH)
    )
    steps = [f"{event.at:%H:%M:%S.%f} {event.new or event.action}" for event in events]
    return "Its story: " + ", ".join(reversed(steps)) + "."
