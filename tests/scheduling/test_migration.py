"""Moving what runs so that what fits nowhere fits."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from madang.scheduling import (
    Action,
    Began,
    Limit,
    LimitSet,
    Migrate,
    NodeSet,
    Planner,
    Policy,
    Preempt,
    Queue,
    Released,
    Running,
    Start,
)
from tests.scheduling.world import World, ask, node

MOVES = Policy(placement="first-fit", migration_budget=1.0)
SHARE = ("cpu=1", "memory=1GiB")


def split_world(policy: Policy = MOVES, **options: object) -> World:
    """Two nodes of 2 GPUs with one of each in use: 2 are free, but not on one node."""
    world = World(node("a", gpus=2), node("b", gpus=2), policy=policy)
    world.ask("first", *SHARE, "gpu=1", preemptible=True, order=1, **options)
    world.ask("other", *SHARE, "gpu=1", preemptible=True, order=2, **options)
    world.ask("third", *SHARE, "gpu=1", preemptible=True, order=3, **options)
    world.plan()
    assert {key: held.node_id for key, held in world.held.items()} == {
        "first/worker/0": "a", "other/worker/0": "a", "third/worker/0": "b",
    }  # fmt: skip
    world.end("other")
    world.now += 10.0
    return world


def moves(actions: list[Action]) -> list[Migrate]:
    return [action for action in actions if isinstance(action, Migrate)]


def test_one_moves_and_both_run() -> None:
    world = split_world()
    world.ask("wide", *SHARE, "gpu=2", order=4)
    world.plan(compare=True)
    (name,) = world.stopped
    (move,) = [world.moving[name]]
    world.now += 5.0
    assert not any(isinstance(action, Start) for action in world.plan(compare=True))
    world.vacate()
    starts = [action for action in world.plan(compare=True) if isinstance(action, Start)]
    assert {start.request.id for start in starts} == {name, "wide"}
    assert {held.node_id for held in world.held.values() if held.key.startswith(name)} == {*move}


def test_a_move_says_what_is_gained_and_lost() -> None:
    world = split_world()
    world.tell(Began(Running(world.running["first"].request, 0.0, 9.0)))
    world.ask("wide", *SHARE, "gpu=2", order=4)
    (move,) = moves(world.plan())
    assert (move.request_id, move.winner) == ("first", "wide")  # it saved its work a second ago
    assert "2" in move.gained
    assert move.lost_s == 1.0


def test_nothing_moves_without_a_budget_or_beyond_it() -> None:
    for budget in (0.0, 0.4):
        world = split_world(Policy(placement="first-fit", migration_budget=budget))
        world.ask("wide", *SHARE, "gpu=2", order=4)
        assert not moves(world.plan(compare=True))
    world = split_world(Policy(placement="first-fit", migration_budget=0.5))
    world.ask("wide", *SHARE, "gpu=2", order=4)
    assert len(moves(world.plan(compare=True))) == 1


def test_what_may_not_be_stopped_stays() -> None:
    world = World(node("a", gpus=2), node("b", gpus=2), policy=MOVES)
    world.ask("first", *SHARE, "gpu=1", order=1)
    world.ask("other", *SHARE, "gpu=1", order=2)
    world.ask("third", *SHARE, "gpu=1", order=3)
    world.plan()
    world.end("other")
    world.now += 10.0
    world.ask("wide", *SHARE, "gpu=2", order=4, priority=9)
    assert not moves(world.plan(compare=True))


def test_the_young_stay_until_they_are_old_enough() -> None:
    young = World(
        node("a", gpus=2), node("b", gpus=2), Queue("q", "q", min_runtime_s=60.0), policy=MOVES
    )
    for number, name in enumerate(("first", "other", "third")):
        young.ask(name, *SHARE, "gpu=1", preemptible=True, order=number, queue="q")
    young.plan()
    young.end("other")
    young.ask("wide", *SHARE, "gpu=2", order=4, queue="q")
    young.now = 30.0
    assert not moves(young.plan(compare=True))
    assert young.planner.next_time() == 60.0
    young.now = 60.0
    assert len(moves(young.plan(compare=True))) == 1


def test_the_more_urgent_of_ones_own_queue_is_not_moved() -> None:
    world = split_world(priority=5)
    world.ask("wide", *SHARE, "gpu=2", order=4)
    assert not moves(world.plan(compare=True))


def test_a_move_is_preferred_to_a_stop() -> None:
    world = split_world()
    world.ask("wide", *SHARE, "gpu=2", order=4, priority=5)
    actions = world.plan(compare=True)
    assert len(moves(actions)) == 1
    assert not any(isinstance(action, Preempt) for action in actions)


def test_what_ends_instead_of_moving_gives_its_new_place_back() -> None:
    world = split_world()
    world.ask("wide", *SHARE, "gpu=2", order=4)
    (move,) = moves(world.plan())
    world.stopped.clear()
    world.end(move.request_id)
    starts = [action for action in world.plan(compare=True) if isinstance(action, Start)]
    assert [start.request.id for start in starts] == ["wide"]
    world.ask("small", *SHARE, "gpu=1", order=5)
    assert world.starts().keys() == {"small"}


def test_it_goes_on_though_a_limit_was_lowered_meanwhile() -> None:
    world = split_world(user="ann")
    world.ask("wide", *SHARE, "gpu=2", order=4, user="bo")
    (move,) = moves(world.plan())
    world.tell(LimitSet(Limit("user:ann", running=0)))
    world.vacate()
    starts = [action for action in world.plan(compare=True) if isinstance(action, Start)]
    assert move.request_id in {start.request.id for start in starts}


def test_where_its_new_node_closes_it_waits_again() -> None:
    world = split_world()
    world.ask("wide", *SHARE, "gpu=2", order=4)
    (move,) = moves(world.plan())
    target = move.placements[0].node_id
    world.tell(NodeSet(node(target, gpus=2, open=False)))
    world.vacate()
    world.plan(compare=True)
    held = {key.split("/")[0] for key in world.held}
    assert "wide" in held
    assert world.planner.explain(move.request_id) is not None


def test_the_head_of_a_queue_is_not_delayed() -> None:
    """A place that somebody else will have is neither taken nor made anybody's."""
    world = World(
        node("a", gpus=4), node("b", gpus=2), Queue("p", "p"), Queue("q", "q"), policy=MOVES
    )
    world.ask("long", *SHARE, "gpu=3", queue="p", time_limit_s=100.0, order=1)
    world.ask("small", *SHARE, "gpu=1", queue="p", preemptible=True, order=2)
    world.ask("side", *SHARE, "gpu=1", queue="q", preemptible=True, order=3)
    world.plan()
    world.now += 10.0
    world.ask("big", *SHARE, "gpu=4", queue="p", order=4)
    world.ask("wide", *SHARE, "gpu=2", queue="q", order=5)
    for action in moves(world.plan(compare=True)):
        assert action.winner == "big" or all(p.node_id != "a" for p in action.placements)


