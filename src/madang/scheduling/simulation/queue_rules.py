"""What queues of a simulation must keep to, as those of a cluster must: nothing is above itself,
guarantees come out of what is above, limits are no less than guarantees, weights are numbers."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from madang.core.amounts import format_amount
from madang.core.resources import MILLI
from madang.scheduling.model import Node, Queue
from madang.scheduling.ordering import ORDERS, TIME_SHARING
from madang.scheduling.placement import model_matches
from madang.scheduling.simulation.table import MOST_S

MOST_WEIGHT = 1e6
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Fault:
    """What can't be: at which setting of which queue, and what would do."""

    queue: str
    field: str
    message: str
    hint: str


def faults(queues: Sequence[Queue], nodes: Sequence[Node] | None = None) -> Iterator[Fault]:
    """One after another, those of the tree first. Without `nodes` guarantees are not compared
    with what there is. A queue whose parent is not among them counts as a root."""
    known = {queue.id: queue for queue in queues}
    for queue in queues:
        yield from _of_numbers(queue)
        if found := _of_parents(queue, known):
            yield found
            return  # nothing can be added up along a cycle
    below = defaultdict(list)
    for queue in queues:
        below[queue.parent if queue.parent in known else ""].append(queue)
    for queue in queues:
        yield from _of_limit(queue)
        yield from _of_guarantees(below[queue.id], _guaranteed(queue), f"{queue.name!r} above it")
    if nodes is not None:
        names = {name for queue in below[""] for name, _ in queue.guarantee}
        yield from _of_guarantees(below[""], capacity(nodes, names), "the cluster")


def capacity(nodes: Iterable[Node], names: Iterable[str]) -> dict[str, int]:
    """What nodes have together of each of these, counted as guarantees are."""
    nodes = tuple(nodes)
    return {name: sum(_of_node(node, name) for node in nodes) for name in names}


def _of_node(node: Node, name: str) -> int:
    if name == "cpu":
        return node.cpu_milli
    if name == "memory":
        return node.memory_bytes
    kind, _, model = name.partition("/")
    whole = [device for device in node.devices if device.kind == kind and not device.profile]
    if model:
        return MILLI * sum(model_matches(device.model, (model,)) for device in whole)
    return MILLI * len(whole) + dict(node.counted).get(name, 0)


def _of_numbers(queue: Queue) -> Iterator[Fault]:
    if not (math.isfinite(queue.weight) and 0 < queue.weight <= MOST_WEIGHT):
        hint = f"Write a number above 0, at most {MOST_WEIGHT:g}."
        yield Fault(queue.id, "weight", f"the weight of {queue.name!r} is {queue.weight:g}", hint)
    if not 0 <= queue.min_runtime_s <= MOST_S:
        message = f"the shortest run of {queue.name!r} is {queue.min_runtime_s:g} s"
        yield Fault(queue.id, "min_runtime_s", message, f"Write 0 to {MOST_S:g} seconds.")
    orders = (*ORDERS, *sorted(TIME_SHARING))
    if queue.ordering not in orders:
        message = f"{queue.ordering[:100]!r} is no order"
        yield Fault(queue.id, "ordering", message, f"Use one of: {', '.join(orders)}.")


def _of_parents(queue: Queue, known: Mapping[str, Queue]) -> Fault | None:
    above: list[str] = []
    at: Queue | None = queue
    while at is not None:
        if at.id in above:
            message = f"queue {queue.name!r} would be above itself"
            hint = "Choose a parent that is not below it, or none for the root."
            return Fault(queue.id, "parent", message, hint) if at is queue else None
        above.append(at.id)
        at = known.get(at.parent)
    if len(above) > _DEEPEST:
        message = f"queues can't be nested deeper than {_DEEPEST}"
        return Fault(queue.id, "parent", message, "Leave out queues between.")
    return None


def _of_limit(queue: Queue) -> Iterator[Fault]:
    limits = dict(queue.limit or ())
    for name, guarantee in queue.guarantee:
        if name in limits and limits[name] < guarantee:
            shown = format_amount(name, guarantee)
            yield Fault(
                queue.id,
                "limit",
                f"the limit of {queue.name!r}, {name}={format_amount(name, limits[name])}, is "
                f"below its guarantee of {shown}",
                f"Use a limit of at least {shown}, or guarantee less.",
            )


def _of_guarantees(
    siblings: Sequence[Queue], most: Mapping[str, int], who: str
) -> Iterator[Fault]:
    """What siblings are guaranteed is at most what there is for them all; told of the one with
    which it becomes too much."""
    total: Counter[str] = Counter()
    for queue in siblings:
        for name, amount in _guaranteed(queue).items():
            total[name] += amount
            there = most.get(name, 0)
            if amount and total[name] > there:
                left = max(0, there - total[name] + amount)
                has = "has" if who == "the cluster" else "is guaranteed"
                yield Fault(
                    queue.id,
                    "guarantee",
                    f"{queue.name!r} can't be guaranteed {name}={format_amount(name, amount)}: "
                    f"{who} {has} {format_amount(name, there)}",
                    f"At most {name}={format_amount(name, left)} is left for it.",
                )


def _guaranteed(queue: Queue) -> dict[str, int]:
    """Its guarantee; what is of one model is part of its kind."""
    own = dict(queue.guarantee)
    models: Counter[str] = Counter()
    for name, amount in own.items():
        if "/" in name:
            models[name.partition("/")[0]] += amount
    return own | {kind: max(own.get(kind, 0), amount) for kind, amount in models.items()}
