"""Stopping everything, for `madang down --all`."""

from __future__ import annotations

from sqlalchemy import select

from madang.core.permissions import Permission
from madang.core.reasons import Reason, ReasonCode
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads.service import cancel
from madang.server.workloads.tables import WorkloadRow


async def stop_everything(context: ServerContext, principal: Principal) -> int:
    """Cancel all that runs or waits, in all projects; how many have not ended yet.

    From the first call on this server takes no new work, so that nothing (an endpoint's replica)
    is started in the place of what stops. Safe to repeat. Raises Forbidden.
    """
    principal.require(Permission.NODES_WRITE)
    context.draining = True
    async with context.db.read() as session:
        live = list(
            await session.scalars(select(WorkloadRow.id).where(WorkloadRow.ended_at.is_(None)))
        )
    reason = Reason(ReasonCode.SHUTDOWN, {"actor": principal.name})
    for workload_id in live:
        await cancel(context, principal.name, workload_id, reason)
    return len(live)
