"""Placing all groups of a request at once, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from madang.scheduling.model import Group, Placement, Work
from madang.scheduling.placement.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Attempt:
    """How far a placement got: all that is needed, or `fitting` replicas and then no more."""

    placements: tuple[Placement, ...]
    fitting: int
    complete: bool


def place(
    groups: Sequence[Group],
    cluster: Cluster,
    work: Work | None = None,
    within: Collection[str] | None = None,
) -> Attempt:
    """Put the minimum of every group where it fits best, then more up to the maximum. What was
    placed is taken from `cluster`; nothing is when it is not complete."""
    placed: list[tuple[Group, Placement]] = []
    for group in groups:
        if not _place_replicas(group, range(group.replicas_min), cluster, within, placed):
            fitting = len(placed)
            _give_back(placed, cluster)
            return Attempt((), fitting, False)
    for group in groups:
        more = range(group.replicas_min, group.replicas_max)
        _place_replicas(group, more, cluster, within, placed)
    return Attempt(tuple(placement for _, placement in placed), len(placed), True)


def undo(attempt: Attempt, groups: Sequence[Group], cluster: Cluster) -> None:
    """Give back what a complete attempt has taken."""
    by_role = {group.role: group for group in groups}
    _give_back([(by_role[p.role], p) for p in attempt.placements], cluster)


def _place_replicas(
    group: Group,
    numbers: range,
    cluster: Cluster,
    within: Collection[str] | None,
    placed: list[tuple[Group, Placement]],
) -> bool:
    """Whether all of them found a place."""
    for number in numbers:
        allowed = _left_for(group, cluster, within, placed)
        choice = cluster.choose(group.resources, group.where, allowed)
        if choice is None:
            return False
        node_id, devices = choice
        cluster.take(node_id, group.resources, devices)
        placed.append((group, Placement(group.role, group.first + number, node_id, devices)))
    return True


def _left_for(
    group: Group,
    cluster: Cluster,
    within: Collection[str] | None,
    placed: Sequence[tuple[Group, Placement]],
) -> Collection[str] | None:
    """Where the next replica may go, given where those before it went."""
    where = group.where
    if not where.together and not where.apart:
        return within
    used = {p.node_id for other, p in placed if other.role == group.role}
    left = set(cluster.node_ids if within is None else within)
    if where.apart == "node":
        left -= used
    elif where.apart == "rack":
        for rack in {cluster.rack_of(node_id) for node_id in used}:
            left.difference_update(cluster.ids_in_rack(rack))
    if where.together == "node":
        return left & used if used else _with_room(group, cluster, left, "node")
    if where.together == "rack":
        if not used:
            return _with_room(group, cluster, left, "rack")
        left.intersection_update(cluster.ids_in_rack(cluster.rack_of(next(iter(used)))))
    return left


def _with_room(group: Group, cluster: Cluster, left: set[str], unit: str) -> set[str]:
    """Nodes of which the unit (a node, a rack) could take all replicas that are needed."""
    most = cluster.most_by_row(group.resources, group.where, empty=False)
    room: dict[str | int, int] = {}
    units: dict[str, str | int] = {}
    for node, count in zip(cluster.free().nodes, most.tolist(), strict=False):
        if node is not None and node.id in left:
            units[node.id] = node.id if unit == "node" else cluster.rack_of(node.id)
            room[units[node.id]] = room.get(units[node.id], 0) + count
    return {node_id for node_id, own in units.items() if room[own] >= group.replicas_min}


def _give_back(placed: Sequence[tuple[Group, Placement]], cluster: Cluster) -> None:
    for group, placement in placed:
        cluster.give(placement.node_id, group.resources, placement.devices)
