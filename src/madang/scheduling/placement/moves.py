"""Making room for one replica by moving a few that run: what fits nowhere may fit where little
stands in its way and that little fits elsewhere, or where something else makes room for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import ANYWHERE, DeviceHold, Where
from madang.scheduling.placement.cluster import Cluster

_NODES = 48
_ATTEMPTS = 8
"""Nodes that are looked at, those that lack least first, and ways that are tried."""

_DEPTH = 1
"""How often what has to move may in turn make others move."""


@dataclass(frozen=True, slots=True)
class Movable:
    """A replica that runs and may be stopped and started elsewhere. lost_s: seconds of its work
    that are lost by that."""

    key: str
    node_id: str
    need: Resources
    devices: tuple[DeviceHold, ...]
    where: Where = ANYWHERE
    lost_s: float = 0.0


MovableOn = Callable[[str], Sequence[Movable]]
"""What may be moved of a node."""


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
    movable: MovableOn,
    most_moves: int,
    closed: Collection[str] = (),
) -> Room | None:
    """The fewest moves found that make room; None when there is no way with `most_moves`. Takes
    and gives nothing. closed: nodes on which no room is made."""
    return _make_room(need, where, _Search(cluster, movable, frozenset(closed)), most_moves, 0)


@dataclass(frozen=True, slots=True)
class _Search:
    """What is free after the moves so far. gone: what moves already."""

    cluster: Cluster
    movable: MovableOn
    closed: frozenset[str]
    gone: frozenset[str] = frozenset()

    def movable_on(self, node_id: str) -> list[Movable]:
        if node_id in self.closed:
            return []
        return [each for each in self.movable(node_id) if each.key not in self.gone]


def _make_room(
    need: Resources, where: Where, search: _Search, most_moves: int, depth: int
) -> Room | None:
    ways = sorted(_ways(need, where, search, most_moves), key=lambda way: way[:-1])
    for *_, node_id, moving in ways[:_ATTEMPTS]:
        room = _try(need, node_id, moving, search, most_moves, depth)
        if room is not None:
            return room
    return None


_Way = tuple[int, float, int, str, list[Movable]]
"""(moves, seconds of work lost, thousandths of devices and CPUs that move, node, what moves)."""


def _ways(need: Resources, where: Where, search: _Search, most_moves: int) -> Iterator[_Way]:
    cluster = search.cluster
    could = cluster.most_by_row(need, where, empty=True)
    free = cluster.free()
    lacking = cluster.lacking(need)
    rows = np.flatnonzero(could)
    for row in rows[np.argsort(lacking[rows], kind="stable")][:_NODES].tolist():
        node = free.nodes[row]
        held = search.movable_on(node.id) if node is not None else []
        if node is None or not held:
            continue
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
            yield len(moving), sum(m.lost_s for m in moving), size, node.id, moving


def _short(moving: Sequence[Movable], cpu_milli: int, memory_bytes: int) -> bool:
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
    need: Resources,
    node_id: str,
    moving: Sequence[Movable],
    search: _Search,
    most_moves: int,
    depth: int,
) -> Room | None:
    """Whether those who move find other places; for one that finds none, others may have to."""
    trial = search.cluster.copy()
    for each in moving:
        trial.give(node_id, each.need, each.devices)
    devices = trial.fit(node_id, need)
    if devices is None:
        return None
    trial.take(node_id, need, devices)
    moves: list[Moved] = []
    gone = search.gone | {each.key for each in moving}
    left = most_moves - len(moving)
    for each in sorted(moving, key=lambda m: (-m.need.device_milli, -m.need.cpu_milli, m.key)):
        choice = trial.choose(each.need, each.where)
        if choice is None:
            if left < 1 or depth >= _DEPTH:
                return None
            further = replace(search, cluster=trial, gone=gone)
            room = _make_room(each.need, each.where, further, left, depth + 1)
            if room is None:
                return None
            _carry_out(room, trial)
            moves += room.moves
            gone |= {move.movable.key for move in room.moves}
            left -= len(room.moves)
            choice = room.node_id, room.devices
        trial.take(choice[0], each.need, choice[1])
        moves.append(Moved(each, *choice))
    return Room(tuple(moves), node_id, devices)


def _carry_out(room: Room, cluster: Cluster) -> None:
    for move in room.moves:
        cluster.give(move.movable.node_id, move.movable.need, move.movable.devices)
    for move in room.moves:
        cluster.take(move.node_id, move.movable.need, move.devices)
