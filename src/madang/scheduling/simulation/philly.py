"""Microsoft's Philly jobs, as in the derived `philly.csv` of the Pollux artifact.

Columns: timestamp (local date and time), duration (seconds), num_gpus, gpu_time (GPU seconds) and
cluster (a virtual cluster, here a queue). Jobs of more than one node's GPUs take whole nodes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from madang.core.errors import InvalidInput
from madang.core.resources import MILLI, Resources
from madang.scheduling.model import Device, Group, Node, Queue, Request
from madang.scheduling.simulation.table import MOST_S, OneClock, read_table
from madang.scheduling.simulation.trace import Job, Trace, gpu_milli, in_order

GPUS_OF_NODE = 8
_MOST_GPUS = 100_000
_MOST_NODES = 20_000
_CPUS_OF_GPU = 6
_MEMORY_OF_GPU = 32 << 30
_GPU_MEMORY = 24 << 30
"""The trace says nothing of CPUs and memory: each GPU comes with a share, and jobs ask for it."""

_COLUMNS = ("timestamp", "duration", "num_gpus", "gpu_time", "cluster")


def read(path: Path, load: float = 0.85) -> Trace:
    """The trace on a cluster whose GPUs are in use for `load` of the time in which jobs arrive,
    with queues whose quota is their share of GPU time."""
    jobs = read_jobs(path)
    count = nodes_for(jobs, load)
    if count > _MOST_NODES:
        raise InvalidInput(
            f"{path.name} needs {count:,} nodes for a load of {load:g}",
            hint=f"At most {_MOST_NODES:,} can be simulated: use a longer trace, or more --load.",
        )
    nodes = make_nodes(count)
    return Trace(f"philly at {load:.0%} load", nodes, jobs, quotas(jobs, len(nodes)))


def read_jobs(path: Path) -> tuple[Job, ...]:
    jobs = []
    times = OneClock("timestamp")
    for number, row in enumerate(read_table(path, _COLUMNS)):
        times.check(row)
        gpus = row.whole("num_gpus", least=1, most=_MOST_GPUS, unit="GPUs")
        duration_s = row.number_of("duration", most=MOST_S, unit="seconds")
        gpu_s = row.number_of("gpu_time", unit="GPU seconds")
        if abs(gpu_s - gpus * duration_s) > 1.0 + 1e-6 * gpu_s:
            raise row.bad(
                "gpu_time",
                f"It must be duration x num_gpus in seconds: {gpus * duration_s:g}.",
            )
        queue = row.required("cluster")
        jobs.append(make_job(f"job-{number}", queue, gpus, row.moment("timestamp"), duration_s))
    if not any(job.duration_s for job in jobs):
        raise InvalidInput(
            f"{path.name} has no jobs that run", hint="Each row after the header is one."
        )
    return renumbered(in_order(jobs))


def make_job(name: str, queue: str, gpus: int, submitted_at: float, duration_s: float) -> Job:
    replicas, each = -(-gpus // GPUS_OF_NODE), min(gpus, GPUS_OF_NODE)
    need = Resources(each * _CPUS_OF_GPU * MILLI, each * _MEMORY_OF_GPU, "gpu", each * MILLI)
    request = Request(
        name,
        name,
        queue,
        (Group("worker", replicas, replicas, need),),
        user=queue,
        project=queue,
        submitted_at=submitted_at,
        preemptible=True,
    )
    return Job(request, duration_s)


def renumbered(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """With `order` as they came."""
    return tuple(
        replace(job, request=replace(job.request, order=order)) for order, job in enumerate(jobs)
    )


def make_nodes(count: int, prefix: str = "node") -> tuple[Node, ...]:
    devices = tuple(Device("gpu", i, "P100", _GPU_MEMORY) for i in range(GPUS_OF_NODE))
    cpu_milli = GPUS_OF_NODE * _CPUS_OF_GPU * MILLI
    names = (f"{prefix}-{number:03}" for number in range(count))
    return tuple(
        Node(name, name, cpu_milli, GPUS_OF_NODE * _MEMORY_OF_GPU, devices) for name in names
    )


def nodes_for(jobs: Sequence[Job], load: float) -> int:
    """How many nodes make all GPU time `load` of what there is while jobs arrive."""
    span_s = jobs[-1].request.submitted_at - jobs[0].request.submitted_at
    gpus = sum(gpu_time(jobs).values()) / max(1.0, span_s)
    return max(1, math.ceil(gpus / load / GPUS_OF_NODE))


def gpu_time(jobs: Iterable[Job]) -> dict[str, float]:
    """GPU seconds of each queue."""
    time_s: dict[str, float] = defaultdict(float)
    for job in jobs:
        time_s[job.request.queue] += gpu_milli(job.request) / MILLI * job.duration_s
    return dict(sorted(time_s.items()))


def quota_milli(jobs: Sequence[Job], nodes: int) -> dict[str, int]:
    """Each queue's share of the cluster's GPUs: its share of GPU time."""
    time_s = gpu_time(jobs)
    total = sum(time_s.values())
    return {name: int(MILLI * GPUS_OF_NODE * nodes * s / total) for name, s in time_s.items()}


def quotas(jobs: Sequence[Job], nodes: int) -> tuple[Queue, ...]:
    """A queue for each virtual cluster that is guaranteed its quota and may borrow the rest, in
    the order that suits jobs of which nobody knows how long they take."""
    shares = quota_milli(jobs, nodes)
    return tuple(
        Queue(name, name, weight=max(1, milli), guarantee=(("gpu", milli),), ordering="newcomers")
        for name, milli in shares.items()
    )


def private_nodes(jobs: Sequence[Job], nodes: int) -> Mapping[str, int]:
    """Whole nodes of each queue's own cluster: its quota rounded up, and its largest job."""
    largest: dict[str, int] = defaultdict(int)
    for job in jobs:
        queue = job.request.queue
        largest[queue] = max(largest[queue], sum(g.replicas_min for g in job.request.groups))
    return {
        name: max(-(-milli // (MILLI * GPUS_OF_NODE)), largest[name])
        for name, milli in quota_milli(jobs, nodes).items()
    }


def private(jobs: Sequence[Job], queue: str, nodes: int) -> Trace:
    """A queue alone on its own cluster."""
    own = tuple(job for job in jobs if job.request.queue == queue)
    return Trace(f"{queue} alone", make_nodes(nodes), own, (Queue(queue, queue, ordering="fifo"),))
