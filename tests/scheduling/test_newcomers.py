"""Queues in which newcomers go first."""

from __future__ import annotations

from dataclasses import replace

from madang.scheduling import Asked, Began, Queue
from madang.scheduling.model import Amounts, Running
from madang.scheduling.ordering import NEVER, ORDERS
from madang.scheduling.ordering.newcomers import PATIENCE_S, STRETCH, TURN_S
from tests.scheduling.world import World, ask, node

HOUR_S = 3600.0
ORDER = ORDERS["newcomers"]


def queue(name: str, *, guarantee: int = 0, ordering: str = "newcomers") -> Queue:
    amounts: Amounts = (("gpu", guarantee * 1000),) if guarantee else ()
    return Queue(name, name, guarantee=amounts, ordering=ordering)


def world_with(*queues: Queue, gpus: int = 1) -> World:
    return World(node("a", gpus=gpus), *queues)


def test_what_had_its_first_turn_makes_room_and_does_not_take_it_back() -> None:
    world = world_with(queue("q"))
    world.ask("long", "gpu=1", queue="q", preemptible=True)
    assert set(world.starts()) == {"long"}
    world.now = TURN_S - 60.0
    world.ask("new", "gpu=1", queue="q", preemptible=True, submitted_at=world.now)
    assert world.preempted() == {}
    assert world.planner.next_time() == TURN_S  # then it is asked again, by itself
    world.now = TURN_S
    assert world.preempted() == {"long": "new"}
    long = replace(world.stopped.pop("long"), ran_s=TURN_S + 1.0)
    world.end("long")
    world.tell(Asked(long))
    assert set(world.starts()) == {"new"}
    world.now += 2 * TURN_S
    assert world.preempted() == {}
    world.end("new")
    assert set(world.starts()) == {"long"}


def test_newcomers_go_before_those_who_had_a_turn_but_for_those_who_waited_too_long() -> None:
    new = ask("new", submitted_at=PATIENCE_S)
    had_turn = ask("had-turn", submitted_at=0.0, ran_s=TURN_S)
    assert ORDER.key(new) < ORDER.key(had_turn)
    much_later = ask("later", submitted_at=TURN_S + STRETCH * TURN_S + PATIENCE_S)
    assert ORDER.key(had_turn) < ORDER.key(much_later)


def test_who_waited_too_long_is_stopped_for_no_newcomer() -> None:
    request = ask("long", submitted_at=0.0, ran_s=TURN_S)
    new = ask("new", submitted_at=1e9)
    patience_s = max(PATIENCE_S, STRETCH * TURN_S)
    soon, late = TURN_S + patience_s - 1.0, TURN_S + patience_s
    assert ORDER.stops_from(new, Running(request, soon, soon)) <= soon
    assert ORDER.stops_from(new, Running(request, late, late)) == NEVER


def test_priority_comes_before_being_new() -> None:
    world = world_with(queue("q"))
    world.ask("high", "gpu=1", queue="q", preemptible=True, priority=5)
    world.starts()
    world.now = 2 * TURN_S
    world.ask("new", "gpu=1", queue="q", submitted_at=world.now)
    assert world.preempted() == {}


def test_a_newcomer_takes_from_other_such_queues_what_is_beyond_their_guarantee_first() -> None:
    world = world_with(queue("p"), queue("q", guarantee=1), queue("r"), gpus=2)
    world.ask("within", "gpu=1", queue="q", preemptible=True)
    world.starts()
    world.now = HOUR_S
    world.ask("beyond", "gpu=1", queue="p", preemptible=True, submitted_at=world.now)
    world.starts()
    world.now = 10 * HOUR_S
    world.ask("new", "gpu=1", queue="r", submitted_at=world.now)
    assert world.preempted() == {"beyond": "new"}


def test_guarantees_of_queues_of_another_order_are_kept() -> None:
    world = world_with(queue("p", guarantee=1, ordering="fifo"), queue("q"))
    world.ask("within", "gpu=1", queue="p", preemptible=True)
    world.starts()
    world.now = 2 * TURN_S
    world.ask("new", "gpu=1", queue="q", submitted_at=world.now)
    assert world.preempted() == {}


def test_one_that_had_its_turn_takes_no_first_turn_for_its_guarantee() -> None:
    world = world_with(queue("p", guarantee=1), queue("q"))
    world.ask("new", "gpu=1", queue="q", preemptible=True)
    world.starts()
    world.ask("long", "gpu=1", queue="p", ran_s=TURN_S)
    assert world.preempted() == {}
    world.now = TURN_S
    assert world.preempted() == {"new": "long"}


def test_who_is_not_of_such_a_queue_takes_no_first_turn_for_its_share() -> None:
    """One that had its turn would take it back from that queue for its own share, and a newcomer
    from that one: by turns, for ever."""
    for guarantee, taken in ((0, {}), (1, {"one": "other"})):
        world = world_with(queue("p"), queue("q", guarantee=guarantee, ordering="fifo"), gpus=2)
        world.ask("one", "gpu=1", queue="p", preemptible=True)
        world.ask("two", "gpu=1", queue="p", preemptible=True, submitted_at=-1.0)
        world.starts()
        world.now = 5.0
        world.tell(Began(replace(world.running["one"], saved_at=4.0)))
        world.ask("other", "gpu=1", queue="q")
        assert world.preempted() == taken
        assert taken or world.planner.next_time() == TURN_S
