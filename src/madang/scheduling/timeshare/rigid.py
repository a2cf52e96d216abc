"""Jobs of one size each: who of them has its GPUs in a round, and where.

In the order of a ranking each job is taken that still fits, so what a wide job leaves is used by
narrower ones behind it. Those who run and are taken stay where they are; a new one gets the
cheapest place for it, by the step times of its own kind where they are known. If a better place
than any free one is worth more than it costs to move who is there, they are moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from madang.scheduling.timeshare.jobs import Job, Spread
from madang.scheduling.timeshare.remaining import is_late
from madang.scheduling.timeshare.space import Space

Ranking = Callable[[Job, float], tuple[float, ...]]
"""Smaller goes first."""
Remaining = Callable[[Job], float | None]
"""Seconds that a job still runs; None when it never ran and nobody knows."""

NODE_PENALTY = 0.5
"""What each node more than needed is taken to cost, as a part of a step, where it is not known."""
UNKNOWN_S = 600.0
"""How long a job of which nothing is known is taken to run when it is placed."""
SHORT_S = 120.0
"""For a job that is sooner done nobody is moved."""
MOVE_GAIN_S = 300.0
"""A job that runs is moved to a better place when that saves it more than this."""


class RigidPolicy:
    """Deterministic; keeps nothing from round to round."""

    def __init__(self, ranking: Ranking, remaining: Remaining) -> None:
        self._ranking = ranking
        self._remaining = remaining

    def decide(
        self, jobs: Sequence[Job], nodes: Sequence[int], now: float, most: int | None = None
    ) -> Mapping[str, Spread]:
        space = Space(nodes)
        by_id = {job.id: job for job in jobs}
        taken = self._take(jobs, sum(nodes) if most is None else min(most, sum(nodes)), now)
        for job in taken:
            if job.holds:
                space.take(job.id, job.holds)
        # Those that fit one node first: the others can take what is left anywhere.
        new = [job for job in taken if not job.holds]
        for job in sorted(new, key=lambda job: job.smallest > space.node_size):
            self._place(job, space, by_id)
        for job in taken:
            if job.holds and not job.fixed and space.given.get(job.id) == job.holds:
                self._improve(job, space, by_id)
        return space.given

    def _take(self, jobs: Sequence[Job], total: int, now: float) -> list[Job]:
        """Who runs. Fixed ones do; then those who go first, as long as they fit."""
        taken = [job for job in jobs if job.fixed and job.holds]
        left = total - sum(job.held for job in taken)
        for job in sorted(jobs, key=lambda job: self._key(job, now)):
            if job.fixed and job.holds:
                continue
            if job.smallest <= left:
                left -= job.smallest
                taken.append(job)
        return taken

    def _key(self, job: Job, now: float) -> tuple[object, ...]:
        """Smaller goes first. A job that waits and reports nothing comes after those who run."""
        if is_late(job, now):
            return (-job.priority, -1, job.order)
        if job.silent and not job.holds:
            return (-job.priority, 1, job.order)
        return (-job.priority, 0, *self._ranking(job, now), job.order)

    def _place(self, job: Job, space: Space, jobs: Mapping[str, Job]) -> None:
        best = cheapest(job, space)
        if best is None:
            return  # whole replicas don't fit between what others hold
        remaining_s = self._remaining(job)
        remaining_s = UNKNOWN_S if remaining_s is None else remaining_s
        gain_s = (1 - 1 / cost(job, best, space.node_size)) * remaining_s
        if remaining_s < SHORT_S or not self._evacuate(job, space, jobs, gain_s):
            space.take(job.id, best)

    def _improve(self, job: Job, space: Space, jobs: Mapping[str, Job]) -> None:
        """Move one that runs, when a better place is worth it."""
        here = cost(job, job.holds, space.node_size)
        if here <= 1:
            return
        remaining_s = self._remaining(job)
        if remaining_s is None or remaining_s * (1 - 1 / here) < MOVE_GAIN_S:
            return
        space.give(job.id)
        best = cheapest(job, space)
        if (
            best is not None
            and remaining_s * (1 - cost(job, best, space.node_size) / here) > MOVE_GAIN_S
        ):
            space.take(job.id, best)
            return
        gain_s = remaining_s * (1 - 1 / here) - SHORT_S
        if not self._evacuate(job, space, jobs, gain_s):
            space.take(job.id, job.holds)

    def _evacuate(self, job: Job, space: Space, jobs: Mapping[str, Job], gain_s: float) -> bool:
        """Make room on one node for a job that fits one, if moving those who are there costs
        less, in the job's own seconds, than it gains."""
        if job.smallest > space.node_size or gain_s <= 0:
            return False
        best: tuple[float, Space] | None = None
        for node in range(len(space.free)):
            tried = space.copy()
            loss_s = self._clear(node, job, tried, jobs)
            if loss_s is not None and loss_s < gain_s and (best is None or loss_s < best[0]):
                best = loss_s, tried
        if best is None:
            return False
        space.free, space.given = best[1].free, best[1].given
        return True

    def _clear(self, node: int, job: Job, space: Space, jobs: Mapping[str, Job]) -> float | None:
        """Put the job on a node and those who must leave elsewhere; what that costs."""
        here = {job_id: space.give(job_id) for job_id in space.on(node)}
        space.take(job.id, ((node, job.smallest),))
        if space.free[node] < 0:
            return None
        loss_s = 0.0
        for job_id, spread in here.items():
            other = jobs[job_id]
            if space.fits(spread):
                space.take(job_id, spread)
                continue
            place = (
                space.tightest(other.smallest)
                if other.smallest <= space.node_size
                else space.widest(other.smallest, other.unit)
            )
            if place is None or other.fixed:
                return None
            space.take(job_id, place)
            loss_s += other.work.restart_s * other.smallest / job.smallest
        return loss_s


def cheapest(job: Job, space: Space) -> Spread | None:
    """The free place where its steps take least; of equal ones the tightest."""
    best: tuple[float, Spread] | None = None
    for spread in space.shapes(job.smallest, job.unit):
        price = cost(job, spread, space.node_size)
        if best is None or price < best[0] - 1e-9:
            best = price, spread
    return best[1] if best else None


def cost(job: Job, spread: Spread, node_size: int) -> float:
    """A step's time there, in that at the best place."""
    times, best_s = _times(job.work.step_times, job.smallest)
    step_s = times.get(tuple(sorted((gpus for _, gpus in spread), reverse=True)))
    if step_s is not None:
        return step_s / best_s
    return 1 + NODE_PENALTY * (len(spread) - -(-job.smallest // node_size))


@lru_cache(maxsize=1024)
def _times(
    step_times: tuple[tuple[tuple[int, ...], float], ...], gpus: int
) -> tuple[dict[tuple[int, ...], float], float]:
    """Step times of all placements of so many GPUs, and the best of them."""
    times = {shape: step_s for shape, step_s in step_times if sum(shape) == gpus}
    return times, min(times.values(), default=1.0)
