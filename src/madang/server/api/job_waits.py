"""Routes of jobs that wait: why, where, how urgently."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from madang.core.permissions import Permission
from madang.core.states import WorkloadState
from madang.schemas.job_waits import JobMove, JobPriority, JobWhy
from madang.schemas.jobs import Job
from madang.server.api.deps import Actor, Context, permit
from madang.server.api.job_views import job_of, why_of
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads import job_waits, jobs
from madang.server.workloads.tables import WorkloadRow

router = APIRouter(prefix="/jobs", tags=["jobs"])

ProjectQuery = Annotated[str | None, Query(description="Project, by name or id.")]


@router.get("/{job}/why", dependencies=[permit(Permission.JOBS_READ)])
async def explain_job(
    job: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> JobWhy:
    """Why a job waits, with the arithmetic for each group of nodes; how it stands otherwise."""
    why = await job_waits.why_job(context, actor, job, project=project)
    role = why.spec.roles[0]
    shown = why_of(why.reason.to_json(), why.jobs) if why.reason else None
    sentence = shown.message if shown else why.row.state
    return JobWhy(
        id=why.row.id,
        name=why.row.name,
        state=WorkloadState(why.row.state),
        queue=why.names.queues[why.row.queue_id],
        reason=shown,
        sentence=sentence,
        expected_start=why.expected_start,
        position=why.position,
        queued=why.queued,
        needs=f"{role.replicas_min} × {role.resources}",
        groups=[],
        lines=[sentence],
    )


@router.post("/{job}/move", dependencies=[permit(Permission.JOBS_WRITE)])
async def move_job(
    job: str, body: JobMove, context: Context, actor: Actor, project: ProjectQuery = None
) -> Job:
    """Have a job wait in another queue of its project or of the platform."""
    row = await job_waits.move_job(context, actor, job, body.queue, project=project)
    return await _shown(context, actor, row)


@router.post("/{job}/priority", dependencies=[permit(Permission.JOBS_WRITE)])
async def set_priority(
    job: str, body: JobPriority, context: Context, actor: Actor, project: ProjectQuery = None
) -> Job:
    """Change a job's priority."""
    row = await job_waits.set_priority(context, actor, job, body.priority, project=project)
    return await _shown(context, actor, row)


async def _shown(context: ServerContext, actor: Principal, row: WorkloadRow) -> Job:
    async with context.db.read() as session:
        return job_of(row, await jobs.names_of(session, actor, [row]))
