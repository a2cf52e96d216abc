"""Completion times of training jobs on a shared cluster (the Pollux setting), beside what was
published and what they must be."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.figures import Figure, run_benchmark
from madang.scheduling.simulation.pollux import EPOCHS, Application, Submission, read_workload
from madang.scheduling.simulation.pollux_baselines import run_tiresias
from madang.scheduling.simulation.pollux_run import Outcome, PolluxRun, Setting

DATA = Path(os.environ.get("MADANG_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
WORKLOADS = range(1, 9)
TIRESIAS_S = (
    2473.65,
    5144.9625,
    3876.25625,
    3280.2625,
    3501.0125,
    3469.69375,
    5479.9125,
    5079.70625,
)
"""Published means of the 8 workloads (`results-jobload/tiresias-1.0/summary.json`)."""
MOST_DECISION_S = 0.002


@cache
def _applications() -> dict[str, Application]:
    return {name: Application(DATA / "pollux" / "profiles" / name) for name in EPOCHS}


def _workloads(folder: str) -> list[list[Submission]]:
    root = DATA / "pollux" / folder
    return [read_workload(root / f"workload-{number}.csv") for number in WORKLOADS]


def _figure(name: str, folder: str, setting: Setting, must_s: float, aim_s: float) -> Figure:
    runs = [PolluxRun(workload, _applications(), setting).run() for workload in _workloads(folder)]
    _DECISIONS.extend(second for run in runs for second in run.decision_s)
    each = " ".join(f"{run.mean_s:.0f}" for run in runs)
    return Figure(name, _mean(runs), "s", at_most=must_s, note=f"aim {aim_s:g}; each {each}")


_DECISIONS: list[float] = []


def _mean(runs: Sequence[Outcome]) -> float:
    return statistics.fmean(run.mean_s for run in runs)


def jct_tiresias() -> list[Figure]:
    """The simulator gives what was published."""
    runs = [run_tiresias(workload, _applications()) for workload in _workloads("workloads")]
    off = max(abs(run.mean_s - known) for run, known in zip(runs, TIRESIAS_S, strict=True))
    return [Figure("Tiresias: furthest from the published mean", off, "s", at_most=0.001)]


def jct_rigid() -> list[Figure]:
    """Jobs that keep the size they ask for (best published: Tiresias, 4038 s)."""
    folder = "workloads"
    unknown = Setting("attained", declared=False, learned=False)
    expected = Setting("shortest", declared=False)
    return [
        _figure("rigid, declared", folder, Setting("shortest"), 3250, 3100),
        _figure("rigid, not declared, totals learned", folder, expected, 3750, 3550),
        _figure("rigid, not declared, nothing learned", folder, unknown, 3750, 3550),
    ]


def jct_elastic() -> list[Figure]:
    """Jobs of any size (best published: Pollux, 2751 s)."""
    return _elastic("workloads", "elastic", (2400, 2250), (2720, 2500))


def jct_elastic_double() -> list[Figure]:
    """The same with twice as many (Pollux, 5289 s)."""
    return _elastic("workloads-2.0", "elastic, double load", (4050, 3750), (5250, 4800))


def _elastic(
    folder: str, name: str, declared: tuple[float, float], unknown: tuple[float, float]
) -> list[Figure]:
    nothing = Setting("goodput", declared=False, learned=False)
    expected = Setting("goodput", declared=False)
    return [
        _figure(f"{name}, declared", folder, Setting("goodput"), *declared),
        _figure(f"{name}, not declared, totals learned", folder, expected, *unknown),
        _figure(f"{name}, not declared, nothing learned", folder, nothing, *unknown),
    ]


def jct_decision() -> list[Figure]:
    """What the planner took for a round, over all runs before this (processor time)."""
    if not _DECISIONS:
        jct_elastic()
    mean_s = statistics.fmean(_DECISIONS)
    worst = statistics.quantiles(_DECISIONS, n=100)[98]
    return [
        Figure("mean decision", 1e3 * mean_s, "ms", at_most=1e3 * MOST_DECISION_S),
        Figure("p99 of decisions", 1e3 * worst, "ms"),
    ]


MEASURES = (jct_tiresias, jct_rigid, jct_elastic, jct_elastic_double, jct_decision)

if __name__ == "__main__":
    raise SystemExit(run_benchmark("scheduling-jct", MEASURES))
