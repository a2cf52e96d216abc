"""The planner: order, gangs, devices, reasons; and the properties that hold for any history."""

from __future__ import annotations

import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from madang.core.reasons import ReasonCode
from madang.scheduling import (
    Asked,
    Device,
    Node,
    NodeGone,
    NodeSet,
    Planner,
    Released,
    Request,
    Start,
    Withdrawn,
)
from tests.scheduling.world import GIB, World, ask, node


def planner_of(*things: Node | Request) -> Planner:
    return World(*things).planner


def started(planner: Planner, now: float = 0.0) -> dict[str, list[str]]:
    actions = planner.plan(now)
    return {
        action.request.id: [placement.node_id for placement in action.placements]
        for action in actions
        if isinstance(action, Start)
    }


def reason(planner: Planner, name: str) -> tuple[ReasonCode, str]:
    planner.plan(0.0)
    wait = planner.explain(name)
    assert wait is not None
    return wait.reason.code, str(wait.reason)


def test_first_come_first_served_within_a_priority() -> None:
    requests = [ask(f"j{i}", "cpu=4", priority=p, order=i) for i, p in enumerate([0, 0, 5])]
    planner = planner_of(node("a", cpu=8), *requests)
    assert list(started(planner)) == ["j2", "j0"]
    planner.apply([Released("j2/worker/0")])
    assert list(started(planner)) == ["j1"]


def test_a_gang_starts_as_a_whole_or_not_at_all() -> None:
    planner = planner_of(node("a", cpu=4), node("b", cpu=2), ask("g", "cpu=2", replicas=4))
    assert started(planner) == {}
    assert reason(planner, "g") == (
        ReasonCode.GANG_TOO_LARGE,
        "asks for 4 tasks at once of cpu=2 memory=2GiB each; all nodes together could hold 3",
    )
    planner.apply([NodeSet(node("c", cpu=2))])
    assert started(planner) == {"g": ["a", "a", "b", "c"]}


def test_an_elastic_gang_takes_what_fits_up_to_its_maximum() -> None:
    planner = planner_of(node("a", cpu=3), ask("g", "cpu=1", replicas=(2, 8)))
    assert started(planner) == {"g": ["a", "a", "a"]}


def test_shares_are_packed_on_the_fullest_device() -> None:
    things = [ask(f"s{i}", "gpu=0.4", "cpu=0.1", order=i) for i in range(3)]
    planner = planner_of(node("a", gpus=2), *things)
    actions = [action for action in planner.plan(0) if isinstance(action, Start)]
    assert [action.placements[0].devices[0].index for action in actions] == [0, 0, 1]
    assert actions[0].placements[0].devices[0].memory_bytes == 32 * GIB


def test_memory_alone_asks_for_the_share_that_has_it() -> None:
    planner = planner_of(node("a", gpus=1), ask("m", "gpu_memory=20GiB"))
    [start] = [action for action in planner.plan(0) if isinstance(action, Start)]
    assert start.placements[0].devices[0].milli == 250


def test_a_model_is_named_by_its_word() -> None:
    a10 = Node("a", "a", 8000, 32 * GIB, (Device("gpu", 0, "NVIDIA A10", 24 * GIB),))
    a100 = Node("b", "b", 8000, 32 * GIB, (Device("gpu", 0, "NVIDIA A100-SXM4-80GB", 80 * GIB),))
    planner = planner_of(a10, a100, ask("x", "gpu=1", "gpu_model=A100"))
    assert started(planner) == {"x": ["b"]}
    planner.apply([Asked(ask("y", "gpu=1", "gpu_model=H100"))])
    assert reason(planner, "y") == (
        ReasonCode.NO_DEVICE,
        "asks for 1 H100 with cpu=1 memory=2GiB, which no node has; "
        "there are gpu NVIDIA A10, gpu NVIDIA A100-SXM4-80GB",
    )


def test_other_accelerators_are_devices_too() -> None:
    tpus = tuple(Device("tpu-v5e", i, "v5e", 16 * GIB) for i in range(4))
    planner = planner_of(
        Node("t", "t", 8000, 32 * GIB, tpus), ask("x", "accelerator=tpu-v5e:4"), ask("g", "gpu=1")
    )
    assert started(planner) == {"x": ["t"]}
    assert reason(planner, "g")[0] is ReasonCode.NO_DEVICE


def test_reasons_say_what_is_missing() -> None:
    planner = planner_of(ask("w"))
    assert reason(planner, "w")[0] is ReasonCode.NO_NODE
    planner.apply([NodeSet(node("a", cpu=4, gpus=2)), Asked(ask("big", "cpu=64"))])
    assert reason(planner, "big") == (
        ReasonCode.TOO_LARGE,
        "asks for cpu=64 memory=2GiB, more than any node has; "
        "the largest has cpu=4 memory=32GiB on a",
    )
    planner.apply([Asked(ask("one", "gpu=2", order=1)), Asked(ask("two", "gpu=2", order=2))])
    assert reason(planner, "two") == (
        ReasonCode.RESOURCES,
        "waits for 2 gpu with cpu=1 memory=2GiB on one node; free now: cpu=2 memory=29GiB gpu=0 "
        "on a; it is free when one ends, nobody knows when",
    )


def test_cordoned_nodes_are_named() -> None:
    planner = planner_of(node("a", gpus=1, open=False), node("b"), ask("g", "gpu=1"))
    assert started(planner) == {}
    assert reason(planner, "g")[0] is ReasonCode.NODES_CLOSED
    planner.apply([NodeSet(node("a", gpus=1))])
    assert started(planner) == {"g": ["a"]}


