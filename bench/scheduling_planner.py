"""The planner's own speed: streams of requests, and plans while many wait."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Sequence

from bench.figures import Figure
from madang.core.resources import Resources
from madang.scheduling import (
    Asked,
    Device,
    Group,
    Node,
    NodeSet,
    Planner,
    Policy,
    PolicySet,
    Queue,
    QueueSet,
    Released,
    Request,
    Start,
)

GIB = 2**30
STREAM = 10_000
WAITING = 100_000

SHAPES = (
    ("cpu=4", "memory=8GiB"),
    ("cpu=4", "memory=16GiB", "gpu=0.5"),
    ("cpu=6", "memory=16GiB", "gpu=0.81"),
    ("cpu=8", "memory=32GiB", "gpu=1"),
    ("cpu=16", "memory=64GiB", "gpu=2"),
    ("cpu=64", "memory=256GiB", "gpu=8"),
)
WEIGHTS = (13, 25, 13, 46, 2, 1)
NEEDS = tuple(Resources.parse(shape) for shape in SHAPES)


def streams() -> Sequence[Figure]:
    """One request after another: asked, planned, started."""
    return [
        Figure(
            f"placements a second at {nodes:,} nodes, {policy}",
            _stream(nodes, policy),
            "/s",
            at_least=least,
            note="asked, planned and started one by one",
        )
        for nodes, least in ((1213, 5000), (10_000, 2000))
        for policy in ("default", "fgd", "first-fit")
    ]


def waiting() -> Sequence[Figure]:
    """Many wait; nothing changes, or one thing does."""
    planner = _planner(100, "first-fit")
    chance = random.Random(1)
    requests = [_request(chance, number, f"q{number % 30}") for number in range(WAITING)]
    began = time.thread_time()
    planner.apply(Asked(request) for request in requests)
    planner.plan(0.0)
    loaded = time.thread_time() - began
    unchanged = _seconds(lambda: planner.plan(1.0))
    numbers = itertools.count(WAITING)

    def one_more() -> None:
        planner.apply([Asked(_request(chance, next(numbers), "q1"))])
        planner.plan(1.0, waits=False)

    def one_ended() -> None:
        planner.apply([Released(next(iter(planner.held_keys)))])
        planner.plan(1.0, waits=False)

    asked, released = _seconds(one_more), _seconds(one_ended)
    name = f"with {WAITING:,} that wait"
    return [
        Figure(f"load and plan {name}", loaded, "s", at_most=10.0),
        Figure(f"a plan {name}, nothing changed", unchanged * 1e3, "ms", at_most=10.0),
        Figure(f"a plan {name}, one more asked", asked * 1e3, "ms"),
        Figure(f"a plan {name}, one task ended", released * 1e3, "ms"),
    ]


MEASURES = (streams, waiting)


def _planner(nodes: int, policy: str) -> Planner:
    planner = Planner()
    planner.apply([PolicySet(Policy(placement=policy))])
    planner.apply(QueueSet(Queue(f"q{number}", f"q{number}")) for number in range(30))
    planner.apply(NodeSet(_node(number)) for number in range(nodes))
    planner.plan(0.0)
    return planner


def _node(number: int) -> Node:
    """Eight, two, or no GPUs, as 2:1:1."""
    count, cpu, memory, model = (
        (8, 96, 384, "NVIDIA A100-SXM4-80GB"),
        (2, 104, 512, "Tesla T4"),
        (8, 128, 768, "NVIDIA H100 80GB HBM3"),
        (0, 64, 256, ""),
    )[number % 4]
    devices = tuple(Device("gpu", index, model, 80 * GIB) for index in range(count))
    return Node(f"n{number:05}", f"n{number:05}", cpu * 1000, memory * GIB, devices)


def _request(chance: random.Random, number: int, queue: str) -> Request:
    [need] = chance.choices(NEEDS, WEIGHTS)
    groups = (Group("worker", 1, 1, need),)
    name = f"r{number:06}"
    return Request(name, name, queue, groups, order=number, user=f"u{number % 50}")


def _stream(nodes: int, policy: str) -> float:
    planner = _planner(nodes, policy)
    chance = random.Random(42)
    capacity = nodes * 4 // 6
    requests = [
        _request(chance, number, f"q{number % 30}") for number in range(min(STREAM, capacity * 8))
    ]
    warm, rest = requests[:500], requests[500:]
    for request in warm:
        planner.apply([Asked(request)])
        planner.plan(0.0, waits=False)
    started = 0
    began = time.thread_time()
    for request in rest:
        planner.apply([Asked(request)])
        actions = planner.plan(0.0, waits=False)
        started += sum(isinstance(action, Start) for action in actions)
        if not actions:
            break
    return started / (time.thread_time() - began)


def _seconds(work: Callable[[], object], times: int = 20) -> float:
    work()
    began = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - began) / times
