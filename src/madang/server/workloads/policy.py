"""The cluster's scheduling policy."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput
from madang.core.permissions import Permission
from madang.scheduling.model import Policy
from madang.schemas.scheduling import PolicySet
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.workloads.history import record_event
from madang.server.workloads.tables import PolicyRow

CLUSTER = "default"

PLACEMENTS = (
    "default",
    "fgd",
    "bestfit",
    "dotprod",
    "gpu-packing",
    "gpu-clustering",
    "random",
    "first-fit",
    "spread",
)
"""Names of `madang.scheduling.placement`."""


async def read_policy(session: AsyncSession) -> Policy:
    """As it was set, or as in a new installation."""
    row = await session.get(PolicyRow, CLUSTER)
    if row is None:
        return Policy()
    pools = tuple(sorted(row.policy.get("pool_placement", {}).items()))
    return Policy(**{**row.policy, "pool_placement": pools})


async def get_policy(context: ServerContext, principal: Principal) -> Policy:
    principal.require(Permission.SCHEDULING_READ)
    async with context.db.read() as session:
        return await read_policy(session)


async def set_policy(context: ServerContext, principal: Principal, request: PolicySet) -> Policy:
    """Decide by this policy from now on. Raises Forbidden, InvalidInput for unknown names."""
    principal.require(Permission.SCHEDULING_WRITE)
    for placement in (request.placement, *request.pool_placement.values()):
        if placement not in PLACEMENTS:
            raise InvalidInput(
                f"{placement[:100]!r} is no placement policy",
                field="placement",
                hint=f"Use one of: {', '.join(PLACEMENTS)}.",
            )
    async with context.db.transaction() as session:
        await session.merge(PolicyRow(cluster=CLUSTER, policy=asdict(request)))
        record_event(
            session,
            at=context.clock.now(),
            subject="policy",
            action="changed",
            actor=principal.name,
            project_id=None,
        )
        announce(session, "policy:")
        await session.flush()
        return await read_policy(session)
