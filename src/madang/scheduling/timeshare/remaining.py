"""How long a job still runs, as far as anything tells it.

A total that its user declares is believed until the job goes past it, and is raised by what jobs
of the same user and template needed beyond theirs: so who declares honestly gets the place that
short jobs have, and who declares too little loses it. Without one, what jobs of its template took
in all stands for it, as long as it has not gone past that either.
"""

from __future__ import annotations

from madang.scheduling.model import Work
from madang.scheduling.timeshare.jobs import Job

PATIENCE_S = 3600.0
"""Nobody who waited less than this, all in all, is too long waiting."""
BLIND_PATIENCE_S = 86_400.0
STRETCH = 4.0
"""A job of one size waits at most so many times as long as it runs."""
_SCALING = 0.7
"""Between sizes that were measured, speed is taken to grow like GPUs to this power."""


def total(work: Work) -> float | None:
    """What it needs in all; None when nobody knows, or it needed more than anybody said."""
    if work.total is not None and work.done < work.total * work.overrun:
        return work.total * work.overrun
    if work.expected_total is not None and work.done < work.expected_total:
        return work.expected_total
    return None


def speed(work: Work, gpus: int) -> float | None:
    """Units in a second with so many GPUs; None when it was never measured."""
    if not work.speeds:
        return None
    size, rate = min(work.speeds, key=lambda known: abs(known[0] - gpus))
    return rate if size == gpus else rate * (gpus / size) ** _SCALING


def remaining_s(job: Job) -> float | None:
    """Seconds at its smallest size; None when nothing tells."""
    needed = total(job.work)
    rate = job.work.rate or speed(job.work, job.smallest)
    return (needed - job.work.done) / rate if needed is not None and rate else None


def attained_s(job: Job) -> float | None:
    """As long again as it ran: what is to be expected of a job of which nothing else is known.
    None when it never ran."""
    return job.work.attained_gpu_s / job.smallest or None


def expected_s(job: Job) -> float | None:
    """What it still runs, or as long again as it ran."""
    left_s = remaining_s(job)
    return attained_s(job) if left_s is None else left_s


def waited_s(job: Job, now: float) -> float:
    """How long it has waited, all in all; more than its smallest size makes up for waiting."""
    return now - job.submitted_at - job.work.attained_gpu_s / job.smallest


def is_late(job: Job, now: float, stretch: float = STRETCH) -> bool:
    """Whether it must not wait any more: nobody is starved by an unending stream of others. Long
    jobs wait longer than short ones; those of which nobody knows how long they are, a day."""
    patience_s = PATIENCE_S
    if stretch and not job.silent:
        left_s = remaining_s(job)
        runs_s = left_s + (attained_s(job) or 0.0) if left_s is not None else 0.0
        patience_s = max(patience_s, stretch * runs_s if runs_s else BLIND_PATIENCE_S)
    return waited_s(job, now) > patience_s
