"""What a policy that shares in time is told of a job, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from madang.scheduling.model import Work

Spread = tuple[tuple[int, int], ...]
"""(node, GPUs on it), in the order of the replicas; empty: nothing."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job that may run with `smallest` to `largest` GPUs.

    priority: higher ones go first. order: among equals the smaller one goes first. holds: where it
    runs now. fixed: it may not be stopped. unit: GPUs of one replica, which stay on one node.
    silent: it reports nothing, so that nobody can tell what stopping others for it would gain: it
    takes what others leave, until it has waited too long (`remaining.is_late`).
    """

    id: str
    order: tuple[float, ...]
    smallest: int
    largest: int
    work: Work
    priority: int = 0
    submitted_at: float = 0.0
    holds: Spread = ()
    fixed: bool = False
    unit: int = 1
    silent: bool = False
    held: int = field(init=False, default=0)
    """How many GPUs it has now."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "held", sum(gpus for _, gpus in self.holds))


class Policy(Protocol):
    """Decides, round by round, which jobs have which GPUs."""

    def decide(
        self, jobs: Sequence[Job], nodes: Sequence[int], now: float, most: int | None = None
    ) -> Mapping[str, Spread]:
        """Where each job runs from now on; those not named wait. nodes: the GPUs that may be
        given out on each, what the jobs hold now among them; `most`: of all together."""
        ...
