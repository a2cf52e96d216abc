"""Small traces for tests."""

from __future__ import annotations

from typing import Any

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import Device, Group, Node, Queue, Request
from madang.scheduling.simulation.trace import Job, Trace

GIB = 2**30


def node(name: str, gpus: int = 0, cpu: int = 64, **options: object) -> Node:
    devices = tuple(Device("gpu", index, "H100", 80 * GIB) for index in range(gpus))
    return Node(name, name, cpu * MILLI, 512 * GIB, devices, **options)  # type: ignore[arg-type]


def job(
    name: str,
    at: float,
    duration_s: float,
    *wanted: str,
    replicas: tuple[int, int] = (1, 1),
    **fields: Any,
) -> Job:
    need = Resources.parse(wanted or ("cpu=1", "memory=1GiB"))
    options: dict[str, Any] = {"queue": "default", "order": round(at * 1000), **fields}
    queue = str(options.pop("queue"))
    request = Request(
        name, name, queue, (Group("worker", *replicas, need),), submitted_at=at, **options
    )
    return Job(request, duration_s)


def trace(nodes: tuple[Node, ...], *jobs: Job, queues: tuple[Queue, ...] = ()) -> Trace:
    return Trace("test", nodes, tuple(sorted(jobs, key=lambda j: j.request.submitted_at)), queues)
