"""Pollux's workloads as scenarios of `madang simulate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from madang.core.errors import InvalidInput
from madang.scheduling.simulation.pollux import EPOCHS, Application, read_workload
from madang.scheduling.simulation.pollux_baselines import run_tiresias
from madang.scheduling.simulation.pollux_run import Outcome, PolluxRun, Setting
from madang.scheduling.simulation.report import percentile

SETTINGS = {
    "shortest": Setting("shortest"),
    "attained": Setting("attained", declared=False),
    "goodput": Setting("goodput"),
    "goodput-undeclared": Setting("goodput", declared=False),
}
"""How the planner runs them: jobs of the size that they ask for (`shortest`, `attained`) or of any
(`goodput`), which say how many epochs they need, or do not."""

TIRESIAS = "tiresias"
POLICIES = (*SETTINGS, TIRESIAS)


@dataclass(frozen=True, slots=True)
class PolluxResult:
    """Times are seconds; JCT is from submission to the end."""

    policy: str
    jobs: int
    ended: int
    mean_jct_s: float
    p50_jct_s: float
    p99_jct_s: float
    makespan_s: float
    restarts: int
    mean_decision_s: float
    decisions_per_s: float
    partial: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def replay(
    workload: Path,
    profiles: Path | None = None,
    *,
    policy: str = "shortest",
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> PolluxResult:
    """On 16 nodes of 4 GPUs, in rounds of a minute. profiles: the folder of the measured
    applications; `profiles` beside the workload's folder if it is not given."""
    submissions = read_workload(workload)
    applications = read_applications(profiles or workload.resolve().parent.parent / "profiles")
    if policy == TIRESIAS:
        return _result(policy, len(submissions), run_tiresias(submissions, applications))
    run = PolluxRun(submissions, applications, SETTINGS[policy])

    def ask() -> bool:
        if progress is not None:
            progress(len(run.outcome.completion_s), len(submissions))
        return stop is not None and stop()

    return _result(policy, len(submissions), run.run(ask))


@cache
def read_applications(folder: Path) -> dict[str, Application]:
    missing = [name for name in EPOCHS if not (folder / name / "placements.csv").is_file()]
    if missing:
        raise InvalidInput(
            f"{folder} has no measured application {missing[0]!r}",
            hint="Name the folder of Pollux's applications with --profiles.",
        )
    return {name: Application(folder / name) for name in EPOCHS}


def _result(policy: str, jobs: int, outcome: Outcome) -> PolluxResult:
    times = sorted(outcome.completion_s.values())
    decisions = outcome.decision_s
    return PolluxResult(
        policy=policy,
        jobs=jobs,
        ended=len(times),
        mean_jct_s=outcome.mean_s,
        p50_jct_s=percentile(times, 0.5) if times else 0.0,
        p99_jct_s=percentile(times, 0.99) if times else 0.0,
        makespan_s=outcome.makespan_s,
        restarts=outcome.restarts,
        mean_decision_s=sum(decisions) / max(1, len(decisions)),
        decisions_per_s=len(decisions) / max(1e-9, sum(decisions)),
        partial=len(times) < jobs,
    )
