"""The tree of queues: shares, guarantees, limits, borrowing and lending."""

from __future__ import annotations

import pytest

from madang.scheduling import Asked, Limit, LimitSet, Planner, Policy, Queue, QueueSet, Start
from tests.scheduling.world import World, ask, node


def gpus(count: float) -> tuple[tuple[str, int], ...]:
    return (("gpu", int(count * 1000)),)


def held(world: World, queue: str) -> int:
    """GPUs that a queue's requests hold."""
    return (
        sum(
            hold.milli
            for name, running in world.running.items()
            if running.request.queue == queue
            for key in world.keys_of(name)
            for hold in world.held[key].devices
        )
        // 1000
    )


def fill(world: World, queue: str, count: int, *wanted: str, **options: object) -> None:
    for number in range(count):
        name = f"{queue}{len(world.requests) + len(world.running)}-{number}"
        world.ask(name, *(wanted or ("gpu=1",)), queue=queue, order=number, **options)


def test_queues_get_turns_by_their_share() -> None:
    world = World(node("a", gpus=4), Queue("p", "p"), Queue("q", "q"))
    fill(world, "p", 6)
    fill(world, "q", 6)
    world.plan()
    assert (held(world, "p"), held(world, "q")) == (2, 2)


def test_weights_divide_what_is_contended() -> None:
    world = World(node("a", gpus=8, cpu=32), Queue("p", "p", weight=3.0), Queue("q", "q"))
    fill(world, "p", 9)
    fill(world, "q", 9)
    world.plan()
    assert (held(world, "p"), held(world, "q")) == (6, 2)


def test_shares_are_of_what_is_dominant() -> None:
    """Dominant Resource Fairness: CPU tasks and GPU tasks each get the same part of theirs."""
    world = World(node("a", gpus=8, cpu=40, memory=900), Queue("p", "p"), Queue("q", "q"))
    fill(world, "p", 40, "cpu=4", "memory=1GiB")
    fill(world, "q", 8, "cpu=2", "gpu=1", "memory=1GiB")
    world.plan()
    cpus = sum(a.cpu_milli for k, a in world.held.items() if k.startswith("p")) / 40_000
    assert cpus == pytest.approx(held(world, "q") / 8, abs=0.15)


def test_children_share_what_their_parent_gets() -> None:
    world = World(
        node("a", gpus=8, cpu=32),
        Queue("p", "p"),
        Queue("p1", "p1", parent="p"),
        Queue("p2", "p2", parent="p"),
        Queue("q", "q"),
    )
    for queue in ("p1", "p2", "q"):
        fill(world, queue, 8)
    world.plan()
    assert [held(world, queue) for queue in ("p1", "p2", "q")] == [2, 2, 4]


def test_guarantees_go_first() -> None:
    world = World(node("a", gpus=4), Queue("p", "p", guarantee=gpus(3)), Queue("q", "q"))
    fill(world, "q", 6)
    fill(world, "p", 6)
    world.plan()
    assert (held(world, "p"), held(world, "q")) == (3, 1)


def test_limits_hold_at_each_level() -> None:
    world = World(
        node("a", gpus=8, cpu=32),
        Queue("p", "p", limit=gpus(3)),
        Queue("p1", "p1", parent="p", limit=gpus(2)),
        Queue("p2", "p2", parent="p"),
    )
    fill(world, "p1", 5)
    fill(world, "p2", 5)
    world.plan()
    assert held(world, "p1") + held(world, "p2") == 3
    assert held(world, "p1") <= 2


def test_borrowing_is_bounded() -> None:
    world = World(
        node("a", gpus=8, cpu=32), Queue("p", "p", guarantee=gpus(2), borrowing_limit=gpus(1))
    )
    fill(world, "p", 8, preemptible=True)
    world.plan()
    assert held(world, "p") == 3


def test_what_is_not_lent_stays_free() -> None:
    world = World(
        node("a", gpus=4),
        Queue("p", "p", guarantee=gpus(3), lending_limit=gpus(1)),
        Queue("q", "q"),
    )
    fill(world, "q", 4, preemptible=True)
    world.plan()
    assert held(world, "q") == 2  # one that nobody is guaranteed, one that is lent


def test_a_model_may_be_bounded() -> None:
    world = World(node("a", gpus=4), Queue("p", "p", limit=(("gpu/H100", 1000),)))
    fill(world, "p", 4)
    world.plan()
    assert held(world, "p") == 1


def test_a_closed_queue_starts_nothing() -> None:
    world = World(node("a", gpus=2), Queue("p", "p", open=False))
    fill(world, "p", 1)
    assert world.starts() == {}
    world.tell(QueueSet(Queue("p", "p")))
    assert len(world.starts()) == 1


def test_a_cycle_does_not_hang() -> None:
    world = World(node("a", gpus=1), Queue("p", "p", parent="q"), Queue("q", "q", parent="p"))
    fill(world, "p", 1)
    assert len(world.starts()) == 1


def test_users_and_projects_have_limits() -> None:
    world = World(node("a", gpus=8, cpu=32))
    world.tell(
        LimitSet(Limit("user:ann", running=1)),
        LimitSet(Limit("project:vision", None, None, gpus(2))),
    )
    for number in range(3):
        world.ask(f"a{number}", "gpu=1", user="ann", order=number)
        world.ask(f"v{number}", "gpu=1", user="bo", project="vision", order=number)
    world.plan()
    assert sorted(world.running) == ["a0", "v0", "v1"]
    world.end("a0")
    assert set(world.starts()) == {"a1"}


def test_a_limit_for_everybody_is_for_each() -> None:
    world = World(node("a", gpus=8, cpu=32))
    world.tell(LimitSet(Limit("user:*", running=1)))
    for user in ("ann", "bo"):
        for number in range(2):
            world.ask(f"{user}{number}", "gpu=1", user=user, order=number)
    assert set(world.starts()) == {"ann0", "bo0"}


def test_strict_order_lets_nobody_pass() -> None:
    strict = Policy(placement="first-fit", backfill=False)
    world = World(node("a", gpus=2), policy=strict)
    world.ask("one", "gpu=1")
    world.plan()
    world.ask("large", "gpu=2", order=1)
    world.ask("small", "cpu=1", order=2)
    assert world.starts() == {}


def test_many_that_wait_are_cheap_to_change() -> None:
    planner = Planner()
    planner.apply(QueueSet(Queue(f"q{i}", f"q{i}")) for i in range(10))
    planner.apply(Asked(ask(f"r{i}", f"cpu={1 + i % 5}", queue=f"q{i % 10}")) for i in range(2000))
    assert not any(isinstance(action, Start) for action in planner.plan(0.0, waits=False))
    planner.apply([QueueSet(Queue("q3", "q3", weight=5.0))])
    assert planner.plan(0.0, waits=False) == []
