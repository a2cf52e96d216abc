"""Routes of jobs that wait: why, where, how urgently."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from madang.core.permissions import Permission
from madang.core.states import WorkloadState
from madang.scheduling.why import NodesWhy
from madang.schemas.job_waits import JobMove, JobPreview, JobPriority, JobWhy, NodeGroup
from madang.schemas.jobs import Job, JobCreate
from madang.server.api.deps import Actor, Context, permit
from madang.server.api.job_views import job_of, why_of
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads import job_waits, jobs
from madang.server.workloads.tables import WorkloadRow
from madang.server.workloads.waits import start_of

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
    counted = why.counted
    return JobWhy(
        id=why.row.id,
        name=why.row.name,
        state=WorkloadState(why.row.state),
        queue=why.names.queues[why.row.queue_id],
        reason=shown,
        sentence=sentence,
        expected_start=why.expected_start,
        position=counted.position if counted else why.position,
        queued=counted.queued if counted else why.queued,
        needs=counted.needs if counted else f"{role.replicas_min} × {role.resources}",
        groups=[_group(one.role, nodes) for one in counted.roles for nodes in one.nodes]
        if counted
        else [],
        lines=[_in_names(why, line) for line in counted.lines()] if counted else [],
    )


@router.post("/preview", dependencies=[permit(Permission.JOBS_WRITE)])
async def preview_job(body: JobCreate, context: Context, actor: Actor) -> JobPreview:
    """What would become of a job if it were submitted now; nothing is. What can't be is refused
    as it would be then."""
    wait, names = await job_waits.preview_job(context, actor, body)
    if wait is None:
        return JobPreview(starts_now=True, expected_start=context.clock.now(), reason=None)
    return JobPreview(
        starts_now=False,
        expected_start=start_of(wait),
        reason=why_of(wait.reason.to_json(), names),
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


def _in_names(why: job_waits.Why, line: str) -> str:
    """Limits name users and projects by id."""
    named = line.replace(why.row.user_id, why.names.users[why.row.user_id])
    return named.replace(why.row.project_id, why.names.projects[why.row.project_id])


def _group(role: str, nodes: NodesWhy) -> NodeGroup:
    return NodeGroup(
        role=role,
        nodes=list(nodes.nodes),
        count=len(nodes.nodes),
        shape=nodes.shape,
        pool=nodes.pool,
        labels=dict(nodes.labels),
        free=nodes.free,
        room=nodes.room,
        room_empty=nodes.room_empty,
        short_of=nodes.short_of,
    )
