"""What can be stopped, and what comes of stopping some of it (`preemption`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from madang.scheduling.model import Amounts, Placement
from madang.scheduling.queues import QueueNode
from madang.scheduling.runs import Run, number_of

LEAST_RUNTIME_S = 1.0
"""Nothing is stopped at the moment at which it starts."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What can be stopped only together: one replica of an elastic gang, or all of a run.
    leaves: it is being stopped already. soon: it may be in a moment. own: it is the order of its
    queue that lets it be stopped, not a claim of another one. spared: others rather than this one:
    1 what has had its first turn (`ordering.newcomers`) but is within its queue's guarantee, 2
    what has not had it."""

    run: Run
    keys: tuple[str, ...]
    shrinks: bool
    own: bool
    lost_s: float
    amounts: Amounts = field(compare=False)
    leaves: bool = False
    soon: bool = False
    spared: int = 0

    @property
    def stops(self) -> bool:
        """Whether somebody is stopped who would go on."""
        return not self.shrinks and not self.leaves

    @property
    def order(self) -> tuple[bool, bool, int, bool, int, float, float, str, int]:
        """Who is stopped first: what is leaving, what was idle, who is not spared, others' queues,
        low priority, little work lost, the youngest."""
        request = self.run.request
        priority = request.priority if self.own else 0
        number = 0 if self.stops else -number_of(self.keys[0])
        head = (not self.leaves, self.stops, self.spared, self.own, priority)
        return (*head, self.lost_s, -self.run.since, request.id, number)


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is stopped, and where the winner goes."""

    units: tuple[Unit, ...]
    placements: tuple[Placement, ...]

    @property
    def cost(self) -> tuple[bool, int, int, float, int]:
        """Stopping somebody, how far they were to be spared, the highest priority of one's own
        queue, task seconds lost, how many."""
        stops = [unit for unit in self.units if unit.stops]
        highest = max((u.run.request.priority for u in stops if u.own), default=-(2**31))
        number = sum(not unit.leaves for unit in self.units)
        spared = sum(unit.spared for unit in stops)
        return (bool(stops), spared, highest, sum(u.lost_s for u in self.units), number)


def extra_keys(run: Run) -> Iterator[str]:
    """What an elastic run could give back and still run, the highest number first."""
    for group in run.request.groups:
        keys = run.replicas(group.role)
        yield from reversed(keys[group.replicas_min :])


def parts_of(unit: Unit, gone: Sequence[Unit]) -> list[Unit]:
    """Replicas of a run that are gone already when all of it is stopped: not to be counted
    twice."""
    if unit.shrinks or unit.leaves:
        return []
    return [part for part in gone if part.shrinks and part.run is unit.run]


def rest_s(leaf: QueueNode) -> float:
    """How long what runs in this queue is left alone."""
    return max(LEAST_RUNTIME_S, *(node.queue.min_runtime_s for node in leaf.path))
