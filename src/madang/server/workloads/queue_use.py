"""What queues have and what the cluster has, summed from the ledger: there is no counter that
could drift."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.resources import MILLI
from madang.core.states import WorkloadState
from madang.server.cluster.tables import DeviceRow, NodeRow
from madang.server.workloads.queue_tree import QueueTree
from madang.server.workloads.tables import AllocationRow, QueueRow, WorkloadRow

Models = Mapping[tuple[str, str, int], str]
"""(node, kind, index) → model."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What all nodes have together, and the kinds of accelerators among it."""

    amounts: dict[str, int]
    kinds: tuple[str, ...]
    models: Models


@dataclass(frozen=True, slots=True)
class QueueUse:
    """A queue with what it has now, those below included."""

    queue: QueueRow
    path: str
    leaf: bool
    used: dict[str, int]
    waiting: int
    running: int
    share: float
    fair_share: float

    @property
    def borrowed(self) -> dict[str, int]:
        """What it has above its guarantee."""
        above = {
            name: amount - self.queue.guarantee.get(name, 0) for name, amount in self.used.items()
        }
        return {name: amount for name, amount in above.items() if amount > 0}


async def read_tree(session: AsyncSession) -> QueueTree:
    """All queues that there are."""
    rows = await session.scalars(select(QueueRow).where(QueueRow.deleted_at.is_(None)))
    return QueueTree(rows)


async def read_capacity(session: AsyncSession) -> Capacity:
    """Of all nodes, lost and cordoned ones too: they come back."""
    amounts: Counter[str] = Counter()
    nodes = await session.execute(select(NodeRow.cpu_milli, NodeRow.memory_bytes, NodeRow.counted))
    for cpu_milli, memory_bytes, counted in nodes:
        amounts.update({"cpu": cpu_milli, "memory": memory_bytes, **counted})
    models: dict[tuple[str, str, int], str] = {}
    for device in await session.scalars(select(DeviceRow)):
        models[device.node_id, device.kind, device.index] = device.model
        amounts.update({device.kind: MILLI, f"{device.kind}/{device.model}": MILLI})
    kinds = sorted({kind for _, kind, _ in models} | {"gpu"})
    return Capacity(dict(amounts), tuple(kinds), models)


def amounts_of(allocation: AllocationRow, models: Models) -> Counter[str]:
    """What it holds, counted as limits are."""
    held: Counter[str] = Counter(allocation.counted)
    held.update({"cpu": allocation.cpu_milli, "memory": allocation.memory_bytes})
    for share in allocation.devices:
        _add_share(held, share, models.get((allocation.node_id, share["kind"], share["index"])))
    return held


def _add_share(held: Counter[str], share: Mapping[str, Any], model: str | None) -> None:
    held[share["kind"]] += share["milli"]
    if model is not None:
        held[f"{share['kind']}/{model}"] += share["milli"]


async def uses_of(
    session: AsyncSession, tree: QueueTree, capacity: Capacity, queue_ids: Collection[str]
) -> list[QueueUse]:
    """The use of some queues, in the order of `queue_ids`."""
    own: dict[str, Counter[str]] = defaultdict(Counter)
    for allocation in await session.scalars(
        select(AllocationRow).where(AllocationRow.until.is_(None))
    ):
        own[allocation.queue_id].update(amounts_of(allocation, capacity.models))
    used = tree.summed_up(_known(own, tree))
    counts = tree.summed_up(_known(await _work_counts(session), tree))
    return [
        QueueUse(
            queue=tree.rows[queue_id],
            path=tree.path(queue_id),
            leaf=tree.is_leaf(queue_id),
            used={name: amount for name, amount in used[queue_id].items() if amount},
            waiting=counts[queue_id]["waiting"],
            running=counts[queue_id]["running"],
            share=dominant_share(used[queue_id], capacity.amounts),
            fair_share=tree.fair_share(queue_id),
        )
        for queue_id in queue_ids
    ]


def dominant_share(used: Mapping[str, int], capacity: Mapping[str, int]) -> float:
    """The largest part of anything (Ghodsi et al., Dominant Resource Fairness, NSDI 2011)."""
    shares = (used[name] / capacity[name] for name in used if capacity.get(name))
    return max(shares, default=0.0)


async def _work_counts(session: AsyncSession) -> dict[str, Counter[str]]:
    rows = await session.execute(
        select(WorkloadRow.queue_id, WorkloadRow.state, func.count())
        .where(WorkloadRow.ended_at.is_(None))
        .group_by(WorkloadRow.queue_id, WorkloadRow.state)
    )
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for queue_id, state, count in rows:
        counts[queue_id]["waiting" if state == WorkloadState.PENDING else "running"] += count
    return counts


def _known(amounts: Mapping[str, Counter[str]], tree: QueueTree) -> dict[str, Counter[str]]:
    return {queue_id: own for queue_id, own in amounts.items() if queue_id in tree.rows}


async def count_work(session: AsyncSession, queue_ids: Iterable[str]) -> Counter[str]:
    """`waiting` and `running` work right in these queues."""
    counts = await _work_counts(session)
    total: Counter[str] = Counter()
    for queue_id in queue_ids:
        total.update(counts.get(queue_id, Counter()))
    return total
