"""Least attained service first, in steps: those who had little go before those who had much, and
within a step first come, first served, so that equals do not stop one another by turns.

Tiresias (Gu et al., NSDI 2019) has one step at 16 GPU hours; three did better on traces.
"""

from __future__ import annotations

from bisect import bisect_right

from madang.scheduling.timeshare.jobs import Job

STEPS_GPU_S = (3 * 3600.0, 10 * 3600.0, 30 * 3600.0)


def step(job: Job) -> int:
    """How many of the steps a job has behind it."""
    return bisect_right(STEPS_GPU_S, job.work.attained_gpu_s)


def ranking(job: Job, now: float) -> tuple[float, ...]:
    return (float(step(job)),)
