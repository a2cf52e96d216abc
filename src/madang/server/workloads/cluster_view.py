"""Who holds what: every device with its holders, and the cluster in a few numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.permissions import Permission
from madang.core.resources import MILLI
from madang.core.states import WorkloadState
from madang.schemas.nodes import NodeState
from madang.server.cluster.nodes import NodeUse, state_of, uses_of_nodes
from madang.server.cluster.tables import DeviceRow, NodeRow
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.tables import ProjectRow, UserRow
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import AllocationRow, WorkloadRow

Place = tuple[str, str, int]
"""(node, kind, index) of a device."""

_SMALL = 0.5
"""What less than this part of requests could use is a fragment."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One task's part of one device."""

    allocation: AllocationRow
    milli: int
    memory_bytes: int
    workload: str
    kind: str
    user: str
    project: str


@dataclass(slots=True)
class DeviceSizes:
    """How much of one device requests ask for, by kind, sorted: those that run and wait."""

    by_kind: dict[str, list[int]] = field(default_factory=dict)

    def is_fragment(self, kind: str, free_milli: int) -> bool:
        """Whether most requests could not use so little of a device. Without any request nothing
        is too little."""
        sizes = self.by_kind.get(kind)
        if not sizes or not 0 < free_milli < MILLI:
            return False
        return bisect_right(sizes, free_milli) < _SMALL * len(sizes)


@dataclass(frozen=True, slots=True)
class View:
    """Some nodes and the holders of their devices."""

    uses: list[NodeUse]
    holders: dict[Place, list[Holder]]
    sizes: DeviceSizes

    def is_fragment(self, use: NodeUse, device: DeviceRow) -> bool:
        free = MILLI - use.device_milli[device.kind, device.index]
        return self.sizes.is_fragment(device.kind, free)


@dataclass(frozen=True, slots=True)
class Totals:
    view: View
    waiting: int
    running: int


async def view_cluster(
    context: ServerContext,
    principal: Principal,
    *,
    limit: int,
    cursor: str | None,
    pool: str | None = None,
    state: NodeState | None = None,
    name: str | None = None,
) -> View:
    """Nodes by name with the holders of their devices; one more than `limit` when there are."""
    principal.require(Permission.SCHEDULING_READ)
    query = select(NodeRow).order_by(NodeRow.name).limit(limit + 1)
    if cursor:
        query = query.where(NodeRow.name > cursor)
    if pool is not None:
        query = query.where(NodeRow.pool == pool)
    if name:
        query = query.where(NodeRow.name.contains(name, autoescape=True))
    if state is NodeState.LOST:
        query = query.where(NodeRow.lost_at.is_not(None))
    elif state is not None:
        cordoned = NodeRow.cordoned_at
        query = query.where(
            NodeRow.lost_at.is_(None),
            cordoned.is_(None) if state is NodeState.READY else cordoned.is_not(None),
        )
    async with context.db.read() as session:
        uses = await uses_of_nodes(session, list(await session.scalars(query)))
        holders = await _holders(session, [use.node.id for use in uses])
        return View(uses, holders, await read_sizes(session))


async def sum_up(context: ServerContext, principal: Principal) -> Totals:
    """All nodes, without their holders."""
    principal.require(Permission.SCHEDULING_READ)
    async with context.db.read() as session:
        uses = await uses_of_nodes(session, list(await session.scalars(select(NodeRow))))
        sizes = await read_sizes(session)
        states = await session.execute(
            select(WorkloadRow.state, func.count())
            .where(WorkloadRow.ended_at.is_(None))
            .group_by(WorkloadRow.state)
        )
        counts = Counter({state: count for state, count in states})
    waiting = counts.pop(WorkloadState.PENDING, 0)
    return Totals(View(uses, {}, sizes), waiting, counts.total())


def node_states(uses: Sequence[NodeUse]) -> Counter[str]:
    return Counter(str(state_of(use.node)) for use in uses)


async def read_sizes(session: AsyncSession) -> DeviceSizes:
    """From the specs of all that lives."""
    sizes: dict[str, list[int]] = defaultdict(list)
    specs = await session.scalars(select(WorkloadRow.spec).where(WorkloadRow.ended_at.is_(None)))
    for spec in specs:
        for role in WorkloadSpec.from_json(spec).roles:
            if kind := role.resources.device_kind:
                sizes[kind].append(min(MILLI, role.resources.device_milli))
    return DeviceSizes({kind: sorted(found) for kind, found in sizes.items()})


async def _holders(session: AsyncSession, node_ids: Sequence[str]) -> dict[Place, list[Holder]]:
    rows = await session.execute(
        select(AllocationRow, WorkloadRow.name, WorkloadRow.kind, UserRow.name, ProjectRow.name)
        .join(WorkloadRow, WorkloadRow.id == AllocationRow.workload_id)
        .join(UserRow, UserRow.id == AllocationRow.user_id)
        .join(ProjectRow, ProjectRow.id == AllocationRow.project_id)
        .where(AllocationRow.until.is_(None), AllocationRow.node_id.in_(node_ids))
        .order_by(AllocationRow.since, AllocationRow.id)
    )
    holders: dict[Place, list[Holder]] = defaultdict(list)
    for allocation, *names in rows:
        for share in allocation.devices:
            holders[allocation.node_id, share["kind"], share["index"]].append(
                Holder(allocation, share["milli"], share["memory_bytes"], *names)
            )
    return holders
