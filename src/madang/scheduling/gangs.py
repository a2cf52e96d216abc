"""Placing all groups of a request at once, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from madang.scheduling.capacity import NodeSpace
from madang.scheduling.model import Group, Placement


@dataclass(frozen=True, slots=True)
class Attempt:
    """How far a placement got: all that is needed, or `fitting` replicas and then no more."""

    placements: tuple[Placement, ...]
    fitting: int
    complete: bool


def place(groups: Sequence[Group], spaces: Sequence[NodeSpace]) -> Attempt:
    """Put the minimum of every group on the first nodes where it fits, then more up to the
    maximum. What was placed is taken from `spaces`; nothing is when it is not complete."""
    placed: list[tuple[NodeSpace, Group, Placement]] = []
    for group in groups:
        start = 0
        for number in range(group.replicas_min):
            start = _place_one(group, group.first + number, spaces, start, placed)
            if start < 0:
                fitting = len(placed)
                _undo(placed)
                return Attempt((), fitting, False)
    for group in groups:
        start = 0
        for number in range(group.replicas_min, group.replicas_max):
            start = _place_one(group, group.first + number, spaces, start, placed)
            if start < 0:
                break
    return Attempt(tuple(placement for _, _, placement in placed), len(placed), True)


def undo(attempt: Attempt, groups: Sequence[Group], spaces: Sequence[NodeSpace]) -> None:
    """Give back what a complete attempt has taken."""
    by_role = {group.role: group for group in groups}
    by_node = {space.node.id: space for space in spaces}
    _undo([(by_node[p.node_id], by_role[p.role], p) for p in attempt.placements])


def _place_one(
    group: Group,
    replica: int,
    spaces: Sequence[NodeSpace],
    start: int,
    placed: list[tuple[NodeSpace, Group, Placement]],
) -> int:
    """The position of the node that took it, -1 when none did. Equal replicas need not look
    again at nodes that had no room for the one before: `start` is where that one went."""
    need = group.resources
    for position in range(start, len(spaces)):
        space = spaces[position]
        holds = space.fit(need)
        if holds is not None:
            space.take(need.cpu_milli, need.memory_bytes, holds)
            placed.append((space, group, Placement(group.role, replica, space.node.id, holds)))
            return position
    return -1


def _undo(placed: list[tuple[NodeSpace, Group, Placement]]) -> None:
    for space, group, placement in placed:
        need = group.resources
        space.give(need.cpu_milli, need.memory_bytes, placement.devices)
