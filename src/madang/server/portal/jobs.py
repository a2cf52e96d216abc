"""Jobs: the list."""

from __future__ import annotations

import asyncio
from html import escape
from typing import Any

from nicegui import ui

from madang.core.permissions import Permission
from madang.core.states import WorkloadState
from madang.schemas import Page
from madang.schemas.jobs import Job
from madang.server.portal.components import chip, link_button, moment, note
from madang.server.portal.filters import Filter
from madang.server.portal.frame import header, page, role_note
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession
from madang.server.portal.table import Column, ServerTable

COUNTED = 100
"""The state sentence counts up to here; more is "100 or more"."""


@page("/jobs", title="Jobs", section="/jobs")
async def jobs_page(session: PortalSession) -> None:
    say = session.say
    with header(say("Jobs")) as state:
        if session.may(Permission.JOBS_WRITE):
            link_button(say("New job"), "/new-job", "primary")
    role_note(session, Permission.JOBS_WRITE)

    async def cancel(keys: list[str]) -> None:
        await asyncio.gather(*(session.client.jobs.cancel(key) for key in keys))
        ui.notify(say("Asked {count} jobs to stop.", count=len(keys)))

    def empty() -> None:
        note(
            say("No jobs yet"),
            say("A job runs a command with the CPUs, memory and GPUs that you ask for."),
            action=(say("New job"), "/new-job"),
            command_line="madang job run --cpu 2 --memory 4GiB -- python train.py",
        )

    table = ServerTable(
        session,
        fetch_jobs(session),
        job_columns(session),
        key=lambda job: job.id,
        name=lambda job: job.name,
        href=lambda job: f"/jobs/{job.id}",
        empty=empty,
        filters=[
            Filter("name", say("Search by name")),
            Filter(
                "state",
                say("Any state"),
                tuple((state.value, say(state.value)) for state in WorkloadState),
            ),
            Filter("user", say("Anyone's"), (("me", say("Only mine")),)),
        ],
        bulk=[(say("Cancel chosen"), cancel)] if session.may(Permission.JOBS_WRITE) else [],
    )

    async def draw() -> None:
        state.set_content(escape(await jobs_sentence(session)))
        await table.refresh()

    state.set_content(escape(await jobs_sentence(session)))
    await table.build()
    refresh_on(session, (session.topic("workloads"),), draw)


def fetch_jobs(session: PortalSession) -> Any:
    async def fetch(limit: int, cursor: str | None, **filters: str) -> Page[Job]:
        state = filters.pop("state", None)
        return await session.client.jobs.list(
            limit=limit, cursor=cursor, state=[state] if state else None, **filters
        )

    return fetch


def job_columns(session: PortalSession) -> list[Column[Job]]:
    say = session.say
    return [
        Column(
            say("Name"),
            lambda job: f'<a href="/jobs/{escape(job.id)}">{escape(job.name)}</a>',
            lambda job: job.name,
        ),
        Column(say("State"), lambda job: state_line(session, job), lambda job: job.state),
        Column(say("By"), lambda job: escape(job.user), lambda job: job.user),
        Column(
            say("Asks for"),
            lambda job: f'<span class="m-mono">{escape(asks_for(job))}</span>',
            asks_for,
        ),
        Column(say("Created"), lambda job: moment(job.created_at), lambda job: job.created_at),
    ]


def state_line(session: PortalSession, job: Job) -> str:
    """Chip, sentence, since when."""
    since = job.ended_at or job.started_at or job.created_at
    shown = job.reason is not None and job.state != WorkloadState.RUNNING
    why = f"<span>{escape(session.why(job.reason))}</span> " if shown and job.reason else ""
    return (
        f'<span class="m-state">{chip(job.state, session.say(job.state.value))} '
        f'{why}<span class="m-muted">{moment(since)}</span></span>'
    )


def asks_for(job: Job) -> str:
    wanted = " ".join(f"{key}={value}" for key, value in job.resources.items())
    if job.replicas_max > job.replicas:
        return f"{job.replicas}..{job.replicas_max} × {wanted}"
    return f"{job.replicas} × {wanted}" if job.replicas > 1 else wanted


async def jobs_sentence(session: PortalSession) -> str:
    """`3 run, 1 waits: waits for 2 GPUs…`: what is going on, in one line."""
    running, waiting = await asyncio.gather(
        session.client.jobs.list(limit=COUNTED, state=["running"]),
        session.client.jobs.list(limit=COUNTED, state=["pending"]),
    )
    if not running.items and not waiting.items:
        return session.say("Nothing runs or waits.")
    counts = {"running": _count(running), "waiting": _count(waiting)}
    first = next((job for job in reversed(waiting.items) if job.reason), None)
    if first is None or first.reason is None:
        return session.say("{running} running, {waiting} waiting.", **counts)
    return session.say(
        "{running} running, {waiting} waiting; {name} {reason}.",
        **counts,
        name=first.name,
        reason=session.why(first.reason),
    )


def _count(page: Page[Job]) -> str:
    return f"{COUNTED}+" if page.next_cursor else str(len(page.items))
