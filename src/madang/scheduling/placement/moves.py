"""Making room for one replica by moving a few that run: what fits nowhere may fit where little
stands in its way and that little fits elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import ANYWHERE, DeviceHold, Where
from madang.scheduling.placement.cluster import Cluster

_NODES = 48
_ATTEMPTS = 8
"""Nodes that are looked at, those that lack least first, and ways that are tried."""


@dataclass(frozen=True, slots=True)
class Movable:
    """A replica that runs and may be stopped and started elsewhere."""

    key: str
    node_id: str
    need: Resources
    devices: tuple[DeviceHold, ...]
    where: Where = ANYWHERE


@dataclass(frozen=True, slots=True)
class Moved:
    """Where it goes."""

    movable: Movable
    node_id: str
    devices: tuple[DeviceHold, ...]


@dataclass(frozen=True, slots=True)
class Room:
    """What is moved so that there is a place, and the place."""

    moves: tuple[Moved, ...]
    node_id: str
    devices: tuple[DeviceHold, ...]


def make_room(
    need: Resources,
    where: Where,
    cluster: Cluster,
    movable: Mapping[str, Sequence[Movable]],
    most_moves: int,
) -> Room | None:
    """The fewest moves found that make room; None when there is no way with `most_moves`. Takes
    and gives nothing. movable: by node."""
    ways = sorted(_ways(need, where, cluster, movable, most_moves), key=lambda way: way[:2])
    for _, _, node_id, moving in ways[:_ATTEMPTS]:
        room = _try(need, node_id, moving, cluster)
        if room is not None:
            return room
    return None


_Way = tuple[int, int, str, list[Movable]]
"""(moves, thousandths of devices and CPUs that move, node, what moves)."""


def _ways(
    need: Resources,
    where: Where,
    cluster: Cluster,
    movable: Mapping[str, Sequence[Movable]],
    most_moves: int,
) -> Iterator[_Way]:
    could = cluster.most_by_row(need, where, empty=True)
    free = cluster.free()
    lacking = cluster.lacking(need)
    rows = np.flatnonzero(could)
    for row in rows[np.argsort(lacking[rows], kind="stable")][:_NODES].tolist():
        node = free.nodes[row]
        if node is None or node.id not in movable:
            continue
        held = movable[node.id]
        cpu_short = need.cpu_milli - int(free.space.cpu_milli[row])
        memory_short = need.memory_bytes - int(free.space.memory_bytes[row])
        moving = _in_the_way(need, cluster, row, held, most_moves)
        if moving is None:
            continue
        rest = sorted((m for m in held if m not in moving), key=lambda m: -m.need.cpu_milli)
        while rest and len(moving) < most_moves and _short(moving, cpu_short, memory_short):
            moving.append(rest.pop(0))
        if moving and not _short(moving, cpu_short, memory_short):
            size = sum(m.need.device_milli + m.need.cpu_milli // 10 for m in moving)
            yield len(moving), size, node.id, moving


def _short(moving: Iterable[Movable], cpu_milli: int, memory_bytes: int) -> bool:
    moving = list(moving)
    return (
        sum(m.need.cpu_milli for m in moving) < cpu_milli
        or sum(m.need.memory_bytes for m in moving) < memory_bytes
    )


def _in_the_way(
    need: Resources, cluster: Cluster, row: int, held: Sequence[Movable], most_moves: int
) -> list[Movable] | None:
    """What has to leave the devices that are the easiest to empty; None when it is too much."""
    if not need.device_kind:
        return []
    wanted = max(1, need.device_milli // MILLI)
    free = cluster.free_for(row, need)
    on_device: dict[tuple[str, int], list[Movable]] = {}
    for each in held:
        for hold in each.devices:
            on_device.setdefault((hold.kind, hold.index), []).append(each)
    costs = []
    for device, (milli, short) in free.items():
        leaving = _fewest(on_device.get(device, []), device, short)
        if leaving is not None:
            costs.append((len(leaving), milli, device, leaving))
    costs.sort(key=lambda cost: cost[:3])
    if len(costs) < wanted:
        return None
    moving = list(dict.fromkeys(m for _, _, _, leaving in costs[:wanted] for m in leaving))
    return moving if len(moving) <= most_moves else None


def _fewest(
    held: Sequence[Movable], device: tuple[str, int], short_milli: int
) -> list[Movable] | None:
    """The fewest that leave so much of the device free; None when not all may be moved."""
    if short_milli <= 0:
        return []

    def milli(each: Movable) -> int:
        return sum(h.milli for h in each.devices if (h.kind, h.index) == device)

    enough = [each for each in held if milli(each) >= short_milli]
    if enough:
        return [min(enough, key=lambda each: (milli(each), each.key))]
    leaving: list[Movable] = []
    for each in sorted(held, key=lambda each: (-milli(each), each.key)):
        leaving.append(each)
        short_milli -= milli(each)
        if short_milli <= 0:
            return leaving
    return None


def _try(
    need: Resources, node_id: str, moving: Sequence[Movable], cluster: Cluster
) -> Room | None:
    trial = cluster.copy()
    for each in moving:
        trial.give(node_id, each.need, each.devices)
    devices = trial.fit(node_id, need)
    if devices is None:
        return None
    trial.take(node_id, need, devices)
    moves = []
    for each in sorted(moving, key=lambda m: (-m.need.device_milli, -m.need.cpu_milli, m.key)):
        choice = trial.choose(each.need, each.where)
        if choice is None:
            return None
        trial.take(choice[0], each.need, choice[1])
        moves.append(Moved(each, *choice))
    return Room(tuple(moves), node_id, devices)