def test_the_first_in_line_is_not_starved_by_small_ones() -> None:
    """A stream of one-GPU jobs must not keep a two-GPU job out for ever."""
    planner = planner_of(node("a", cpu=32, gpus=2), ask("s0", "gpu=1"), ask("s1", "gpu=1"))
    assert set(started(planner)) == {"s0", "s1"}
    planner.apply([Asked(ask("large", "gpu=2", order=5)), Asked(ask("s2", "gpu=1", order=6))])
    planner.apply([Released("s0/worker/0")])
    assert started(planner) == {}
    assert reason(planner, "s2")[0] is ReasonCode.WOULD_DELAY
    planner.apply([Released("s1/worker/0")])
    assert set(started(planner)) == {"large"}


def test_what_the_first_in_line_cannot_use_does_not_lie_idle() -> None:
    planner = planner_of(node("a", cpu=8, gpus=1), ask("g1", "gpu=1"), ask("g2", "gpu=1", order=1))
    assert set(started(planner)) == {"g1"}
    planner.apply([Asked(ask("c", "cpu=4", order=2)), Asked(ask("d", "cpu=4", order=3))])
    assert set(started(planner)) == {"c"}  # d would take the CPU that g2 needs


def test_backoff_is_waited_for() -> None:
    planner = planner_of(node("a"), ask("later", not_before=10.0))
    assert planner.plan(5.0) == []
    assert planner.next_time() == 10.0
    assert set(started(planner, 10.0)) == {"later"}
    assert planner.next_time() is None


def test_a_withdrawn_request_does_not_start() -> None:
    planner = planner_of(node("a"), ask("x"))
    planner.apply([Withdrawn("x"), Withdrawn("never there")])
    assert planner.plan(0.0) == []


def test_many_that_wait_cost_nothing_when_nothing_changed() -> None:
    requests = [ask(f"j{i:06}", f"cpu={2 + i % 5}", order=i) for i in range(20_000)]
    planner = planner_of(node("a", cpu=1), *requests)
    planner.plan(0.0)
    began = time.perf_counter()
    for _ in range(100):
        planner.plan(0.0)
    assert time.perf_counter() - began < 0.5


# -- properties -------------------------------------------------------------------------------

WANTED = (
    ("cpu=1", "memory=1GiB"),
    ("cpu=3", "memory=4GiB"),
    ("cpu=0.5", "memory=1GiB", "gpu=0.3"),
    ("cpu=1", "memory=1GiB", "gpu=1"),
    ("cpu=1", "memory=1GiB", "gpu=2"),
    ("cpu=1", "memory=1GiB", "gpu_memory=30GiB"),
    ("cpu=64", "memory=1GiB"),
)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 40))
def test_any_history_ends_in_what_a_fresh_planner_does(seed: int, steps: int) -> None:
    chance = random.Random(seed)
    world = World()
    number = 0
    for _ in range(steps):
        match chance.randrange(7):
            case 0:
                name = f"n{chance.randrange(3)}"
                world.tell(
                    NodeSet(node(name, cpu=8, memory=32, gpus=2, open=chance.random() < 0.8))
                )
            case 1 if world.held:
                world.tell(Released(chance.choice(sorted(world.held))))
            case 2 if world.requests:
                world.tell(Withdrawn(chance.choice(sorted(world.requests))))
            case 3:
                world.now += chance.choice([0.5, 3.0])
            case 4 if chance.random() < 0.2 and world.nodes:
                world.tell(NodeGone(chance.choice(sorted(world.nodes))))
            case _:
                for _ in range(chance.randrange(1, 5)):
                    number += 1
                    low = chance.choice([1, 1, 1, 2, 3])
                    world.tell(
                        Asked(
                            ask(
                                f"r{number}",
                                *chance.choice(WANTED),
                                replicas=(low, low + chance.choice([0, 0, 2])),
                                priority=chance.choice([0, 0, 5]),
                                order=number,
                                not_before=world.now + chance.choice([0.0, 0.0, 2.0]),
                            )
                        )
                    )
        if chance.random() < 0.6:
            world.plan(compare=True)
    world.plan(compare=True)
    fresh = Planner()
    fresh.load(world.planner.snapshot(world.now))
    fresh.plan(world.now)
    for request_id in world.requests:
        assert fresh.explain(request_id) == world.planner.explain(request_id)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_everything_possible_starts_at_last(seed: int) -> None:
    """No starvation: while things end, each request that could run does, in spite of newcomers."""
    chance = random.Random(seed)
    world = World()
    world.tell(NodeSet(node("a", cpu=8, gpus=2)), NodeSet(node("b", cpu=4)))
    wanted = chance.choice(WANTED[:-1])
    replicas = 1 if "gpu=2" in wanted else chance.choice([1, 2])
    patient = ask("patient", *wanted, replicas=replicas, order=1)
    for number in range(2, 8):
        world.tell(Asked(ask(f"r{number}", *chance.choice(WANTED[:-1]), order=number - 6)))
    world.tell(Asked(patient))
    for number in range(8, 200):
        world.plan()
        if "patient" not in world.requests:
            return
        world.tell(Asked(ask(f"r{number}", *chance.choice(WANTED[:-1]), order=number)))
        if world.held:
            world.tell(Released(chance.choice(sorted(world.held))))
    raise AssertionError("it never started")
