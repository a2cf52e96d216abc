"""The arithmetic behind a wait: nodes, queues, limits, the line; for people who want to check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from madang.core.amounts import format_amounts
from madang.core.resources import Resources, format_bytes, format_milli
from madang.scheduling import sums
from madang.scheduling.backfill import at_minimum
from madang.scheduling.bounds import name_of
from madang.scheduling.lacking import free_counted, free_devices, has_device_for, in_words
from madang.scheduling.ledger import Ledger
from madang.scheduling.model import Group, Node, Request, Wait, Where
from madang.scheduling.placement import Cluster, NodeGroup
from madang.scheduling.queues import QueueNode
from madang.scheduling.reasons import Teller


@dataclass(frozen=True, slots=True)
class NodesWhy:
    """Nodes that are alike, for the replicas of one role.

    nodes: names. open: how many of them take new tasks. free: what is free on all of them
    together. room: how many replicas fit now; room_empty: if nothing ran and all were open.
    short_of: what keeps it from more, in words; empty when nothing does.
    """

    nodes: tuple[str, ...]
    open: int
    shape: str
    pool: str
    labels: tuple[tuple[str, str], ...]
    free: str
    room: int
    room_empty: int
    short_of: str


@dataclass(frozen=True, slots=True)
class RoleWhy:
    """What the replicas of a role need, and the nodes for it: those that could take most first."""

    role: str
    replicas: int
    needs: str
    nodes: tuple[NodesWhy, ...]


@dataclass(frozen=True, slots=True)
class QueueWhy:
    """A queue, from the leaf up. Amounts in words. share: the largest part of anything in the
    cluster that it holds. borrowed: what it holds above its guarantee."""

    id: str
    name: str
    open: bool
    weight: float
    share: float
    used: str
    guarantee: str
    borrowed: str
    limit: str
    asks: str


@dataclass(frozen=True, slots=True)
class LimitWhy:
    """A limit that holds for the request's user or project; what it has, and may have."""

    subject: str
    running: int
    most_running: int | None
    used: str
    most: str


@dataclass(frozen=True, slots=True)
class Why:
    """position: 1 is the first of the `queued` that wait in the queue."""

    wait: Wait
    position: int
    queued: int
    needs: str
    roles: tuple[RoleWhy, ...]
    queues: tuple[QueueWhy, ...]
    limits: tuple[LimitWhy, ...]

    def lines(self) -> list[str]:
        """Of queues and limits, as text."""
        return [*_queue_lines(self), *_limit_lines(self.limits)]


def why(teller: Teller, ledger: Ledger, request: Request) -> Why:
    """Why a request waits, with all that was counted."""
    leaf = ledger.tree.leaf(request.queue)
    assert leaf.line is not None
    amounts = sums.of_groups(ledger.meter, at_minimum(request.groups))
    kinds = ledger.kinds or {"gpu"}
    return Why(
        wait=teller.wait(request),
        position=teller.ahead(request, leaf) + 1,
        queued=leaf.line.size,
        needs=_needs(request.groups),
        roles=tuple(_role(group, ledger.cluster, teller) for group in request.groups),
        queues=tuple(
            _queue(node, format_amounts(dict(amounts), kinds), kinds)
            for node in leaf.path
            if node.id
        ),
        limits=tuple(_limits(ledger, request, kinds)),
    )


# -- nodes ------------------------------------------------------------------------------------


def _role(group: Group, cluster: Cluster, teller: Teller) -> RoleWhy:
    need, where = group.resources, group.where
    now = cluster.most_by_row(need, where, empty=False)
    empty = teller.obstacles.lacking.opened.most_by_row(need, where, empty=False)
    found = []
    for alike in cluster.free().groups:
        room, room_empty = int(now[alike.rows].sum()), int(empty[alike.rows].sum())
        found.append(_nodes(alike, cluster, need, where, room, room_empty))
    found.sort(key=lambda one: (-one.room_empty, -one.room, one.nodes))
    return RoleWhy(group.role, group.replicas_min, in_words(need), tuple(found))


def _nodes(
    alike: NodeGroup, cluster: Cluster, need: Resources, where: Where, room: int, empty: int
) -> NodesWhy:
    free = cluster.free()
    members = [(row, node) for row in alike.rows.tolist() if (node := free.nodes[row]) is not None]
    space = free.space
    cpu = sum(max(0, int(space.cpu_milli[row])) for row, _ in members)
    memory = sum(max(0, int(space.memory_bytes[row])) for row, _ in members)
    parts = [f"cpu={format_milli(cpu)}", f"memory={format_bytes(memory)}"]
    if need.device_kind and alike.node_type.devices:
        columns = range(len(alike.node_type.devices))
        milli = sum(max(0, int(space.device_milli[row, c])) for row, _ in members for c in columns)
        parts.append(f"{need.device_kind}={format_milli(milli)}")
    for name, _ in need.counted:
        parts.append(f"{name}={sum(free_counted(cluster, row, name) for row, _ in members)}")
    short = _unfit(members[0][1], need, where) if not empty else ""
    return NodesWhy(
        nodes=tuple(sorted(node.name for _, node in members)),
        open=sum(node.open for _, node in members),
        shape=_shape(members[0][1]),
        pool=alike.pool,
        labels=alike.labels,
        free=" ".join(parts),
        room=room,
        room_empty=empty,
        short_of=short or (_short_of(members, cluster, need) if room < empty else ""),
    )


