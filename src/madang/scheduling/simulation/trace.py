"""What a simulation is given: nodes, queues, and jobs with the time they take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from madang.core.errors import InvalidInput
from madang.core.resources import MILLI
from madang.scheduling.model import Amounts, Limit, Node, Queue, Request, Reservation


@dataclass(frozen=True, slots=True)
class Job:
    """A request, asked for at its `submitted_at`, and how long it runs with the fewest replicas
    that it accepts. With more it gets on as `request.work.speeds` says, else in proportion."""

    request: Request
    duration_s: float


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs in the order of their arrival, and what they run on. Without queues there is one.
    notes: sentences on what it leaves out or takes for granted, for whoever reads the result."""

    name: str
    nodes: tuple[Node, ...]
    jobs: tuple[Job, ...]
    queues: tuple[Queue, ...] = ()
    limits: tuple[Limit, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def begin(self) -> float:
        return self.jobs[0].request.submitted_at if self.jobs else 0.0

    @property
    def last_arrival(self) -> float:
        return self.jobs[-1].request.submitted_at if self.jobs else 0.0

    def with_ordering(self, ordering: str) -> Trace:
        """The same with this order within every leaf."""
        leaves = leaf_ids(self.queues)
        queues = tuple(
            replace(queue, ordering=ordering) if queue.id in leaves else queue
            for queue in self.queues
        )
        return replace(self, queues=queues)


def leaf_ids(queues: Iterable[Queue]) -> set[str]:
    """Queues that no other one is below."""
    queues = tuple(queues)
    return {queue.id for queue in queues} - {queue.parent for queue in queues}


def in_order(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """By arrival; equal arrivals stay in the order of the file."""
    return tuple(sorted(jobs, key=lambda job: job.request.submitted_at))


def one_queue(jobs: Sequence[Job], ordering: str = "fifo") -> tuple[Queue, ...]:
    """A queue for each name that jobs go to, all equal."""
    names = sorted({job.request.queue for job in jobs})
    return tuple(Queue(name, name, ordering=ordering) for name in names)


def gpu_milli(request: Request, replicas: str = "replicas_min") -> int:
    """Thousandths of GPUs that a request holds at its minimum (or `replicas_max`)."""
    return sum(
        int(getattr(group, replicas)) * group.resources.device_milli
        for group in request.groups
        if group.resources.device_kind == "gpu"
    )


def node_gpus(node: Node) -> int:
    """How many whole GPUs a node has."""
    return sum(device.kind == "gpu" and not device.profile for device in node.devices)


def capacity(nodes: Iterable[Node]) -> Amounts:
    """What nodes have together, in the words of queues' guarantees."""
    nodes = tuple(nodes)
    amounts = {
        "cpu": sum(node.cpu_milli for node in nodes),
        "gpu": MILLI * sum(node_gpus(node) for node in nodes),
        "memory": sum(node.memory_bytes for node in nodes),
    }
    return tuple(sorted((name, amount) for name, amount in amounts.items() if amount))


def invalid(where: str, message: str, hint: str) -> InvalidInput:
    """An input can't be used: `where` names the file, and the row and column if it is one."""
    return InvalidInput(f"{where}: {message}", hint=hint)
