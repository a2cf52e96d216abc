"""Where jobs go whose sizes are decided: those that keep theirs stay; up to a node's size a job
has its GPUs on one node, above it has whole nodes, so that two that talk between nodes never share
one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from madang.scheduling.timeshare.jobs import Job, Spread
from madang.scheduling.timeshare.space import Space


def pack(
    jobs: Sequence[Job], wanted: Mapping[str, int], nodes: Sequence[int]
) -> dict[str, Spread]:
    """Where each job runs. If there is no room between those who stay, all are packed anew; what
    does not fit even then gets what its size finds anywhere, or waits."""
    running = [job for job in jobs if wanted[job.id]]
    space = Space(nodes)
    for job in running:
        if job.held == wanted[job.id]:
            space.take(job.id, job.holds)
    rest = [job for job in running if job.id not in space.given]
    if not _fill(space, rest, wanted):
        space = Space(nodes)
        if not _fill(space, running, wanted):
            for job in _widest_first(running, wanted):
                if job.id not in space.given:
                    spread = space.widest(wanted[job.id], job.unit)
                    if spread is not None:
                        space.take(job.id, spread)
    return space.given


def _widest_first(jobs: Sequence[Job], wanted: Mapping[str, int]) -> list[Job]:
    return sorted(jobs, key=lambda job: -wanted[job.id])


def _fill(space: Space, jobs: Sequence[Job], wanted: Mapping[str, int]) -> bool:
    """Place them, the widest first, where they were if possible; whether all found room."""
    complete = True
    for job in _widest_first(jobs, wanted):
        gpus = wanted[job.id]
        if gpus <= space.node_size:
            spread = _on_one(space, job, gpus)
        else:
            spread = _on_whole(space, job, gpus)
        if spread is None:
            complete = False
        else:
            space.take(job.id, spread)
    return complete


def _on_one(space: Space, job: Job, gpus: int) -> Spread | None:
    if len(job.holds) == 1 and space.free[job.holds[0][0]] >= gpus:
        return ((job.holds[0][0], gpus),)
    return space.tightest(gpus)


def _on_whole(space: Space, job: Job, gpus: int) -> Spread | None:
    """Whole nodes, and a part of one more if it is no multiple."""
    size = space.node_size
    full, rest = divmod(gpus, size)
    empty = [node for node, room in enumerate(space.free) if room == size]
    own = {node for node, _ in job.holds}
    empty.sort(key=lambda node: node not in own)
    if len(empty) < full + bool(rest):
        return None
    spread = tuple((node, size) for node in sorted(empty[:full]))
    if rest:
        spread += ((empty[full], rest),)
    return job.holds if set(spread) == set(job.holds) else spread
