"""Why a queue has what it has: its shares as arithmetic and in words, and who waits in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.amounts import format_amount
from madang.core.states import WorkloadState
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads.queue_tree import QueueTree
from madang.server.workloads.queue_use import (
    Capacity,
    QueueUse,
    read_capacity,
    read_tree,
    uses_of,
)
from madang.server.workloads.queues import find_queue
from madang.server.workloads.tables import QueueRow, WorkloadRow


@dataclass(frozen=True, slots=True)
class Share:
    """One resource of a queue, counted; see `schemas.queues.ShareLine`."""

    resource: str
    cluster: int
    guarantee: int
    fair: int
    limit: int | None
    used: int
    borrowed: int
    lent: int
    available: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    use: QueueUse
    tree: QueueTree
    kinds: tuple[str, ...]
    shares: list[Share]
    sentences: list[str]
    waiting: list[tuple[int, WorkloadRow]]
    """Place in the line, which begins with 1, and who has it."""


async def explain_queue(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    queue: str,
    *,
    limit: int,
) -> Explanation:
    """The first `limit` of those that wait, in the order in which the queue takes them."""
    async with context.db.read() as session:
        row = await find_queue(session, principal, queue, project)
        tree, capacity = await read_tree(session), await read_capacity(session)
        row = tree.rows[row.id]
        uses = {use.queue.id: use for use in await uses_of(session, tree, capacity, [*tree.rows])}
        waiting = await _waiting(session, tree, row, limit)
    use = uses[row.id]
    shares = [
        _share(name, tree, uses, row, capacity) for name in _resources(tree, row, use, capacity)
    ]
    sentences = _sentences(use, shares, capacity.kinds, tree)
    return Explanation(use, tree, capacity.kinds, shares, sentences, waiting)


async def place_in_line(session: AsyncSession, row: WorkloadRow) -> tuple[int, int]:
    """Its place in its queue by priority and time (1: the first), and how many wait there."""
    mine = (WorkloadRow.queue_id == row.queue_id, WorkloadRow.state == WorkloadState.PENDING)
    before = (WorkloadRow.priority > row.priority) | (
        (WorkloadRow.priority == row.priority)
        & (
            (WorkloadRow.created_at < row.created_at)
            | ((WorkloadRow.created_at == row.created_at) & (WorkloadRow.id < row.id))
        )
    )
    count = select(func.count()).select_from(WorkloadRow)
    ahead = await session.scalar(count.where(*mine, before)) or 0
    queued = await session.scalar(count.where(*mine)) or 0
    return ahead + 1, queued


async def _waiting(
    session: AsyncSession, tree: QueueTree, row: QueueRow, limit: int
) -> list[tuple[int, WorkloadRow]]:
    leaves = [other for other in tree.rows if row in tree.upward(other)]
    found = await session.scalars(
        select(WorkloadRow)
        .where(
            WorkloadRow.queue_id.in_(leaves),
            WorkloadRow.state == WorkloadState.PENDING,
            WorkloadRow.ended_at.is_(None),
        )
        .order_by(WorkloadRow.priority.desc(), WorkloadRow.created_at, WorkloadRow.id)
        .limit(limit)
    )
    return list(enumerate(found, start=1))


def _resources(tree: QueueTree, row: QueueRow, use: QueueUse, capacity: Capacity) -> Sequence[str]:
    """What there is to say something about: what it has, may have, or asks for by its bounds."""
    bounds = (row.guarantee, row.limit, row.borrowing_limit, row.lending_limit)
    named = {name for bound in bounds for name in bound} | set(use.used)
    return sorted(named | (set(capacity.kinds) & capacity.amounts.keys()) | {"cpu", "memory"})


def _share(
    name: str, tree: QueueTree, uses: Mapping[str, QueueUse], row: QueueRow, capacity: Capacity
) -> Share:
    used = uses[row.id].used.get(name, 0)
    guarantee = row.guarantee.get(name, 0)
    total = capacity.amounts.get(name, 0)
    rooms = [
        bound - uses[above.id].used.get(name, 0)
        for above in tree.upward(row.id)
        if (bound := _bound(above, name)) is not None
    ]
    return Share(
        resource=name,
        cluster=total,
        guarantee=guarantee,
        fair=round(total * uses[row.id].fair_share),
        limit=_bound(row, name),
        used=used,
        borrowed=max(0, used - guarantee),
        lent=max(0, guarantee - used),
        available=max(0, min(rooms)) if rooms else None,
    )


def _bound(row: QueueRow, name: str) -> int | None:
    """The most that it may hold: its limit, or its guarantee and what it may borrow."""
    bounds = [row.limit[name]] if name in row.limit else []
    if name in row.borrowing_limit:
        bounds.append(row.guarantee.get(name, 0) + row.borrowing_limit[name])
    return min(bounds, default=None)


def _sentences(
    use: QueueUse, shares: Sequence[Share], kinds: Sequence[str], tree: QueueTree
) -> list[str]:
    queue = use.queue
    siblings = tree.children(queue.parent_id or "")
    weights = sum(sibling.weight for sibling in siblings)
    told = [
        f"{use.path} has weight {queue.weight:g} of {weights:g} beside its siblings: "
        f"{use.fair_share:.1%} of the cluster while all want more; it has {use.share:.1%}."
    ]
    for share in shares:
        if share.resource in ("cpu", "memory") and not (share.guarantee or share.limit):
            continue
        told.append(_sentence(share, kinds))
    if not queue.is_open:
        told.append("It is closed: nothing new starts from it.")
    if not queue.reclaimable:
        told.append("What it has above its guarantee is not taken back by others.")
    order = f"; inside it goes by {queue.ordering}" if use.leaf else " below it"
    told.append(f"{use.waiting} wait and {use.running} run{order}.")
    return told


def _sentence(share: Share, kinds: Sequence[str]) -> str:
    def shown(amount: int) -> str:
        return format_amount(share.resource, amount, kinds)

    parts = [f"{share.resource}: uses {shown(share.used)} of {shown(share.cluster)}"]
    if share.guarantee:
        parts.append(f"guaranteed {shown(share.guarantee)}")
        parts.append(
            f"borrows {shown(share.borrowed)}" if share.borrowed else f"lends {shown(share.lent)}"
        )
    if share.limit is not None:
        parts.append(f"never more than {shown(share.limit)}")
    if share.available is not None:
        parts.append(f"its bounds leave it {shown(share.available)}")
    return ", ".join(parts) + "."