def test_the_hours_moves_are_counted_after_a_restart_too() -> None:
    world = split_world(Policy(placement="first-fit", migration_budget=0.4))
    snapshot = world.planner.snapshot(world.now)
    fresh = Planner()
    fresh.load(type(snapshot)(**{
        **{name: getattr(snapshot, name) for name in snapshot.__slots__},
        "policy": MOVES,
        "moved": (("gone", world.now - 100.0), ("older", world.now - 200.0)),
        "requests": (ask("wide", *SHARE, "gpu=2", order=4),),
    }))  # fmt: skip
    assert not moves(fresh.plan(world.now, waits=False))
    assert fresh.next_time() is not None
    assert len(moves(fresh.plan(world.now + 3500.0, waits=False))) == 1


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_each_move_lets_somebody_start_and_nobody_loses_a_place(seed: int) -> None:
    """While no node closes and no queue changes, all that was moved goes on where it was said, as
    soon as those have stopped who must; and so does the one for whom it was."""
    chance = random.Random(seed)
    world = World(*(node(name, cpu=16, gpus=2) for name in "abc"), policy=MOVES)
    number = 0
    for _ in range(25):
        for _ in range(chance.randrange(0, 4)):
            number += 1
            wanted = chance.choice(["gpu=0.3", "gpu=0.5", "gpu=0.7", "gpu=1", "gpu=2"])
            world.ask(
                f"r{number}", *SHARE, wanted, preemptible=chance.random() < 0.8, order=number
            )
        if world.running and chance.random() < 0.6:
            name = chance.choice(sorted(world.running))
            if name not in world.stopped:
                world.tell(*(Released(key) for key in world.keys_of(name)))
        world.now += chance.choice([2.0, 500.0])
        actions = world.plan(compare=True)
        said = {**world.moving}
        winners = {move.winner for move in moves(actions)}
        world.vacate()
        starts = {
            action.request.id: tuple(place.node_id for place in action.placements)
            for action in world.plan(compare=True)
            if isinstance(action, Start)
        }
        if not any(isinstance(action, Preempt) for action in actions):
            assert said.items() <= starts.items()
            assert winners <= starts.keys()
