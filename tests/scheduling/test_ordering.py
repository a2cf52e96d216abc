"""Orders within a queue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from madang.scheduling import Queue
from madang.scheduling.ordering import ORDERS
from madang.scheduling.usage import Usage
from tests.scheduling.world import World, ask, node


def order_of_starts(ordering: str, *requests: tuple[str, str, int]) -> list[str]:
    """Names in the order in which they start on one GPU, each ending after ten seconds."""
    world = World(node("a", gpus=1), Queue("q", "q", ordering=ordering))
    for number, (name, user, priority) in enumerate(requests):
        world.ask(name, "gpu=1", queue="q", user=user, priority=priority, order=number)
    started: list[str] = []
    while world.requests:
        [name] = world.starts()
        started.append(name)
        world.now += 10.0
        world.end(name)
    return started


def test_fifo_and_priority() -> None:
    requests = (("a", "ann", 0), ("b", "bo", 5), ("c", "ann", 0))
    assert order_of_starts("fifo", *requests) == ["a", "b", "c"]
    assert order_of_starts("priority", *requests) == ["b", "a", "c"]


def test_usage_lets_those_go_who_had_least() -> None:
    requests = (("a", "ann", 0), ("b", "ann", 0), ("c", "ann", 0), ("d", "bo", 0))
    assert order_of_starts("usage", *requests) == ["a", "d", "b", "c"]


def test_usage_makes_it_anothers_turn_though_nothing_happens() -> None:
    world = World(node("a", gpus=2), Queue("q", "q", ordering="usage"))
    world.planner.load(replace(world.planner.snapshot(0.0), usage=(("bo", 100.0, 0.0),)))
    world.ask("runs", "gpu=1", queue="q", user="ann")
    world.plan(compare=True)
    for number, (name, user) in enumerate((("a", "ann"), ("b", "bo"))):
        world.ask(name, "gpu=2", queue="q", user=user, order=number)
    place = ("q", "gpu")
    world.plan(compare=True)
    assert world.planner._turns.heads[place] == "a"
    world.now = 200.0
    world.plan(compare=True)
    assert world.planner._turns.heads[place] == "b"


def test_fair_lets_those_go_who_hold_least() -> None:
    world = World(node("a", gpus=4), Queue("q", "q", ordering="fair"))
    for number in range(4):
        world.ask(f"a{number}", "gpu=1", queue="q", user="ann", order=number)
    for number in range(4):
        world.ask(f"b{number}", "gpu=1", queue="q", user="bo", order=10 + number)
    assert set(world.starts()) == {"a0", "a1", "b0", "b1"}


@pytest.mark.parametrize("name", sorted(ORDERS))
def test_keys_are_total(name: str) -> None:
    order = ORDERS[name]
    keys = {order.key(ask(f"r{i}", priority=i % 2, order=i % 3)) for i in range(20)}
    assert len(keys) == 20


def test_usage_decays_by_half() -> None:
    usage = Usage(half_life_s=100.0)
    usage.load([("ann", 40.0, 0.0)])
    usage.advance(100.0)
    assert usage.of("ann") == pytest.approx(20.0)


def test_usage_grows_with_what_is_held() -> None:
    usage = Usage(half_life_s=1e9)
    usage.advance(0.0)
    usage.hold("ann", 2000)
    usage.advance(0.0)
    usage.advance(50.0)
    assert usage.of("ann") == pytest.approx(100.0, rel=1e-3)
    usage.hold("ann", -2000)
    usage.advance(50.0)
    usage.advance(90.0)
    assert usage.of("ann") == pytest.approx(100.0, rel=1e-3)
