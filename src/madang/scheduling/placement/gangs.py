"""Placing all groups of a request at once, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import Group, Placement, Work
from madang.scheduling.placement.cluster import Cluster
from madang.scheduling.topology import (
    ACROSS_RACKS,
    WITHIN_NODE,
    WITHIN_RACK,
    Shape,
    measured_shapes,
)

_Placed = list[tuple[Group, Placement]]


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
    """Put the minimum of every group where it costs the work least, then more up to the maximum.
    Among places of equal cost the cluster's policy decides. What was placed is taken from
    `cluster`; nothing is when it is not complete. `within`: only on these nodes."""
    if len(groups) == 1 and groups[0].replicas_min == groups[0].replicas_max == 1:
        return _place_single(groups[0], cluster, within)
    if len(groups) == 1:
        placed = _place_well(groups[0], groups[0].replicas_max, cluster, work, within)
        if placed:
            return Attempt(tuple(placement for _, placement in placed), len(placed), True)
    placed = []
    for group in groups:
        well = _place_well(group, group.replicas_min, cluster, work, within)
        placed.extend(well)
        if well or _place_each(group, range(group.replicas_min), cluster, within, placed):
            continue
        fitting = len(placed)
        _give_back(placed, cluster)
        return Attempt((), fitting, False)
    for group in groups:
        more = range(group.replicas_min, group.replicas_max)
        _place_each(group, more, cluster, within, placed)
    return Attempt(tuple(placement for _, placement in placed), len(placed), True)


def undo(attempt: Attempt, groups: Sequence[Group], cluster: Cluster) -> None:
    """Give back what a complete attempt has taken."""
    by_role = {group.role: group for group in groups}
    _give_back([(by_role[p.role], p) for p in attempt.placements], cluster)


def _place_single(group: Group, cluster: Cluster, within: Collection[str] | None) -> Attempt:
    choice = cluster.choose(group.resources, group.where, within)
    if choice is None:
        return Attempt((), 0, False)
    node_id, devices = choice
    cluster.take(node_id, group.resources, devices)
    return Attempt((Placement(group.role, group.first, node_id, devices),), 1, True)


@dataclass(frozen=True, slots=True)
class _Way:
    """Places for `count` replicas; rate: what they get done together, for comparison. Without a
    shape they go one by one: into one rack, or (empty) anywhere."""

    rate: float
    count: int
    shape: Shape = ()
    together: str = ""


def _place_well(
    group: Group,
    most: int,
    cluster: Cluster,
    work: Work | None,
    within: Collection[str] | None,
) -> _Placed:
    """From the group's minimum to `most` replicas where they get most done together. Nothing when
    there is no room, or when the group itself says how its replicas lie to each other."""
    if most < 2 or not group.resources.device_kind or group.where.together or group.where.apart:
        return []
    for way in _ways(group, most, cluster, work, within):
        placed: _Placed = []
        if way.shape:
            complete = _place_shape(group, way.shape, cluster, within, placed)
        else:
            where = replace(group.where, together=way.together)
            so = replace(group, where=where, replicas_min=way.count)
            complete = _place_each(so, range(way.count), cluster, within, placed)
        if complete:
            return [(group, placement) for _, placement in placed]
        _give_back(placed, cluster)
    return []


def _ways(
    group: Group,
    most: int,
    cluster: Cluster,
    work: Work | None,
    within: Collection[str] | None,
) -> list[_Way]:
    """The best first: measured shapes, then what the model says of one node, one rack, and
    anywhere. Replicas that wait for each other are as fast as a step: n / its time."""
    room = cluster.most_by_row(group.resources, group.where, empty=False, within=within)
    total = min(most, int(room.sum()))
    counts = range(max(1, group.replicas_min), total + 1)
    measured = [
        _Way(count / step_s, count, shape)
        for count in counts
        for step_s, shape in measured_shapes(work, count)
    ]
    modelled = []
    one = min(most, int(room.max(initial=0)))
    if one in counts:
        modelled.append(_Way(one / WITHIN_NODE, one, (one,)))
    in_rack = min(most, int(cluster.sums_by_rack(room).max(initial=0)))
    if in_rack in counts:
        modelled.append(_Way(in_rack / WITHIN_RACK, in_rack, together="rack"))
    if total in counts:
        modelled.append(_Way(total / ACROSS_RACKS, total))
    return [way for ways in (measured, modelled) for way in sorted(ways, key=lambda w: -w.rate)]


def _place_shape(
    group: Group,
    shape: Shape,
    cluster: Cluster,
    within: Collection[str] | None,
    placed: _Placed,
) -> bool:
    """Whether there were nodes for so many replicas each."""
    own: _Placed = []
    for count in shape:
        node_id = _choose_node(group, count, cluster, within, {p.node_id for _, p in own})
        if node_id is None:
            _give_back(own, cluster)
            return False
        for _ in range(count):
            devices = cluster.fit(node_id, group.resources)
            assert devices is not None  # the node has room for all of them
            cluster.take(node_id, group.resources, devices)
            replica = group.first + len(own)
            own.append((group, Placement(group.role, replica, node_id, devices)))
    placed.extend(own)
    return True


def _choose_node(
    group: Group,
    count: int,
    cluster: Cluster,
    within: Collection[str] | None,
    used: Collection[str],
) -> str | None:
    """The node that should take so many replicas: the policy's choice for one request that is as
    large as all of them, or for one of them where they share devices."""
    need = group.resources
    if count > 1 and need.device_milli < MILLI:
        within = _with_room(group, count, cluster, within)
    elif count > 1:
        need = _times(need, count)
    if used:
        within = set(cluster.node_ids if within is None else within).difference(used)
    choice = cluster.choose(need, group.where, within)
    return None if choice is None else choice[0]


def _times(need: Resources, count: int) -> Resources:
    return replace(
        need,
        cpu_milli=need.cpu_milli * count,
        memory_bytes=need.memory_bytes * count,
        device_milli=need.device_milli * count,
        counted=tuple((name, amount * count) for name, amount in need.counted),
    )


def _with_room(
    group: Group, count: int, cluster: Cluster, within: Collection[str] | None
) -> set[str]:
    """Nodes that could take so many replicas now."""
    most = cluster.most_by_row(group.resources, group.where, empty=False, within=within)
    nodes = cluster.free().nodes
    return {node.id for row in np.flatnonzero(most >= count) if (node := nodes[int(row)])}


def _place_each(
    group: Group,
    numbers: range,
    cluster: Cluster,
    within: Collection[str] | None,
    placed: _Placed,
) -> bool:
    """One after the other; whether all of them found a place."""
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
    group: Group, cluster: Cluster, within: Collection[str] | None, placed: _Placed
) -> Collection[str] | None:
    """Where the next replica may go, given where those before it went."""
    where = group.where
    if not where.together and not where.apart:
        return within
    used = {placement.node_id for other, placement in placed if other.role == group.role}
    left = set(cluster.node_ids if within is None else within)
    if where.apart == "node":
        left -= used
    elif where.apart == "rack":
        for rack in {cluster.rack_of(node_id) for node_id in used}:
            left.difference_update(cluster.ids_in_rack(rack))
    if where.together and not used:
        return set(_roomy(group, cluster, left))
    if where.together == "node":
        left &= used
    elif where.together == "rack":
        left.intersection_update(cluster.ids_in_rack(cluster.rack_of(next(iter(used)))))
    return left


def _roomy(group: Group, cluster: Cluster, left: Collection[str]) -> Iterator[str]:
    """Nodes whose unit (the node, its rack) could take all replicas that are needed."""
    most = cluster.most_by_row(group.resources, group.where, empty=False)
    by_rack = group.where.together == "rack"
    room: dict[str | int, int] = {}
    units: dict[str, str | int] = {}
    for node, count in zip(cluster.free().nodes, most.tolist(), strict=False):
        if node is not None and node.id in left:
            unit = units[node.id] = cluster.rack_of(node.id) if by_rack else node.id
            room[unit] = room.get(unit, 0) + count
    return (node_id for node_id, unit in units.items() if room[unit] >= group.replicas_min)


def _give_back(placed: _Placed, cluster: Cluster) -> None:
    for group, placement in placed:
        cluster.give(placement.node_id, group.resources, placement.devices)
