"""Jobs that run with more or fewer GPUs: how many each has in a round, and where.

Each job's speed has a price (`prices`); the sizes are those that make the priced speeds largest in
sum. A change costs a restart, which counts as the part of the near future that it takes. A job
that never ran starts at once, as small as it can, unless its template tells how fast it will be.
Larger sizes are tried step by step, because nothing measured says how far it scales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from madang.scheduling.timeshare.jobs import Job, Spread
from madang.scheduling.timeshare.packing import pack
from madang.scheduling.timeshare.prices import Knapsack, sizes
from madang.scheduling.timeshare.remaining import is_late, total

Floats = NDArray[np.float64]

LEAST_WORK_S = 60.0
"""No job counts as shorter than this on one GPU."""
GROWTH = 4
"""A job gets at most so many times the GPUs that its speed was measured with."""
HORIZON_S = 600.0
SOON_S = 45.0
"""A restart pays off within what the job still runs, at least and at most within these."""
BLIND_HORIZON_S = 200.0
"""The same for jobs of which no total is known."""
BLIND_EXPONENT = 0.25
"""How far prices of jobs differ of which no total is known: what they had says little of what
they still need."""
PRIORITY_WEIGHT = 4 ** (1 / 100)
"""What a priority higher by 1 makes of a price: four times as much from one class to the next."""
COMPARED_AT = 16
"""The order of jobs, largest first, is that of their remaining times with so many GPUs."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a round knows of a job. speeds: by choice, in speeds of one GPU; allowed: which
    choices it may get. left_s: on one GPU. blind: its total is not known. first: it must run now,
    because it never did and a round shows how fast it is, or because it waited too long."""

    job: Job
    speeds: Floats
    allowed: NDArray[np.bool_]
    left_s: float
    blind: bool
    first: bool


class ElasticPolicy:
    """Deterministic; keeps nothing from round to round."""

    def decide(
        self, jobs: Sequence[Job], nodes: Sequence[int], now: float, most: int | None = None
    ) -> Mapping[str, Spread]:
        fixed = {job.id: job.holds for job in jobs if job.fixed and job.holds}
        jobs = [job for job in jobs if job.id not in fixed]
        free = list(nodes)
        for spread in fixed.values():
            for node, gpus in spread:
                free[node] -= gpus
        gpus = sum(free)
        if most is not None:
            gpus = min(gpus, most - sum(gpus for spread in fixed.values() for _, gpus in spread))
        if not jobs or gpus <= 0:
            return fixed
        choices = _choices(jobs, gpus, max(nodes))
        wanted = self._sizes(jobs, choices, gpus, now)
        return fixed | pack(jobs, wanted, free)

    def _sizes(
        self, jobs: Sequence[Job], choices: tuple[int, ...], gpus: int, now: float
    ) -> dict[str, int]:
        """How many GPUs each job should have."""
        knapsack = _knapsack(choices, gpus)
        told = [_tell(job, choices, now) for job in jobs]
        prices = self._prices(told, knapsack)
        highest = float(prices.max())
        values = np.array(
            [
                _values(one, price, highest, knapsack.choices)
                for one, price in zip(told, prices, strict=True)
            ]
        )
        return dict(zip((job.id for job in jobs), knapsack.choose(values), strict=True))

    def _prices(self, told: Sequence[_Told], knapsack: Knapsack) -> Floats:
        """The price of each job's speed."""
        column = int(np.searchsorted(knapsack.choices, COMPARED_AT))
        column = min(column, len(knapsack.choices) - 1)
        speeds = np.array([one.speeds for one in told])
        left = np.array([one.left_s for one in told])
        at = speeds[:, column]
        times = np.divide(left, at, out=left.copy(), where=at > 0)
        order = np.argsort(-times, kind="stable")
        prices = np.empty(len(told))
        prices[order] = knapsack.prices(speeds[order])
        blind = np.array([one.blind for one in told])
        if blind.any():
            middle = np.median(prices)
            prices[blind] = middle * (prices[blind] / middle) ** BLIND_EXPONENT
        return prices


def _choices(jobs: Sequence[Job], gpus: int, node_size: int) -> tuple[int, ...]:
    """The sizes that are tried: the usual ones, and those that jobs insist on."""
    exact = {job.smallest for job in jobs} | {job.held for job in jobs if job.holds}
    return tuple(sorted({size for size in exact if size <= gpus} | set(sizes(gpus, node_size))))


@lru_cache(maxsize=64)
def _knapsack(choices: tuple[int, ...], gpus: int) -> Knapsack:
    return Knapsack(choices, gpus)


def _tell(job: Job, choices: tuple[int, ...], now: float) -> _Told:
    work = job.work
    size = np.array(choices)
    late = is_late(job, now, stretch=0.0)
    allowed = (job.smallest <= size) & (size <= job.largest) & (size % job.unit == 0)
    if not work.speeds:
        # It never ran: as if it got faster with each GPU; as small as it can.
        allowed &= size == job.smallest
        first = late or not (job.held or job.silent)
        return _Told(job, size.astype(float), allowed, LEAST_WORK_S, False, first)
    alone, speeds = _speeds(work.speeds, choices)
    needed = total(work)
    units = work.done if needed is None else needed - work.done
    most = max(GROWTH * work.measured_gpus, job.smallest, 1)
    allowed &= (size <= most) & (speeds > 0)
    first = late or not (work.attained_gpu_s or job.silent)
    return _Told(job, speeds, allowed, max(units / alone, LEAST_WORK_S), needed is None, first)


@lru_cache(maxsize=4096)
def _speeds(
    known: tuple[tuple[int, float], ...], choices: tuple[int, ...]
) -> tuple[float, Floats]:
    """Speed with one GPU, and with each choice as a multiple of it; 0 beyond the largest known."""
    table = dict(known)
    gpus, rates = np.array(known).T
    smallest = known[0][0]
    alone = table.get(1) or rates[0] / smallest**0.7
    speeds = np.exp(np.interp(np.log(choices), np.log(gpus), np.log(np.maximum(rates, 1e-300))))
    speeds[np.array(choices) > gpus[-1]] = 0.0
    return float(alone), speeds / alone


def _values(one: _Told, price: float, highest: float, sizes: NDArray[np.int64]) -> Floats:
    """What each size is worth in a round; -inf where it may not have it."""
    values = price * one.speeds * PRIORITY_WEIGHT**one.job.priority
    held = one.job.held
    now = int(np.searchsorted(sizes, held)) if held else -1
    if 0 <= now < len(sizes):
        longest_s = BLIND_HORIZON_S if one.blind else HORIZON_S
        soon_s = min(longest_s, max(SOON_S, one.left_s / max(one.speeds[now], 1e-9)))
        stay = values[now]
        values = values * max(0.0, 1 - one.job.work.restart_s / soon_s)
        values[now] = stay
    elif one.job.silent:
        values = values * 1e-6  # what others leave
    if one.first:
        values = values + 1e6 * highest
    return np.where(one.allowed, values, -np.inf)
