"""Routes of what happened, and of what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.events import Event
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.api.job_views import event_of
from madang.server.api.sse import Message, event_stream
from madang.server.context import ServerContext
from madang.server.workloads import events
from madang.server.workloads.reason_names import names_in_events
from madang.server.workloads.service import project_names
from madang.server.workloads.tables import EventRow

router = APIRouter(prefix="/events", tags=["events"])

ProjectQuery = Annotated[str | None, Query(description="Project, by name or id.")]
WorkloadQuery = Annotated[str | None, Query(description="Id of a job, session or service.")]


@router.get("", dependencies=[permit(Permission.EVENTS_READ)])
async def list_events(
    context: Context,
    actor: Actor,
    paging: PagingQuery,
    project: ProjectQuery = None,
    workload: WorkloadQuery = None,
    subject: Annotated[str | None, Query(description="Id of a job, task or node.")] = None,
) -> Page[Event]:
    """What happened, newest first."""
    rows = await events.list_events(
        context,
        actor,
        project=project,
        workload_id=workload,
        subject=subject,
        limit=paging.limit,
        cursor=paging.cursor,
    )
    names = await project_names(context, {row.project_id for row in rows if row.project_id})
    jobs = await names_in_events(context, actor, rows)
    return page_of(rows, paging, lambda row: event_of(row, names, jobs))


@router.get("/stream", response_model=None, dependencies=[permit(Permission.EVENTS_READ)])
async def stream_events(
    context: Context,
    actor: Actor,
    project: ProjectQuery = None,
    workload: WorkloadQuery = None,
    after: Annotated[int | None, Query(description="Those after this number first.")] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """What happens, as server-sent events named `event`; a browser that connects again misses
    nothing."""
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit():
        after = int(last_event_id[:18])
    stream = events.stream_events(
        context, actor, project=project, workload_id=workload, after=after
    )
    return event_stream(_messages(context, stream))


async def _messages(
    context: ServerContext, stream: AsyncIterator[EventRow | None]
) -> AsyncIterator[Message | None]:
    names: dict[str, str] = {}
    async for row in stream:
        if row is None:
            yield None
            continue
        if row.project_id and row.project_id not in names:
            names |= await project_names(context, {row.project_id})
        yield Message("event", event_of(row, names), str(row.id))
