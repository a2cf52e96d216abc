"""Making room: who is stopped for whom, and who never is."""

from __future__ import annotations

from dataclasses import replace

from madang.core.reasons import ReasonCode
from madang.scheduling import (
    Began,
    Leaving,
    Policy,
    Preempt,
    Queue,
    Reservation,
    Reserved,
    Resize,
    Running,
    Start,
)
from tests.scheduling.world import FIRST_FIT, World, ask, node


def gpus(count: int) -> tuple[tuple[str, int], ...]:
    return (("gpu", count * 1000),)


def test_higher_priority_takes_the_place_of_lower() -> None:
    world = World(node("a", gpus=2), ask("low", "gpu=2", preemptible=True))
    assert set(world.starts()) == {"low"}
    world.now = 10.0
    world.ask("high", "gpu=1", priority=5)
    [preempt] = [action for action in world.plan() if isinstance(action, Preempt)]
    assert (preempt.request_id, preempt.winner, preempt.lost_s) == ("low", "high", 10.0)
    assert preempt.gained == "cpu=1 gpu=1 memory=2GiB"
    assert world.starts() == {}  # said once; the place is not free yet
    world.vacate()
    assert world.starts() == {"high": ["a"]}


def test_nobody_else_gets_the_place_that_was_made() -> None:
    world = World(node("a", gpus=1), ask("low", "gpu=1", preemptible=True))
    world.starts()
    world.ask("high", "gpu=1", priority=5)
    assert world.preempted() == {"low": "high"}
    world.ask("quick", "gpu=1", priority=4, order=-1)
    world.vacate()
    assert set(world.starts()) == {"high"}


def test_what_may_not_be_stopped_is_not() -> None:
    world = World(node("a", gpus=1), ask("low", "gpu=1"))
    world.starts()
    world.ask("high", "gpu=1", priority=5)
    assert world.preempted() == {}


def test_equal_priority_is_not_stopped() -> None:
    world = World(node("a", gpus=1), ask("first", "gpu=1", preemptible=True))
    world.starts()
    world.ask("second", "gpu=1")
    assert world.preempted() == {}


def test_the_least_work_is_lost() -> None:
    world = World(
        node("a", gpus=1),
        node("b", gpus=1),
        ask("saved", "gpu=1", preemptible=True),
        ask("unsaved", "gpu=1", preemptible=True, order=1),
    )
    world.starts()
    saved = replace(world.running["saved"], saved_at=90.0)
    world.tell(Began(saved))
    world.now = 100.0
    world.ask("high", "gpu=1", priority=5)
    [preempt] = [action for action in world.plan() if isinstance(action, Preempt)]
    assert (preempt.request_id, preempt.lost_s) == ("saved", 10.0)


def test_what_leaves_more_room_than_its_winner_needs_is_enough_for_the_next() -> None:
    world = World(
        node("a", gpus=2),
        node("b", gpus=1),
        ask("two", "gpu=2", preemptible=True),
        ask("one", "gpu=1", preemptible=True, order=1),
    )
    world.starts()
    world.now = 100.0
    world.tell(Began(replace(world.running["two"], saved_at=95.0)))
    for number in (1, 2):
        world.ask(f"high{number}", "gpu=1", priority=5, order=number)
    assert world.preempted() == {"two": "high1"}
    world.vacate()
    assert set(world.starts()) == {"high1", "high2"}


def test_what_is_cancelled_makes_room_before_anyone_is_stopped() -> None:
    world = World(
        node("a", gpus=1),
        node("b", gpus=1),
        ask("cancelled", "gpu=1"),
        ask("low", "gpu=1", preemptible=True, order=1),
    )
    world.starts()
    world.now = 10.0
    world.tell(Leaving("cancelled/worker/0"))
    world.ask("high", "gpu=1", priority=5)
    assert world.preempted() == {}
    wait = world.planner.explain("high")
    assert wait is not None
    assert wait.reason.code is ReasonCode.STOPPING
    world.end("cancelled")
    assert world.starts() == {"high": ["a"]}


def test_who_comes_when_somebody_has_just_started_waits_a_moment_for_it() -> None:
    """Its start, not its priority, protected it, and so somebody with more to lose was stopped."""
    world = World(node("a", gpus=1), node("b", gpus=1), ask("old", "gpu=1", preemptible=True))
    world.starts()
    world.now = 1000.0
    world.ask("young", "gpu=1", preemptible=True, order=1)
    assert set(world.starts()) == {"young"}
    world.now = 1000.5
    world.ask("high", "gpu=1", priority=5, submitted_at=1000.5)
    assert world.plan() == []
    assert world.planner.next_time() == 1001.0
    world.now = 1000.7
    world.ask("later", "gpu=1", priority=9, submitted_at=999.0)  # it has waited: it goes now
    assert {a.request_id for a in world.plan() if isinstance(a, Preempt)} == {"old"}
    world.now = 1000.5
    assert world.preempted() == {"young": "high"}


