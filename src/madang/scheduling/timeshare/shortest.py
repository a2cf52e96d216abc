"""Shortest remaining time first, wider jobs a little later: `remaining * GPUs ** WIDTH`, between
shortest time (which lets one wide job stop many) and least GPU time (which starves wide ones).

A job that declared its total and never ran goes first: a round shows how fast it is. A job of
which no total is known counts as one that ends with its step of attained service (`attained`).
"""

from __future__ import annotations

from madang.scheduling.timeshare.attained import STEPS_GPU_S, step
from madang.scheduling.timeshare.jobs import Job
from madang.scheduling.timeshare.remaining import remaining_s, total

WIDTH = 0.3
"""How much being wide counts: 0 not at all (shortest time), 1 as much as time (GPU time)."""
STAY = 0.8
"""Those who run count as so much shorter, so that equals do not stop one another by turns."""
BEYOND = 3.0
"""After the last step a job counts as one that needs so many times as much."""


def ranking(job: Job, now: float) -> tuple[float, ...]:
    left_s = remaining_s(job)
    if left_s is not None:
        return (left_s * job.smallest**WIDTH * (STAY if job.holds else 1.0),)
    if total(job.work) is not None:
        return (0.0,)
    steps = (*STEPS_GPU_S, BEYOND * STEPS_GPU_S[-1])
    return (steps[step(job)],)
