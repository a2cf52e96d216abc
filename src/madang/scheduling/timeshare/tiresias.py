"""Tiresias (Gu et al., NSDI 2019), as Pollux's artifact compares itself with it: two queues, those
who had 16 GPU hours in the second, first come, first served in each; others may pass who fits.

It stands here to prove the simulator, which must give the published completion times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from madang.scheduling.timeshare.jobs import Job, Spread
from madang.scheduling.timeshare.space import Space

THRESHOLD_GPU_S = 16 * 3600.0


class TiresiasPolicy:
    """Keeps in which order jobs came to the second queue."""

    def __init__(self) -> None:
        self._second: list[str] = []

    def decide(
        self, jobs: Sequence[Job], nodes: Sequence[int], now: float, most: int | None = None
    ) -> Mapping[str, Spread]:
        by_id = {job.id: job for job in sorted(jobs, key=lambda job: job.order)}
        self._second = [job_id for job_id in self._second if job_id in by_id]
        self._second += [
            job.id
            for job in by_id.values()
            if job.work.attained_gpu_s >= THRESHOLD_GPU_S and job.id not in self._second
        ]
        late = set(self._second)
        line = [job for job in by_id.values() if job.id not in late]
        line += [by_id[job_id] for job_id in self._second]
        left = sum(nodes) if most is None else min(most, sum(nodes))
        taken = []
        for job in line:
            if job.smallest <= left:
                left -= job.smallest
                taken.append(job)
        space = Space(nodes)
        for job in taken:
            if job.holds:
                space.take(job.id, job.holds)
        for job in taken:
            spread = () if job.holds else space.widest(job.smallest)
            if spread:
                space.take(job.id, spread)
        return space.given
