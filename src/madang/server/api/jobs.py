"""Routes of jobs, and of the code that comes with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from madang.core.errors import InvalidInput, LimitExceeded
from madang.core.permissions import Permission
from madang.core.resources import format_bytes
from madang.core.states import WorkloadKind, WorkloadState
from madang.schemas import Page
from madang.schemas.events import Event
from madang.schemas.jobs import (
    CodeBundle,
    Job,
    JobCreate,
    JobDetail,
    JobInput,
    JobLog,
    MetricPoint,
    MetricSeries,
)
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.api.job_views import event_of, job_of, task_of, why_of
from madang.server.api.sse import Message, event_stream
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads import code, details, events, jobs, logs, reports
from madang.server.workloads.code_uploads import upload_slot
from madang.server.workloads.reason_names import names_in_events
from madang.server.workloads.tables import WorkloadRow

router = APIRouter(prefix="/jobs", tags=["jobs"])
code_router = APIRouter(prefix="/code", tags=["jobs"])

ProjectQuery = Annotated[str | None, Query(description="Project, by name or id.")]
StateQuery = Annotated[list[WorkloadState] | None, Query(description="May be repeated.")]
OffsetQuery = Annotated[int, Query(description="Byte to begin at; negative: before the end.")]

_LOG_BYTES = 1 << 20


async def _shown(context: ServerContext, actor: Principal, row: WorkloadRow) -> Job:
    async with context.db.read() as session:
        return job_of(row, await jobs.names_of(session, actor, [row]))


@router.get("", dependencies=[permit(Permission.JOBS_READ)])
async def list_jobs(
    context: Context,
    actor: Actor,
    paging: PagingQuery,
    project: ProjectQuery = None,
    state: StateQuery = None,
    user: Annotated[str | None, Query(description="Name or id; `me` for yours.")] = None,
    queue: Annotated[str | None, Query(description="Id of a queue.")] = None,
    name: Annotated[str | None, Query(description="A part of the name.")] = None,
    kind: WorkloadKind = WorkloadKind.JOB,
) -> Page[Job]:
    """Jobs that you see, newest first."""
    rows, names = await jobs.list_jobs(
        context,
        actor,
        kind=kind,
        project=project,
        states=state or (),
        user=user,
        queue=queue,
        name=name,
        limit=paging.limit,
        cursor=paging.cursor,
    )
    return page_of(rows, paging, lambda row: job_of(row, names))


@router.post("", status_code=201, dependencies=[permit(Permission.JOBS_WRITE)])
async def create_job(
    body: JobCreate,
    context: Context,
    actor: Actor,
    idempotency_key: Annotated[
        str | None, Header(description="Chosen by the client: a repeated request runs nothing.")
    ] = None,
) -> Job:
    """Run something: it is queued, and starts when there is room. With an `Idempotency-Key` that
    came with the same request within a day, the answer is the job that it started."""
    row = await jobs.create_job(context, actor, body, key=idempotency_key)
    return await _shown(context, actor, row)


@router.get("/{job}", dependencies=[permit(Permission.JOBS_READ)])
async def get_job(
    job: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> JobDetail:
    """One job, by id or the newest of that name, with its tasks and inputs."""
    found = await details.get_detail(context, actor, job, project=project)
    return JobDetail(
        job=job_of(found.row, found.names),
        tasks=[task_of(task, found.nodes[task.node_id], found.devices[task.id], found.names.jobs)
               for task in found.tasks],
        inputs=[JobInput(item.kind, item.input_id, item.ref) for item in found.inputs],
        request=jobs.to_request(found.spec, found.names.projects[found.row.project_id]),
    )  # fmt: skip


@router.post("/{job}/cancel", dependencies=[permit(Permission.JOBS_WRITE)])
async def cancel_job(
    job: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Job:
    """Stop a job: SIGTERM, then SIGKILL after its grace. Safe to repeat."""
    return await _shown(
        context, actor, await jobs.cancel_job(context, actor, job, project=project)
    )


@router.post("/{job}/clone", status_code=201, dependencies=[permit(Permission.JOBS_WRITE)])
async def clone_job(job: str, context: Context, actor: Actor, project: ProjectQuery = None) -> Job:
    """Run the same again, as a job of yours."""
    row = await jobs.clone_job(context, actor, job, project=project)
    return await _shown(context, actor, row)


@router.get("/{job}/events", dependencies=[permit(Permission.JOBS_READ)])
async def list_job_events(
    job: str, context: Context, actor: Actor, paging: PagingQuery, project: ProjectQuery = None
) -> Page[Event]:
    """What happened to a job and its tasks, newest first."""
    row, names = await details.find_job(context, actor, job, project=project)
    rows = await events.list_events(
        context, actor, workload_id=row.id, limit=paging.limit, cursor=paging.cursor
    )
    jobs_named = await names_in_events(context, actor, rows)
    return page_of(rows, paging, lambda event: event_of(event, names.projects, jobs_named))


@router.get("/{job}/metrics", dependencies=[permit(Permission.JOBS_READ)])
async def list_job_metrics(
    job: str,
    context: Context,
    actor: Actor,
    project: ProjectQuery = None,
    key: Annotated[list[str] | None, Query(description="Only these; may be repeated.")] = None,
    points: Annotated[int, Query(ge=1, le=10_000, description="At most, of each.")] = 500,
) -> list[MetricSeries]:
    """The numbers that a job has reported (`madang.train.report`) over time."""
    row, _ = await details.find_job(context, actor, job, project=project)
    series = await reports.read_series(context, row.id, keys=key or (), max_points=points)
    return [
        MetricSeries(one.key, one.rank, one.attempt, [MetricPoint(*point) for point in one.points])
        for one in series
    ]


@router.get("/{job}/logs", response_model=None, dependencies=[permit(Permission.JOBS_READ)])
async def read_job_logs(
    job: str,
    context: Context,
    actor: Actor,
    project: ProjectQuery = None,
    follow: bool = False,
    rank: Annotated[int | None, Query(ge=0, description="Of one task; 0 is the first.")] = None,
    attempt: Annotated[int | None, Query(ge=1)] = None,
    offset: OffsetQuery = 0,
    offsets: Annotated[
        str, Query(max_length=100_000, description="Where to go on: TASK:BYTE,TASK:BYTE")
    ] = "",
    tail_bytes: Annotated[int | None, Query(ge=0)] = None,
    limit: Annotated[int, Query(ge=1, le=8 * _LOG_BYTES)] = _LOG_BYTES,
) -> JobLog | StreamingResponse:
    """A part of a task's log; with `follow` a stream of server-sent events: `log` (text of a
    task), `state` (the job's state and reason), until the job has ended."""
    row, _ = await details.find_job(context, actor, job, project=project)
    if follow:
        stream = logs.follow(
            context,
            row.id,
            rank=rank,
            attempt=attempt,
            offsets=_offsets(offsets),
            tail_bytes=tail_bytes,
        )
        return event_stream(_log_messages(stream))
    task = await details.find_task(context, row, rank=rank or 0, attempt=attempt)
    if task is None:
        return JobLog("", 0, row.attempt, 0, 0, "", row.ended_at is not None)
    start = offset if tail_bytes is None else -tail_bytes
    text, ended = await logs.read_log(context, task, offset=start, limit=limit)
    return JobLog(
        text.task_id, text.rank, text.attempt, text.offset, text.next_offset, text.text, ended
    )


@code_router.post("", status_code=201, dependencies=[permit(Permission.JOBS_WRITE)])
async def upload_code(
    request: Request, context: Context, actor: Actor, project: ProjectQuery = None
) -> CodeBundle:
    """Keep a tar (plain or gzip) of files that jobs can be run with: `code` of a job. The same
    content is kept once."""
    await jobs.check_may_run(context, actor, project)
    async with upload_slot(context, actor.user_id):
        tar = bytearray()
        async for chunk in request.stream():
            tar += chunk
            if len(tar) > code.MAX_TAR_BYTES:
                limit = format_bytes(code.MAX_TAR_BYTES)
                raise LimitExceeded(
                    f"this code is larger than {limit}",
                    hint="Put data into a folder and mount it: `madang folder upload`, --mount.",
                )
        return CodeBundle(await code.store(context, bytes(tar)), len(tar))


async def _log_messages(
    stream: AsyncIterator[logs.LogText | logs.StateChange | None],
) -> AsyncIterator[Message | None]:
    async for item in stream:
        match item:
            case logs.LogText():
                data: dict[str, object] = {
                    "task_id": item.task_id,
                    "rank": item.rank,
                    "attempt": item.attempt,
                    "offset": item.offset,
                    "next_offset": item.next_offset,
                    "text": item.text,
                }
                yield Message("log", data)
            case logs.StateChange():
                data = {
                    "state": item.state,
                    "reason": why_of(item.reason),
                    "exit_code": item.exit_code,
                    "attempt": item.attempt,
                }
                yield Message("state", data)
            case None:
                yield None


def _offsets(text: str) -> dict[str, int]:
    found = {}
    for part in filter(None, text.split(",")):
        task_id, _, byte = part.partition(":")
        if not byte.isascii() or not byte.isdigit() or len(byte) > 18:
            raise InvalidInput(f"{part[:100]!r} is no TASK:BYTE", field="offsets")
        found[task_id] = int(byte)
    return found
