"""Elastic gangs: admitted at their minimum, grown when idle, shrunk when wanted."""

from __future__ import annotations

from madang.scheduling import Queue, Resize, Where
from tests.scheduling.world import World, ask, node


def resizes(world: World) -> dict[str, int]:
    return {a.request_id: len(a.added) for a in world.plan() if isinstance(a, Resize)}


def test_it_starts_with_what_is_idle() -> None:
    world = World(node("a", gpus=4), ask("e", "gpu=1", replicas=(2, 8), resizable=True))
    assert world.starts() == {"e": ["a"] * 4}


def test_others_that_wait_go_before_growth() -> None:
    world = World(
        node("a", gpus=4),
        ask("e", "gpu=1", replicas=(1, 8), resizable=True),
        ask("other", "gpu=2", order=1),
    )
    assert {name: len(places) for name, places in world.starts().items()} == {"e": 2, "other": 1}


def test_it_grows_when_something_ends() -> None:
    world = World(
        node("a", gpus=4),
        ask("e", "gpu=1", replicas=(1, 3), resizable=True, order=1),
        ask("other", "gpu=3"),
    )
    world.starts()
    world.end("other")
    assert resizes(world) == {"e": 2}
    assert resizes(world) == {}


def test_those_who_hold_least_grow_first_and_in_turn() -> None:
    world = World(
        node("a", gpus=6, cpu=16),
        Queue("p", "p"),
        Queue("q", "q"),
        ask("e", "gpu=1", queue="p", replicas=(1, 6), resizable=True),
        ask("f", "gpu=1", queue="q", replicas=(1, 6), resizable=True),
    )
    assert {name: len(places) for name, places in world.starts().items()} == {"e": 3, "f": 3}


def test_limits_bound_growth() -> None:
    world = World(
        node("a", gpus=6, cpu=16),
        Queue("p", "p", limit=(("gpu", 3000),)),
        ask("e", "gpu=1", queue="p", replicas=(1, 6), resizable=True),
    )
    assert {name: len(places) for name, places in world.starts().items()} == {"e": 3}


def test_replicas_that_stay_apart_grow_apart() -> None:
    world = World(
        node("a", gpus=2),
        node("b", gpus=2),
        ask("e", "gpu=1", replicas=(1, 4), resizable=True, where=Where(apart="node")),
    )
    assert world.starts() == {"e": ["a", "b"]}


def test_what_cannot_be_resized_takes_what_fits_at_once() -> None:
    world = World(node("a", gpus=4), ask("e", "gpu=1", replicas=(1, 3)))
    assert world.starts() == {"e": ["a"] * 3}
    world.end("e")
