"""Queues on a shared cluster: Microsoft's Philly jobs, and the generator of Kueue's own benchmark,
replayed in virtual time by the planner that schedules the platform.

BENCH_PHILLY=full make bench-scheduling     all 82,247 jobs instead of one week of them
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.figures import Figure, run_benchmark
from madang.scheduling.model import Node, Policy, Queue
from madang.scheduling.simulation import kueue, philly
from madang.scheduling.simulation.driver import Simulation, Timing
from madang.scheduling.simulation.report import Report, report
from madang.scheduling.simulation.trace import Job, Trace, gpu_milli

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("MADANG_SHARED_DATA", ROOT.parent / "shared" / "data"))

KUEUE_BOUND_FACTOR = 1.3
KUEUE_TOOK_S = 351
"""Mean of Kueue's own runs of `baseline` (15,000 workloads), in its repository."""

WEEK = tuple(datetime(2017, 10, day, tzinfo=UTC).timestamp() for day in (2, 9))
"""The slice: arrivals of one busy week, 11,386 jobs; sized by their own GPU time."""

ENOUGH_JOBS = 100
"""A p99 of fewer is one job's luck: smaller queues are told, not judged."""

TIMING = Timing(grace_s=0.0, start_s=0.0, restart_s=60.0)
"""A stop costs the stopped job a minute when it goes on, in every configuration, as in simulators
of Tiresias and Pollux; with a grace before it, whoever takes its place would wait that long."""

PLACEMENT = "bestfit"
"""All jobs take whole GPUs of equal nodes."""


def kueue_generator() -> Sequence[Figure]:
    """15,000 workloads in 5 cohorts of 6 queues."""
    started, on_core = time.perf_counter(), time.process_time()
    trace = kueue.read(DATA / "kueue" / "baseline.yaml")
    ran = Simulation(trace, timing=Timing(save_every_s=None)).run()
    took_s, core_s = time.perf_counter() - started, time.process_time() - on_core
    bound_s = kueue.capacity_bound_s(trace)
    end_s = max(record.ended_at or float("inf") for record in ran.jobs)
    return [
        Figure("Kueue's generator: workloads", len(ran.jobs), "", at_least=15_000),
        Figure("Kueue's generator: virtual time to the end", end_s, "s",
               at_most=KUEUE_BOUND_FACTOR * bound_s,
               note=f"bound {bound_s:.0f} s, Kueue {KUEUE_TOOK_S} s"),
        Figure("Kueue's generator: computing it all, time of one core", core_s, "s", at_most=10,
               note=f"{took_s:.1f} s by the clock"),
    ]  # fmt: skip


def philly_85() -> Sequence[Figure]:
    return _philly(0.85)


def philly_95() -> Sequence[Figure]:
    return _philly(0.95)


# -- Philly ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """Jobs and the cluster that is sized for them."""

    load: float
    jobs: tuple[Job, ...]
    count: int

    @property
    def nodes(self) -> tuple[Node, ...]:
        return philly.make_nodes(self.count)

    def shared(self, queues: Sequence[Queue]) -> Trace:
        return Trace("shared", self.nodes, self.jobs, tuple(queues))

    def in_one_queue(self, ordering: str) -> Trace:
        jobs = tuple(replace(job, request=replace(job.request, queue="all")) for job in self.jobs)
        return Trace("one queue", self.nodes, jobs, (Queue("all", "all", ordering=ordering),))


def _philly(load: float) -> Sequence[Figure]:
    setting = _setting(load)
    quotas = philly.quotas(setting.jobs, setting.count)
    ours = _run(setting.shared(quotas), Policy(placement=PLACEMENT))
    private = _private(setting)
    others = {
        "FIFO + quota": _run(
            setting.shared(_hard(quotas, setting.jobs)).with_ordering("fifo"),
            Policy(placement=PLACEMENT, preemption=False, backfill=False),
        ),
        "FIFO + backfill": _run(
            setting.in_one_queue("fifo"), Policy(placement=PLACEMENT, preemption=False)
        ),
        "Tiresias": _run(setting.in_one_queue("attained"), Policy(placement=PLACEMENT)),
    }
    name = f"Philly at {load:.0%}"
    return [
        *_sharing(name, ours, private),
        *_against(name, ours, others),
        Figure(f"{name}: planner", ours.planner_s, "s",
               note=f"{ours.jobs:,} jobs on {setting.count} nodes, {ours.preemptions:,} "
                    f"preemptions, {ours.decisions_per_s:,.0f} decisions a second"),
    ]  # fmt: skip


def _sharing(name: str, ours: Report, private: Mapping[str, Report]) -> list[Figure]:
    """Nobody waits longer than with a cluster of its own (HiveD's sharing anomaly, OSDI 2020)."""
    figures = []
    for queue, alone in private.items():
        shared_p99 = ours.queues[queue].wait_s.p99
        alone_p99 = alone.wait_s.p99
        judged = alone.jobs >= ENOUGH_JOBS
        figures.append(
            Figure(
                f"{name}: p99 wait of {queue}",
                shared_p99,
                "s",
                at_most=alone_p99 if judged else None,
                note=f"{alone.jobs:,} jobs, alone on {alone.gpus / 8:.0f} nodes "
                f"{alone_p99:,.0f} s" + ("" if judged else ": too few to judge"),
            )
        )
    return figures


def _against(name: str, ours: Report, others: Mapping[str, Report]) -> list[Figure]:
    """Better than each of the others in each respect."""
    figures = []
    for other, theirs in others.items():
        figures += [
            Figure(f"{name}: utilisation", 100 * ours.busy_gpu_allocation, "%",
                   at_least=100 * theirs.busy_gpu_allocation, note=other),
            Figure(f"{name}: mean wait", ours.wait_s.mean, "s",
                   at_most=theirs.wait_s.mean, note=other),
            Figure(f"{name}: worst finish-time fairness", ours.worst_rho, "",
                   at_most=theirs.worst_rho, note=other),
        ]  # fmt: skip
    return figures


def _private(setting: Setting) -> dict[str, Report]:
    """Each queue alone: its quota in whole nodes, and at least its largest job."""
    nodes = philly.private_nodes(setting.jobs, setting.count)
    return {
        queue: _run(philly.private(setting.jobs, queue, count), Policy(placement=PLACEMENT))
        for queue, count in nodes.items()
    }


def _hard(quotas: Sequence[Queue], jobs: Sequence[Job]) -> list[Queue]:
    """Quotas that are limits too, but not below a queue's largest job: it would never run."""
    largest = {
        queue.id: max(gpu_milli(job.request) for job in jobs if job.request.queue == queue.id)
        for queue in quotas
    }
    return [
        replace(queue, limit=(("gpu", max(largest[queue.id], dict(queue.guarantee)["gpu"])),))
        for queue in quotas
    ]


def _run(trace: Trace, policy: Policy) -> Report:
    return report(trace.name, Simulation(trace, policy, TIMING).run())


@cache
def _jobs() -> tuple[Job, ...]:
    jobs = philly.read_jobs(DATA / "pollux" / "philly.csv")
    if os.environ.get("BENCH_PHILLY") == "full":
        return jobs
    begin, end = WEEK
    return tuple(job for job in jobs if begin <= job.request.submitted_at < end)


def _setting(load: float) -> Setting:
    return Setting(load, _jobs(), philly.nodes_for(_jobs(), load))


MEASURES = [kueue_generator, philly_85, philly_95]

if __name__ == "__main__":
    sys.exit(run_benchmark("scheduling-queues", MEASURES))
