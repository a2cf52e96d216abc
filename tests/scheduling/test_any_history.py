"""Properties that hold after any history: with queues, limits, preemption, elastic gangs."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from madang.scheduling import (
    Asked,
    Began,
    Event,
    Limit,
    LimitSet,
    Migrate,
    NodeGone,
    NodeSet,
    Policy,
    Preempt,
    Queue,
    QueueGone,
    QueueSet,
    Released,
    Request,
    Start,
    Withdrawn,
)
from madang.scheduling.model import Amounts
from tests.scheduling.world import World, ask, node

WANTED = (
    ("cpu=1", "memory=1GiB"),
    ("cpu=3", "memory=4GiB"),
    ("cpu=0.5", "memory=1GiB", "gpu=0.3"),
    ("cpu=1", "memory=1GiB", "gpu=1"),
    ("cpu=1", "memory=1GiB", "gpu=2"),
    ("cpu=1", "memory=1GiB", "gpu_memory=30GiB"),
)


LIMITS: tuple[Amounts, ...] = ((("gpu", 4000),), (("gpu/H100", 3000),))


def some_queue(chance: random.Random) -> Queue:
    name = chance.choice("pqrs")
    parent = "" if name in "pq" else "p"
    amounts: list[Amounts | None] = [
        None, None, (("gpu", 2000),), (("cpu", 6000), ("gpu", 3000)),
    ]  # fmt: skip
    given = chance.choice(amounts[1:])
    return Queue(
        name,
        name,
        parent,
        weight=chance.choice([1.0, 1.0, 3.0]),
        guarantee=given or (),
        limit=chance.choice([None, None, *LIMITS]),
        borrowing_limit=chance.choice(amounts),
        lending_limit=chance.choice(amounts),
        reclaimable=chance.random() < 0.8,
        ordering=chance.choice(["fifo", "priority", "fair", "usage", "newcomers"]),
        min_runtime_s=chance.choice([0.0, 0.0, 5.0]),
        open=chance.random() < 0.9,
    )


def some_request(chance: random.Random, number: int, now: float) -> Request:
    low = chance.choice([1, 1, 1, 2, 3])
    return ask(
        f"r{number}",
        *chance.choice(WANTED),
        replicas=(low, low + chance.choice([0, 0, 2])),
        queue=chance.choice("pqrst"),
        user=chance.choice(["ann", "bo"]),
        priority=chance.choice([0, 0, 5]),
        order=number,
        not_before=now + chance.choice([0.0, 0.0, 2.0]),
        preemptible=chance.random() < 0.6,
        resizable=chance.random() < 0.3,
        time_limit_s=chance.choice([0.0, 0.0, 20.0, 300.0]),
    )


def some_events(chance: random.Random, world: World, number: int) -> list[Event]:
    match chance.randrange(12):
        case 0:
            name = f"n{chance.randrange(3)}"
            return [NodeSet(node(name, gpus=2, open=chance.random() < 0.8))]
        case 1 | 2 if world.held:
            name = chance.choice(sorted(world.held)).split("/")[0]
            if name in world.stopped:
                return []
            return [Released(key) for key in world.keys_of(name)]
        case 3 if world.requests:
            return [Withdrawn(chance.choice(sorted(world.requests)))]
        case 4:
            return [QueueSet(some_queue(chance))]
        case 5 if chance.random() < 0.3:
            return [QueueGone(chance.choice("pqrs"))]
        case 6:
            subject = chance.choice(["user:*", "user:ann"])
            amounts = chance.choice([(), (("gpu", 3000),)])
            return [LimitSet(Limit(subject, chance.choice([None, 3]), None, amounts))]
        case 7 if chance.random() < 0.3 and world.nodes:
            return [NodeGone(chance.choice(sorted(world.nodes)))]
        case 8 if world.running:
            name = chance.choice(sorted(world.running))
            saved = world.running[name].__class__(
                world.running[name].request, world.running[name].since, world.now
            )
            return [Began(saved)]
        case _:
            return [
                Asked(some_request(chance, 10 * number + i, world.now))
                for i in range(chance.randrange(1, 4))
            ]


@settings(max_examples=120, deadline=None)
@example(seed=1087, steps=54, placement="first-fit", budget=0.0)  # what grew is taken back
@example(
    seed=1813, steps=29, placement="spread", budget=0.0
)  # a line beside queues of the same id
@example(seed=232, steps=27, placement="spread", budget=0.0)  # usage makes it another's turn
@example(seed=2107, steps=35, placement="first-fit", budget=0.0)  # newcomers of several queues
@example(seed=201026, steps=40, placement="spread", budget=0.0)
@example(seed=201249, steps=53, placement="first-fit", budget=0.0)  # who loses least by then
@given(
    seed=st.integers(0, 2**32),
    steps=st.integers(1, 40),
    placement=st.sampled_from(["first-fit", "spread"]),
    budget=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_any_history_ends_in_what_a_fresh_planner_does(
    seed: int, steps: int, placement: str, budget: float
) -> None:
    chance = random.Random(seed)
    world = World(policy=Policy(placement=placement, migration_budget=budget))
    for number in range(steps):
        world.tell(*some_events(chance, world, number))
        world.now += chance.choice([0.0, 0.5, 3.0])
        if chance.random() < 0.3:
            world.vacate()
        if chance.random() < 0.6:
            world.plan(compare=True)
    world.plan(compare=True)


@settings(max_examples=60, deadline=None)
@example(seed=14, budget=0.0, turns=False)  # a guarantee of CPU says nothing of memory
@given(seed=st.integers(0, 2**32), budget=st.sampled_from([0.0, 1.0]), turns=st.booleans())
def test_preemption_and_moves_come_to_rest(seed: int, budget: float, turns: bool) -> None:
    """However things stand, when nothing new comes only so many are stopped or moved: nobody is
    stopped by one that it would stop again. turns: some have had their first."""
    chance, ran = random.Random(seed), random.Random(seed)
    policy = Policy(placement="first-fit", migration_budget=budget)
    world = World(*(node(name, gpus=2) for name in "abc"), policy=policy)
    world.tell(*(QueueSet(some_queue(chance)) for _ in range(4)))
    number = 0
    for _ in range(chance.randrange(2, 8)):
        for _ in range(chance.randrange(1, 5)):
            number += 1
            request = some_request(chance, number, 0.0)
            if turns:
                request = replace(request, ran_s=ran.choice([0.0, 5 * 3600.0]))
            world.tell(Asked(request))
        world.now += 1.0
        world.plan()
        world.vacate()
    stopped: dict[str, int] = {}
    for _ in range(200):
        world.now += 60.0
        actions = world.plan()
        for action in actions:
            if isinstance(action, Preempt | Migrate):
                stopped[action.request_id] = stopped.get(action.request_id, 0) + 1
        world.vacate()
        if not any(isinstance(action, Start | Preempt | Migrate) for action in actions):
            break
    else:
        raise AssertionError(f"it goes on for ever: {stopped}")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_everything_possible_starts_at_last(seed: int) -> None:
    """No starvation: while things end, each request that could run does, in spite of newcomers of
    its queue and of other queues."""
    chance = random.Random(seed)
    world = World(node("a", gpus=2), node("b", cpu=4))
    for name in "pq":
        world.tell(QueueSet(Queue(name, name, ordering=chance.choice(["fifo", "priority"]))))
    wanted = chance.choice(WANTED)
    replicas = 1 if "gpu=2" in wanted else chance.choice([1, 2])
    world.ask("patient", *wanted, replicas=replicas, queue="p", order=1)
    for number in range(2, 300):
        world.plan()
        if "patient" not in world.requests:
            return
        queue = chance.choice("pq")
        limit = chance.choice([0.0, 5.0])
        wanted = chance.choice(WANTED)
        world.ask(f"r{number}", *wanted, queue=queue, order=number, time_limit_s=limit)
        world.now += 1.0
        if world.running:
            world.end(chance.choice(sorted(world.running)))
    raise AssertionError("it never started")
