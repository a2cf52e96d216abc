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
from statistics import median

import numpy as np
from numpy.typing import NDArray

from madang.scheduling.timeshare.jobs import Job, Spread
from madang.scheduling.timeshare.packing import pack
from madang.scheduling.timeshare.prices import Knapsack, sizes
from madang.scheduling.timeshare.remaining import is_late, total

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

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
    """What a round knows of all jobs: a row each. speeds: by choice, in speeds of one GPU;
    allowed: which choices it may get; left_s: on one GPU; blind: its total is not known; first:
    it must run now, because it never did and a round shows how fast it is, or because it waited
    too long; stays: the column of the size that it has, -1: none; silent: see `Job`."""

    speeds: Floats
    allowed: Flags
    left_s: Floats
    blind: Flags
    first: Flags
    stays: NDArray[np.int64]
    silent: Flags
    weights: Floats
    restart_s: Floats


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
        told = _tell(jobs, choices, now)
        values = _values(told, _prices(told, knapsack))
        return dict(zip((job.id for job in jobs), knapsack.choose(values), strict=True))


def _choices(jobs: Sequence[Job], gpus: int, node_size: int) -> tuple[int, ...]:
    """The sizes that are tried: the usual ones, and those that jobs insist on."""
    exact = {job.smallest for job in jobs} | {job.held for job in jobs if job.holds}
    return tuple(sorted({size for size in exact if size <= gpus} | set(sizes(gpus, node_size))))


@lru_cache(maxsize=64)
def _knapsack(choices: tuple[int, ...], gpus: int) -> Knapsack:
    return Knapsack(choices, gpus)


def _tell(jobs: Sequence[Job], choices: tuple[int, ...], now: float) -> _Told:
    columns = {size: column for column, size in enumerate(choices)}
    size = np.array(choices)
    as_if = size.astype(float)
    speeds: list[Floats] = []
    rows: list[tuple[float, ...]] = []
    restarts: list[float] = []
    for job in jobs:
        work, held = job.work, job.held
        late = is_late(job, now, stretch=0.0)
        if not work.speeds:
            # It never ran: as if it got faster with each GPU; as small as it can.
            speeds.append(as_if)
            left_s, blind, most = LEAST_WORK_S, False, job.smallest
            first = late or not (held or job.silent)
        else:
            alone, each = _speeds(work.speeds, choices)
            speeds.append(each)
            needed = total(work)
            blind = needed is None
            units = work.done if needed is None else needed - work.done
            left_s = max(units / alone, LEAST_WORK_S)
            most = min(job.largest, max(GROWTH * work.measured_gpus, job.smallest, 1))
            first = late or not (work.attained_gpu_s or job.silent)
        stays = columns.get(held, -1)
        rows.append(
            (job.smallest, most, job.unit, left_s, blind, first, stays, job.silent, job.priority)
        )
        restarts.append(work.restart_s)
    table = np.array(rows).T
    smallest, largest, unit, left, blind_, first_, stays_, silent, priority = table
    each_speed = np.array(speeds)
    allowed = (smallest[:, None] <= size) & (size <= largest[:, None]) & (each_speed > 0)
    if (unit > 1).any():
        allowed &= size % unit[:, None] == 0
    return _Told(
        speeds=each_speed,
        allowed=allowed,
        left_s=left,
        blind=blind_ > 0,
        first=first_ > 0,
        stays=stays_.astype(np.int64),
        silent=silent > 0,
        weights=PRIORITY_WEIGHT**priority,
        restart_s=np.array(restarts),
    )


def _prices(told: _Told, knapsack: Knapsack) -> Floats:
    """The price of each job's speed."""
    column = int(np.searchsorted(knapsack.choices, COMPARED_AT))
    column = min(column, len(knapsack.choices) - 1)
    at = told.speeds[:, column]
    times = np.divide(told.left_s, at, out=told.left_s.copy(), where=at > 0)
    order = np.argsort(-times, kind="stable")
    prices = np.empty(len(at))
    prices[order] = knapsack.prices(told.speeds[order])
    if told.blind.any():
        middle = median(prices.tolist())
        prices[told.blind] = middle * (prices[told.blind] / middle) ** BLIND_EXPONENT
    return prices


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


def _values(told: _Told, prices: Floats) -> Floats:
    """What each size is worth in a round, a row a job; -inf where it may not have it."""
    speeds = told.speeds
    values = (prices * told.weights)[:, None] * speeds
    runs = told.stays >= 0
    rows, stays = np.flatnonzero(runs), told.stays[runs]
    stay = values[rows, stays]
    longest_s = np.where(told.blind, BLIND_HORIZON_S, HORIZON_S)[rows]
    soon_s = told.left_s[rows] / np.maximum(speeds[rows, stays], 1e-9)
    soon_s = np.minimum(longest_s, np.maximum(SOON_S, soon_s))
    factors = np.where(told.silent, 1e-6, 1.0)  # those who wait and tell nothing: what is left
    factors[rows] = np.maximum(0.0, 1 - told.restart_s[rows] / soon_s)
    values *= factors[:, None]
    values[rows, stays] = stay
    values[told.first] += 1e6 * prices.max()
    values[~told.allowed] = -np.inf
    return values
