"""What can be stopped, and what comes of stopping some of it (`preemption`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from madang.scheduling.model import Amounts, Placement
from madang.scheduling.runs import Run, number_of


@dataclass(frozen=True, slots=True)
class Unit:
    """What can be stopped only together: one replica of an elastic gang, or all of a run.
    leaves: it is being stopped already. soon: it may be in a moment."""

    run: Run
    keys: tuple[str, ...]
    shrinks: bool
    own: bool
    lost_s: float
    amounts: Amounts = field(compare=False)
    leaves: bool = False
    soon: bool = False

    @property
    def stops(self) -> bool:
        """Whether somebody is stopped who would go on."""
        return not self.shrinks and not self.leaves

    @property
    def order(self) -> tuple[bool, bool, bool, int, float, float, str, int]:
        """Who is stopped first: what is leaving, what was idle, others' queues, low priority,
        little work lost, the youngest."""
        request = self.run.request
        priority = request.priority if self.own else 0
        number = 0 if self.stops else -number_of(self.keys[0])
        head = (not self.leaves, self.stops, self.own, priority)
        return (*head, self.lost_s, -self.run.since, request.id, number)


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is stopped, and where the winner goes."""

    units: tuple[Unit, ...]
    placements: tuple[Placement, ...]

    @property
    def cost(self) -> tuple[bool, int, float, int]:
        """Stopping somebody, the highest priority of one's own queue, task seconds lost, how
        many."""
        stops = [unit for unit in self.units if unit.stops]
        highest = max((u.run.request.priority for u in stops if u.own), default=-(2**31))
        number = sum(not unit.leaves for unit in self.units)
        return (bool(stops), highest, sum(u.lost_s for u in self.units), number)
