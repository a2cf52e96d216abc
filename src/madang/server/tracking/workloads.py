"""Which workload a task belongs to: the link between a run and the job that logged it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.server.workloads.tables import TaskRow


async def workload_of_task(session: AsyncSession, task_id: str | None) -> str | None:
    """The workload of a task; None for no task and for one that is not known."""
    if task_id is None:
        return None
    return await session.scalar(select(TaskRow.workload_id).where(TaskRow.id == task_id))
