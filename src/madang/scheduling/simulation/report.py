"""What came out of a simulation, in figures; as JSON and as rows of a table.

wait: all the time that a job waited, after stops too. JCT: from arrival to end. Finish-time
fairness (rho, Mahajan et al., Themis, NSDI 2020) of a job: its JCT over that on its own, slowed
down by what was asked for on average while it was there, where that is more than there is. Jain's
index: over queues, of the part of their jobs' time that they ran, weighted by GPUs; 1 is equal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from madang.core.resources import MILLI
from madang.scheduling.simulation.fragments import NodeState
from madang.scheduling.simulation.statistics import JobRecord, Recording, Series
from madang.scheduling.simulation.trace import capacity

_SHORTEST_S = 60.0
"""For fairness, shorter jobs count as this long: a second's wait is no injustice to a job of one
second (bounded slowdown, Feitelson 2001, with a bound of the order of a scheduling round)."""

_POINTS = 400


@dataclass(frozen=True, slots=True)
class Spread:
    """Of some durations, in seconds."""

    mean: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    most: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        ordered = sorted(values)
        if not ordered:
            return cls()
        p50, p90, p99 = (percentile(ordered, share) for share in (0.5, 0.9, 0.99))
        return cls(sum(ordered) / len(ordered), p50, p90, p99, ordered[-1])


@dataclass(frozen=True, slots=True)
class QueueReport:
    """One queue's jobs."""

    jobs: int
    ended: int
    gpu_hours: float
    wait_s: Spread
    completion_s: Spread