def test_one_large_victim_that_loses_less_than_many_small_ones() -> None:
    small = [ask(f"s{i}", "gpu=1", "cpu=0.5", preemptible=True, order=i) for i in range(4)]
    large = ask("large", "gpu=4", preemptible=True, order=9)
    world = World(node("a", gpus=4), node("b", gpus=4), *small, large)
    assert len(world.starts()) == 5
    world.now = 100.0
    world.tell(Began(Running(large, 0.0, 80.0)))
    world.tell(*(Began(Running(request, 0.0, 90.0)) for request in small))
    world.ask("high", "gpu=4", priority=5)
    assert world.preempted() == {"large": "high"}


def test_only_as_many_are_stopped_as_needed() -> None:
    small = [ask(f"s{i}", "gpu=1", "cpu=0.5", preemptible=True, order=i) for i in range(8)]
    world = World(node("a", gpus=4), node("b", gpus=4), *small)
    world.starts()
    world.ask("high", "gpu=2", priority=5, replicas=2)
    assert len(world.preempted()) == 4
    world.vacate()
    assert set(world.starts()) == {"high"}


def test_what_runs_too_short_rests() -> None:
    world = World(
        node("a", gpus=1),
        Queue("q", "q", min_runtime_s=60.0),
        ask("low", "gpu=1", queue="q", preemptible=True),
    )
    world.starts()
    world.now = 10.0
    world.ask("high", "gpu=1", queue="q", priority=5)
    assert world.preempted() == {}
    assert world.planner.next_time() == 60.0
    world.now = 60.0
    assert world.preempted() == {"low": "high"}


def test_the_policy_may_forbid_it() -> None:
    world = World(
        node("a", gpus=1),
        ask("low", "gpu=1", preemptible=True),
        policy=Policy(placement="first-fit", preemption=False),
    )
    world.starts()
    world.ask("high", "gpu=1", priority=5)
    assert world.preempted() == {}


def test_a_guarantee_is_taken_back() -> None:
    world = World(
        node("a", gpus=4),
        Queue("mine", "mine", guarantee=gpus(2)),
        Queue("theirs", "theirs", guarantee=gpus(2)),
        *(ask(f"t{i}", "gpu=1", queue="theirs", preemptible=True, order=i) for i in range(4)),
    )
    assert len(world.starts()) == 4  # it borrows what is not wanted
    for number in range(3):
        world.ask(f"m{number}", "gpu=1", queue="mine", order=number)
    preempted = world.preempted()
    assert sorted(preempted.values()) == ["m0", "m1"]  # the third would be borrowing itself
    world.vacate()
    assert set(world.starts()) == {"m0", "m1"}
    assert world.preempted() == {}


def test_who_could_not_be_stopped_does_not_borrow_a_guarantee() -> None:
    world = World(
        node("a", gpus=4),
        Queue("mine", "mine", guarantee=gpus(3)),
        Queue("theirs", "theirs"),
        ask("kept", "gpu=2", queue="theirs"),
        ask("lent", "gpu=2", queue="theirs", preemptible=True, order=1),
    )
    assert set(world.starts()) == {"lent"}


def test_shares_are_evened_out_and_not_back_again() -> None:
    world = World(
        node("a", gpus=4),
        Queue("p", "p"),
        Queue("q", "q"),
        *(ask(f"p{i}", "gpu=1", queue="p", preemptible=True, order=i) for i in range(6)),
    )
    assert len(world.starts()) == 4
    for number in range(6):
        world.ask(f"q{number}", "gpu=1", queue="q", preemptible=True, order=number)
    assert len(world.preempted()) == 2
    world.vacate()
    assert set(world.starts()) == {"q0", "q1"}
    for _ in range(5):
        world.now += 10.0
        assert not world.stopped
        world.plan()
        world.vacate()


def test_weights_count() -> None:
    world = World(
        node("a", gpus=4),
        Queue("p", "p"),
        Queue("q", "q", weight=3.0),
        *(ask(f"p{i}", "gpu=1", queue="p", preemptible=True, order=i) for i in range(6)),
    )
    world.starts()
    for number in range(6):
        world.ask(f"q{number}", "gpu=1", queue="q", preemptible=True, order=number)
    assert len(world.preempted()) == 3


