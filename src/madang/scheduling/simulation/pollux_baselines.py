"""The same jobs under a bare policy, as Pollux's artifact runs them: to prove the simulator by the
completion times that were published, and to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from madang.scheduling.model import Work
from madang.scheduling.simulation.pollux import (
    GPUS_PER_NODE,
    NODES,
    Application,
    Submission,
)
from madang.scheduling.simulation.pollux_jobs import SimulatedJob
from madang.scheduling.simulation.pollux_run import ROUND_S, Outcome
from madang.scheduling.timeshare.jobs import Job, Policy, Spread
from madang.scheduling.timeshare.tiresias import TiresiasPolicy


def run_tiresias(
    workload: Sequence[Submission], applications: Mapping[str, Application]
) -> Outcome:
    """Jobs of the size and batch that they ask for, under Tiresias."""
    return _run(workload, applications, TiresiasPolicy())


def _run(
    workload: Sequence[Submission], applications: Mapping[str, Application], policy: Policy
) -> Outcome:
    outcome = Outcome()
    waiting = sorted(workload, key=lambda submission: submission.time, reverse=True)
    jobs: dict[str, SimulatedJob] = {}
    places: Mapping[str, Spread] = {}
    now = 0.0
    while waiting or jobs:
        for name, job in list(jobs.items()):
            job.run(now, ROUND_S)
            if job.finished_at is not None:
                outcome.completion_s[name] = job.finished_at - job.submission.time
                outcome.restarts += job.starts - 1
                del jobs[name]
        now += ROUND_S
        while waiting and waiting[-1].time <= now:
            submission = waiting.pop()
            application = applications[submission.application]
            jobs[submission.name] = SimulatedJob(submission, application, batch=submission.batch)
        told = [_told(job, places.get(name, ())) for name, job in jobs.items()]
        decided = policy.decide(told, [GPUS_PER_NODE] * NODES, now)
        for name, job in jobs.items():
            spread = decided.get(name, ())
            if spread != places.get(name, ()):
                job.place(tuple(gpus for _, gpus in spread))
        places = decided
    outcome.makespan_s = now
    return outcome


def _told(job: SimulatedJob, holds: Spread) -> Job:
    submission = job.submission
    return Job(
        id=submission.name,
        order=(submission.time,),
        smallest=submission.replicas,
        largest=submission.replicas,
        work=Work(done=job.progress, rate=job.rate, attained_gpu_s=job.attained_gpu_s),
        holds=holds,
    )
