"""Asks replicas whether they are ready, until they are: GET of their `ready_path` through the
socket that the gateway will use."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx
import structlog
from sqlalchemy import select

from madang.core.errors import MadangError
from madang.core.states import TaskState
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.workloads.history import announce_workload, lock_workload, record_event
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import TaskRow, WorkloadRow

log = structlog.get_logger()

_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_ANSWER_S = 5.0
_LOOK_AGAIN_S = 30.0


async def run(context: ServerContext) -> None:
    """Probe all that is not ready yet, until cancelled."""
    probes: dict[str, asyncio.Task[None]] = {}
    try:
        with context.bus.subscribe("task:") as changes:
            while True:
                with suppress(MadangError):
                    for task_id, socket, path in await _unready(context):
                        if task_id not in probes or probes[task_id].done():
                            probe = asyncio.ensure_future(_probe(context, task_id, socket, path))
                            probes[task_id] = probe
                probes = {name: probe for name, probe in probes.items() if not probe.done()}
                await changes.wait(_LOOK_AGAIN_S)
    finally:
        for probe in probes.values():
            probe.cancel()


async def _unready(context: ServerContext) -> list[tuple[str, str, str]]:
    """Task, socket and path of what runs and is not ready."""
    async with context.db.read() as session:
        rows = await session.execute(
            select(TaskRow.id, TaskRow.app_socket, TaskRow.role, WorkloadRow.spec)
            .join(WorkloadRow, WorkloadRow.id == TaskRow.workload_id)
            .where(
                TaskRow.ended_at.is_(None),
                TaskRow.ready_at.is_(None),
                TaskRow.state == TaskState.RUNNING,
            )
        )
        return [
            (task_id, socket, WorkloadSpec.from_json(spec).role(role).ready_path)
            for task_id, socket, role, spec in rows
            if socket
        ]


async def _probe(context: ServerContext, task_id: str, socket: str, path: str) -> None:
    # Without `verify` certificates would be loaded, which takes a tenth of a second.
    transport = httpx.AsyncHTTPTransport(verify=False, uds=socket)
    tries = 0
    async with httpx.AsyncClient(
        transport=transport,
        base_url="http://app",
        timeout=_ANSWER_S,
        verify=False,
        trust_env=False,
    ) as client:
        while True:
            with suppress(httpx.HTTPError):
                answer = await client.get(path or "/")
                if answer.is_success:
                    break
            if not await _still_unready(context, task_id):
                return
            await asyncio.sleep(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)])
            tries += 1
    await mark_ready(context, task_id)


async def _still_unready(context: ServerContext, task_id: str) -> bool:
    async with context.db.read() as session:
        task = await session.get_one(TaskRow, task_id)
        return task.state == TaskState.RUNNING and task.ready_at is None


async def mark_ready(context: ServerContext, task_id: str) -> None:
    """Write down that a replica answers; does nothing when it no longer runs."""
    async with context.db.transaction() as session:
        found = await session.get_one(TaskRow, task_id)
        row = await lock_workload(session, found.workload_id)
        task = await session.get_one(TaskRow, task_id, populate_existing=True)
        if task.state != TaskState.RUNNING or task.ready_at is not None:
            return
        task.ready_at = context.clock.now()
        record_event(
            session,
            at=task.ready_at,
            subject=task.id,
            action="ready",
            actor="supervisor",
            project_id=row.project_id,
            workload_id=row.id,
        )
        announce(session, f"task:{task.id}")
        announce_workload(session, row)