def test_a_queue_that_is_not_reclaimable_keeps_what_it_has() -> None:
    world = World(
        node("a", gpus=2),
        Queue("p", "p", reclaimable=False),
        Queue("q", "q"),
        *(ask(f"p{i}", "gpu=1", queue="p", preemptible=True, order=i) for i in range(2)),
    )
    world.starts()
    world.ask("q0", "gpu=1", queue="q")
    assert world.preempted() == {}


def test_a_gang_is_stopped_as_a_whole() -> None:
    world = World(
        node("a", gpus=2), node("b", gpus=2), ask("gang", "gpu=2", replicas=2, preemptible=True)
    )
    world.starts()
    world.ask("high", "gpu=1", priority=5)
    assert world.preempted() == {"gang": "high"}
    world.vacate()
    assert set(world.starts()) == {"high"}
    assert world.keys_of("gang") == []


def test_elastic_ones_are_shrunk_before_anyone_is_stopped() -> None:
    world = World(
        node("a", gpus=4),
        ask("elastic", "gpu=1", replicas=(1, 3), resizable=True, preemptible=True, priority=9),
        ask("low", "gpu=1", preemptible=True, order=1),
    )
    world.starts()
    assert len(world.keys_of("elastic")) == 3
    world.ask("next", "gpu=2", priority=5)
    [resize] = [action for action in world.plan() if not isinstance(action, Start)][:1]
    assert isinstance(resize, Resize)
    assert resize.removed == ("elastic/worker/2", "elastic/worker/1")
    assert resize.winner == "next"
    world.vacate()
    assert set(world.starts()) == {"next"}


def test_a_full_queue_makes_room_within_itself() -> None:
    world = World(
        node("a", gpus=4),
        Queue("q", "q", limit=gpus(2)),
        *(ask(f"l{i}", "gpu=1", queue="q", preemptible=True, order=i) for i in range(2)),
    )
    assert len(world.starts()) == 2
    world.ask("high", "gpu=1", queue="q", priority=5)
    assert len(world.preempted()) == 1
    world.vacate()
    assert set(world.starts()) == {"high"}


def test_first_come_first_served_stops_nobody() -> None:
    world = World(
        node("a", gpus=1),
        Queue("q", "q", ordering="fifo"),
        ask("low", "gpu=1", queue="q", preemptible=True),
    )
    world.starts()
    world.ask("high", "gpu=1", queue="q", priority=5)
    assert world.preempted() == {}


def test_what_is_kept_outlives_a_restart() -> None:
    world = World(node("a", gpus=1), ask("low", "gpu=1", preemptible=True), policy=FIRST_FIT)
    world.starts()
    world.ask("high", "gpu=1", priority=5)
    world.preempted()
    restarted = World(policy=FIRST_FIT)
    restarted.planner.load(world.planner.snapshot())
    assert restarted.planner.plan(0.0, waits=False) == []


def test_a_reservation_finds_its_place_when_it_begins() -> None:
    world = World(
        node("a", gpus=2),
        node("b", gpus=2),
        ask("stays", "gpu=2"),
        ask("yields", "gpu=2", preemptible=True, order=1),
    )
    groups = ask("", "gpu=2").groups
    assert len(world.starts()) == 2
    world.tell(Reserved(Reservation("w", "vision", groups, 100.0, 200.0)))
    assert world.preempted() == {}
    assert world.planner.next_time() == 100.0
    world.now = 100.0
    assert world.preempted() == {"yields": "w"}
    assert world.preempted() == {}  # said once
    world.vacate()
    assert world.starts() == {}  # its place is kept
    world.ask("own", "gpu=2", reservation="w", time_limit_s=50.0)
    assert world.starts() == {"own": ["b"]}


def test_replicas_of_an_elastic_one_are_counted_once() -> None:
    """Both shrinking it and stopping it would give its second replica back: that is one GPU."""
    world = World(node("a", gpus=2), node("b", gpus=2))
    for name in ("one", "two"):
        world.ask(name, "cpu=1", "memory=1GiB", "gpu=1")
    world.plan()
    options = {"replicas": (1, 2), "preemptible": True, "resizable": True}
    world.ask("elastic", "cpu=1", "memory=1GiB", "gpu=1", **options)
    world.plan()
    assert len(world.keys_of("elastic")) == 2
    world.ask("wide", "cpu=1", "memory=1GiB", "gpu=1", replicas=3, priority=5)
    assert world.preempted() == {}
    assert world.shrunk == set()
