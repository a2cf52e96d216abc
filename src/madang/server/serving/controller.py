"""The loop of endpoints: lets a new revision take over when it is ready, clears old ones away.

Replicas are started, watched and restarted by the workloads' own supervisor; this loop decides
which revision answers. It acts on events; a look at everything now and then finds what it missed.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.states import WorkloadState
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.serving.tables import EndpointRevisionRow, EndpointRow
from madang.server.workloads.history import record_event
from madang.server.workloads.service import cancel_in, live_apps
from madang.server.workloads.tables import WorkloadRow

ACTOR = "endpoints"
RECHECK_S = 60.0
LINGER_S = 2.0
"""How long the replaced revision stays: the gateway learns of the new one meanwhile."""

log = structlog.get_logger()


async def run(context: ServerContext) -> None:
    """Act until cancelled; one endpoint's failure is logged and keeps no other from its turn."""
    controller = Controller(context)
    with context.bus.subscribe("endpoint:", "workload:") as changes:
        pending = await controller.all_ids()
        while True:
            again_s = RECHECK_S
            for endpoint_id in sorted(pending):
                again_s = min(again_s, await controller.step(endpoint_id))
            topics = await changes.wait(again_s)
            pending = controller.concerned(topics) if topics else await controller.all_ids()


class Controller:
    """Remembers which workload is whose, so that the others' events cost nothing."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._endpoint_of: dict[str, str] = {}

    async def all_ids(self) -> set[str]:
        """Every endpoint there is."""
        async with self._context.db.read() as session:
            rows = await session.execute(
                select(EndpointRevisionRow.workload_id, EndpointRevisionRow.endpoint_id).where(
                    EndpointRevisionRow.retired_at.is_(None)
                )
            )
            self._endpoint_of = {workload_id: endpoint_id for workload_id, endpoint_id in rows}
        return set(self._endpoint_of.values())

    def concerned(self, topics: list[str]) -> set[str]:
        """The endpoints that these topics are about."""
        found = set()
        for topic in topics:
            kind, _, subject = topic.partition(":")
            if kind == "endpoint":
                found.add(subject)
            elif subject in self._endpoint_of:
                found.add(self._endpoint_of[subject])
        return found

    async def step(self, endpoint_id: str) -> float:
        """Bring one endpoint forward; seconds until it wants another look."""
        try:
            async with self._context.db.transaction() as session:
                return await self._reconcile(session, endpoint_id)
        except Exception as error:
            log.error(
                "an endpoint could not be looked after", endpoint=endpoint_id, exc_info=error
            )
            return LINGER_S

    async def _reconcile(self, session: AsyncSession, endpoint_id: str) -> float:
        row = await session.scalar(
            select(EndpointRow).where(EndpointRow.id == endpoint_id).with_for_update()
        )
        if row is None:
            return RECHECK_S
        revisions = list(
            await session.scalars(
                select(EndpointRevisionRow)
                .where(
                    EndpointRevisionRow.endpoint_id == endpoint_id,
                    EndpointRevisionRow.retired_at.is_(None),
                )
                .order_by(EndpointRevisionRow.workload_id)
            )
        )
        for revision in revisions:
            self._endpoint_of[revision.workload_id] = endpoint_id
        if row.deleted_at is not None:
            await self._clear_away(session, row, revisions)
            return RECHECK_S
        await self._switch(session, row, revisions)
        return await self._retire(session, row, revisions)

    async def _switch(
        self, session: AsyncSession, row: EndpointRow, revisions: list[EndpointRevisionRow]
    ) -> None:
        """Let the target answer once it can: with all its replicas, or with the first one when
        nothing else answers."""
        if row.active_id == row.target_id:
            return
        by_id = {revision.id: revision for revision in revisions}
        target, active = by_id[row.target_id], by_id.get(row.active_id or "")
        num_ready = len(await live_apps(session, target.workload_id))
        answers = active is not None and await live_apps(session, active.workload_id)
        if num_ready < (target.replicas if answers else 1):
            return
        now = self._context.clock.now()
        if active is not None:
            active.superseded_at = now
        row.active_id = target.id
        target.superseded_at = None
        record_event(
            session,
            at=now,
            subject=row.id,
            action="answers",
            actor=ACTOR,
            project_id=row.project_id,
            workload_id=target.workload_id,
            new=f"{target.model_name}/{target.model_version}",
        )
        announce(session, f"endpoint:{row.id}")

    async def _retire(
        self, session: AsyncSession, row: EndpointRow, revisions: list[EndpointRevisionRow]
    ) -> float:
        """Stop what is neither wanted nor answers; seconds until the next one may go."""
        again_s = RECHECK_S
        now = self._context.clock.now()
        for revision in revisions:
            if revision.id in (row.target_id, row.active_id):
                continue
            since = revision.superseded_at
            left = since + timedelta(seconds=LINGER_S) - now if since else timedelta(0)
            if left > timedelta(0):
                again_s = min(again_s, left.total_seconds())
                continue
            await cancel_in(self._context, session, ACTOR, revision.workload_id)
            revision.retired_at = now
        return again_s

    async def _clear_away(
        self, session: AsyncSession, row: EndpointRow, revisions: list[EndpointRevisionRow]
    ) -> None:
        """Stop everything; when all has ended, forget the endpoint."""
        for revision in revisions:
            await cancel_in(self._context, session, row.deleted_by, revision.workload_id)
        states = await session.scalars(
            select(WorkloadRow.state).where(
                WorkloadRow.id.in_([revision.workload_id for revision in revisions])
            )
        )
        if not all(WorkloadState(state).ended for state in states):
            return
        for revision in revisions:
            self._endpoint_of.pop(revision.workload_id, None)
        await session.execute(
            delete(EndpointRevisionRow).where(EndpointRevisionRow.endpoint_id == row.id)
        )
        await session.delete(row)
        announce(session, f"endpoint:{row.id}")