@dataclass(frozen=True, slots=True)
class Report:
    """One run. Shares are from 0 to 1; `_s` are seconds of virtual time."""

    name: str
    partial: bool
    jobs: int
    ended: int
    unplaced: int
    span_s: float
    gpus: float
    gpu_allocation: float
    cpu_allocation: float
    busy_gpu_allocation: float
    wait_s: Spread
    completion_s: Spread
    queues: dict[str, QueueReport]
    worst_rho: float
    p99_rho: float
    jain: float
    fragmentation: float
    fragmentation_of_free: float
    preemptions: int
    migrations: int
    resizes: int
    lost_gpu_hours: float
    decisions: int
    decisions_per_s: float
    plans: int
    planner_s: float
    start_error_s: Spread | None
    start_told: float
    why_unplaced: dict[str, str]
    curve: Curve = field(repr=False)
    map: list[NodeState] = field(default_factory=list, repr=False)
    queue_waits: dict[str, list[float]] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Everything but the map, with plain keys."""
        plain = asdict(self)
        del plain["map"], plain["queue_waits"]
        return plain


@dataclass(frozen=True, slots=True)
class Curve:
    """Means over equal stretches of time: shares of what there is, and how many jobs waited."""

    step_s: float
    gpu: list[float]
    cpu: list[float]
    waiting: list[float]


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all are not above."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def report(name: str, recording: Recording) -> Report:
    """Figures of a finished (or stopped) run."""
    jobs = [job for job in recording.jobs if job.arrived]
    ended = [job for job in jobs if job.ended_at is not None]
    amounts = dict(capacity(recording.trace.nodes))
    begin, end = recording.trace.begin, recording.now
    series = recording.series
    rhos = sorted(_rhos(ended, series, amounts))
    fragments = recording.fragments
    means = Means(series, end)
    busy_until = min(end, recording.trace.last_arrival)
    return Report(
        name=name,
        partial=recording.partial,
        jobs=len(jobs),
        ended=len(ended),
        unplaced=len(recording.never_ran),
        span_s=end - begin,
        gpus=amounts.get("gpu", 0) / MILLI,
        gpu_allocation=means.gpu(begin, end) / max(1, amounts.get("gpu", 0)),
        cpu_allocation=means.cpu(begin, end) / max(1, amounts.get("cpu", 0)),
        busy_gpu_allocation=means.gpu(begin, busy_until) / max(1, amounts.get("gpu", 0)),
        wait_s=Spread.of(job.wait_s for job in ended),
        completion_s=Spread.of(job.completion_s for job in ended),
        queues=_queues(jobs),
        worst_rho=rhos[-1] if rhos else 0.0,
        p99_rho=percentile(rhos, 0.99) if rhos else 0.0,
        jain=_jain(ended),
        fragmentation=_mean(part.of_capacity for part in fragments),
        fragmentation_of_free=sum(part.fragment_milli for part in fragments)
        / max(1, sum(part.free_milli for part in fragments)),
        preemptions=recording.preemptions,
        migrations=recording.migrations,
        resizes=recording.resizes,
        lost_gpu_hours=sum(job.lost_s * job.gpus for job in jobs) / 3600,
        decisions=recording.decisions,
        decisions_per_s=recording.decisions / max(1e-9, recording.planner_s),
        plans=recording.plans,
        planner_s=recording.planner_s,
        start_error_s=_start_errors(jobs),
        start_told=_mean(job.expected_start is not None for job in jobs if job.asked_when),
        why_unplaced={job.id: why for job, why in recording.never_ran[:10]},
        curve=_curve(means, begin, end, amounts),
        map=recording.fragment_map,
        queue_waits=_queue_waits(ended),
    )


class Means:
    """Time-weighted means of what a run held."""

    def __init__(self, series: Series, end: float) -> None:
        self._at = series.at
        self._until = [*series.at[1:], max(end, series.at[-1])] if series.at else []
        self._sums = {
            name: _running_sum(series.at, self._until, values)
            for name, values in (
                ("gpu", series.gpu_milli), ("cpu", series.cpu_milli), ("waiting", series.waiting)
            )
        }  # fmt: skip
        self._values = {
            "gpu": series.gpu_milli, "cpu": series.cpu_milli, "waiting": series.waiting
        }  # fmt: skip

    def gpu(self, begin: float, end: float) -> float:
        return self.mean("gpu", begin, end)

    def cpu(self, begin: float, end: float) -> float:
        return self.mean("cpu", begin, end)

    def mean(self, name: str, begin: float, end: float) -> float:
        if end <= begin or not self._at:
            return 0.0
        return (self._integral(name, end) - self._integral(name, begin)) / (end - begin)

    def _integral(self, name: str, at: float) -> float:
        position = bisect_right(self._at, at) - 1
        if position < 0:
            return 0.0
        since = min(at, self._until[position]) - self._at[position]
        return self._sums[name][position] + self._values[name][position] * since


def _running_sum(
    at: Sequence[float], until: Sequence[float], values: Sequence[int]
) -> list[float]:
    sums, total = [], 0.0
    for begin, end, value in zip(at, until, values, strict=True):
        sums.append(total)
        total += value * (end - begin)
    return sums


def _curve(means: Means, begin: float, end: float, amounts: dict[str, int]) -> Curve:
    step_s = max(1e-9, (end - begin) / _POINTS)
    edges = [begin + step_s * number for number in range(_POINTS + 1)]
    pairs = list(pairwise(edges))
    gpus, cpus = max(1, amounts.get("gpu", 0)), max(1, amounts.get("cpu", 0))
    return Curve(
        step_s,
        [round(means.gpu(*pair) / gpus, 4) for pair in pairs],
        [round(means.cpu(*pair) / cpus, 4) for pair in pairs],
        [round(means.mean("waiting", *pair), 2) for pair in pairs],
    )


def _queues(jobs: Sequence[JobRecord]) -> dict[str, QueueReport]:
    by_queue: dict[str, list[JobRecord]] = defaultdict(list)
    for job in jobs:
        by_queue[job.queue].append(job)
    reports = {}
    for name, own in sorted(by_queue.items()):
        ended = [job for job in own if job.ended_at is not None]
        reports[name] = QueueReport(
            len(own),
            len(ended),
            sum(job.gpu_s for job in own) / 3600,
            Spread.of(job.wait_s for job in ended),
            Spread.of(job.completion_s for job in ended),
        )
    return reports


def _queue_waits(ended: Iterable[JobRecord]) -> dict[str, list[float]]:
    waits: dict[str, list[float]] = defaultdict(list)
    for job in ended:
        waits[job.queue].append(job.wait_s)
    return {name: sorted(values) for name, values in sorted(waits.items())}


def _rhos(ended: Sequence[JobRecord], series: Series, amounts: dict[str, int]) -> Iterable[float]:
    """Finish-time fairness of each job; contention is what was asked for over what there is."""
    if not ended:
        return []
    asked = _Contention(ended, amounts.get("gpu", 0) / MILLI)
    return (_rho(job, asked) for job in ended)


def _rho(job: JobRecord, asked: _Contention) -> float:
    assert job.ended_at is not None
    alone_s = max(_SHORTEST_S, job.duration_s)
    slowed = max(1.0, asked.mean(job.submitted_at, job.ended_at))
    return max(_SHORTEST_S, job.completion_s) / (alone_s * slowed)


class _Contention:
    """How many GPUs were asked for by all that waited or ran, over how many there are."""

    def __init__(self, jobs: Sequence[JobRecord], gpus: float) -> None:
        changes = sorted(
            [(job.submitted_at, job.gpus) for job in jobs]
            + [(job.ended_at or job.submitted_at, -job.gpus) for job in jobs]
        )
        self._at = [at for at, _ in changes]
        self._level: list[float] = []
        self._sum: list[float] = []
        level = total = 0.0
        before = self._at[0]
        for at, change in changes:
            total += level * (at - before)
            level, before = level + change, at
            self._level.append(level)
            self._sum.append(total)
        self._gpus = max(1.0, gpus)

    def mean(self, begin: float, end: float) -> float:
        if end <= begin:
            return 0.0
        return (self._integral(end) - self._integral(begin)) / (end - begin) / self._gpus

    def _integral(self, at: float) -> float:
        position = bisect_right(self._at, at) - 1
        if position < 0:
            return 0.0
        return self._sum[position] + self._level[position] * (at - self._at[position])


def _jain(ended: Sequence[JobRecord]) -> float:
    """(sum x)^2 / (n sum x^2) (Jain, Chiu and Hawe 1984)."""
    ran: dict[str, float] = defaultdict(float)
    there: dict[str, float] = defaultdict(float)
    for job in ended:
        weight = max(job.gpus, 1.0)
        ran[job.queue] += weight * max(_SHORTEST_S, job.duration_s)
        there[job.queue] += weight * max(_SHORTEST_S, job.completion_s)
    shares = [ran[name] / there[name] for name in ran]
    if not shares:
        return 1.0
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def _start_errors(jobs: Iterable[JobRecord]) -> Spread | None:
    """How far the starts were from what was told on arrival; None where nothing was told."""
    errors = [
        abs(job.started_at - job.expected_start)
        for job in jobs
        if job.expected_start is not None and job.started_at is not None
    ]
    return Spread.of(errors) if errors else None


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
