"""Newcomers first: who has not had a first turn yet goes before those who have."""

from __future__ import annotations

from madang.scheduling.model import Request, Running
from madang.scheduling.ordering.base import NEVER, Key
from madang.scheduling.ordering.priority import PriorityOrder

TURN_S = 4 * 3600.0
"""How long a first turn is. Most jobs of most clusters end within it, and of those that do not
nobody knows how long they will take: the longer one has run, the longer it is likely to go on."""

PATIENCE_S = 24 * 3600.0
STRETCH = 20.0
"""Who has waited a day in all, and so many times as long as it ran, is a newcomer again and is
stopped for none: an unending stream of them starves nobody."""


class NewcomersOrder(PriorityOrder):
    """Higher priority first; of equals those who have not run for `TURN_S` yet, first come, first
    served; then those who have, the one that has waited longest first. A newcomer that finds no
    room stops one that has had its turn.

    Nothing is asked of anybody: no time limit, no estimate. Two steps of attained service as in
    Tiresias (Gu et al., NSDI 2019), but decided when something happens, not in rounds, and
    counted by the clock: wide jobs are not punished for being wide.
    """

    takes_turns = True

    def key(self, request: Request) -> Key:
        patience_s = _patience_s(request) if self.stage(request) else 0.0
        return (-request.priority, request.submitted_at + request.ran_s + patience_s, request.id)

    def stage(self, request: Request) -> int:
        return int(request.ran_s >= TURN_S)

    def turn_ends(self, run: Running) -> float:
        return run.since + TURN_S - run.request.ran_s

    def stops_from(self, request: Request, run: Running) -> float:
        if run.request.priority == request.priority:
            return self.yields_from(request, run)
        return super().stops_from(request, run)

    def yields_from(self, request: Request, run: Running) -> float:
        other = run.request
        waited_s = run.since - other.submitted_at - other.ran_s
        if self.stage(request) or waited_s >= _patience_s(other):
            return NEVER
        return self.turn_ends(run)


def _patience_s(request: Request) -> float:
    return max(PATIENCE_S, STRETCH * request.ran_s)