def _unfit(node: Node, need: Resources, where: Where) -> str:
    """Why nodes like this could never take it."""
    if where.pool and node.pool != where.pool:
        return f"not in pool {where.pool}"
    missing = [
        f"{name}={value}" for name, value in where.labels if (name, value) not in node.labels
    ]
    if missing:
        return f"without label {', '.join(missing)}"
    if need.device_kind and not has_device_for(node, need):
        wanted = need.device_profile or "|".join(need.device_models) or need.device_kind
        return f"no {wanted}"
    return "too small"


def _short_of(members: Sequence[tuple[int, Node]], cluster: Cluster, need: Resources) -> str:
    """What is missing for one more, on how many of the nodes: `short of cpu on 1, gpu on 3; 2
    closed`."""
    space = cluster.free().space
    counts: Counter[str] = Counter()
    closed = 0
    for row, node in members:
        if not node.open:
            closed += 1
            continue
        if space.cpu_milli[row] < need.cpu_milli:
            counts["cpu"] += 1
        if space.memory_bytes[row] < need.memory_bytes:
            counts["memory"] += 1
        if need.device_kind and _devices_short(cluster, row, need):
            counts[need.device_kind] += 1
        for name, amount in need.counted:
            held = space.counted.get(name)
            if held is None or held[row] < amount:
                counts[name] += 1
    words = ", ".join(f"{name} on {count}" for name, count in sorted(counts.items()))
    parts = [f"short of {words}"] if words else []
    return "; ".join([*parts, f"{closed} closed"] if closed else parts)


def _devices_short(cluster: Cluster, row: int, need: Resources) -> bool:
    free = free_devices(cluster, row, need)
    if need.device_milli:
        return free < need.device_milli
    memory = cluster.free().space.device_memory_bytes[row]
    return bool(memory.max(initial=0) < need.device_memory_bytes)


def _shape(node: Node) -> str:
    """`8 NVIDIA H100, cpu=128 memory=1TiB`."""
    devices = Counter(device.profile or device.model for device in node.devices)
    parts = [f"{count} {model}" for model, count in sorted(devices.items())]
    parts.append(f"cpu={format_milli(node.cpu_milli)} memory={format_bytes(node.memory_bytes)}")
    return ", ".join(parts)


# -- queues and limits ------------------------------------------------------------------------


def _queue(node: QueueNode, asks: str, kinds: set[str]) -> QueueWhy:
    borrowed = {
        name: used - node.guarantee[name]
        for name, used in node.use.items()
        if name in node.guarantee and used > node.guarantee[name]
    }
    used = {name: amount for name, amount in sorted(node.use.items()) if amount}
    return QueueWhy(
        id=node.id,
        name=name_of(node),
        open=node.queue.open,
        weight=node.queue.weight,
        share=node.share,
        used=format_amounts(used, kinds),
        guarantee=format_amounts(node.guarantee, kinds) if node.guarantee else "",
        borrowed=format_amounts(borrowed, kinds) if borrowed else "",
        limit=format_amounts(node.limit, kinds) if node.limit else "",
        asks=asks,
    )


def _limits(ledger: Ledger, request: Request, kinds: set[str]) -> Iterator[LimitWhy]:
    known = {limit.subject: limit for limit in ledger.limits}
    for kind, name in (("user", request.user), ("project", request.project)):
        limit = known.get(f"{kind}:{name}") or known.get(f"{kind}:*")
        if limit is None or not name or (limit.running is None and not limit.amounts):
            continue
        runs = [run for run in ledger.runs if run.keys and getattr(run.request, kind) == name]
        used: dict[str, int] = {}
        for run in runs:
            for held in run.keys.values():
                sums.add(used, held)
        named = {one: used.get(one, 0) for one, _ in limit.amounts}
        yield LimitWhy(
            f"{kind}:{name}",
            len(runs),
            limit.running,
            format_amounts(named, kinds) if named else "",
            format_amounts(dict(limit.amounts), kinds) if named else "",
        )


# -- text -------------------------------------------------------------------------------------


def _needs(groups: Sequence[Group]) -> str:
    return ", ".join(
        f"{group.role}: {in_words(group.resources)}"
        if group.replicas_min == 1
        else f"{group.role}: {group.replicas_min} times {in_words(group.resources)}"
        for group in groups
    )


def _queue_lines(told: Why) -> Iterator[str]:
    for level, queue in enumerate(told.queues):
        place = f", place {told.position} of {told.queued}" if level == 0 else ""
        line = f"queue {queue.name}{place}: uses {queue.used}"
        line += f" (share {queue.share:.1%}, weight {queue.weight:g})"
        line += f"; guaranteed {queue.guarantee}" if queue.guarantee else ""
        line += f", borrows {queue.borrowed}" if queue.borrowed else ""
        line += f"; limit {queue.limit}" if queue.limit else ""
        yield line + ("" if queue.open else "; closed")


def _limit_lines(limits: Sequence[LimitWhy]) -> Iterator[str]:
    for limit in limits:
        parts = []
        if limit.most_running is not None:
            parts.append(f"runs {limit.running} of at most {limit.most_running}")
        if limit.most:
            parts.append(f"uses {limit.used} of at most {limit.most}")
        yield f"{limit.subject.replace(':', ' ')}: {', '.join(parts)}"
