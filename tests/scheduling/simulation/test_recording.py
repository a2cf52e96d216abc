"""What a planner is told and answers goes through JSON and comes out the same."""

from __future__ import annotations

import io
import random

import pytest

from madang.core.resources import Resources
from madang.scheduling.model import (
    ANYWHERE,
    Allocation,
    Began,
    DeviceHold,
    Group,
    Held,
    Leaving,
    Limit,
    LimitSet,
    NodeGone,
    NodeSet,
    Policy,
    PolicySet,
    Queue,
    QueueSet,
    Request,
    Reservation,
    Reserved,
    Running,
    Snapshot,
    Where,
    Withdrawn,
    Work,
)
from madang.scheduling.simulation.codec import decode, decode_tagged, encode, encode_tagged
from madang.scheduling.simulation.driver import Simulation, Timing
from madang.scheduling.simulation.recording import Recorder, replay
from tests.scheduling.simulation.traces import job, node, trace

NEED = Resources.parse(["gpu=0.5", "gpu_model=H100|A100", "gpu_memory=10GiB", "cpu=2"])
GROUP = Group("worker", 1, 4, NEED, first=2, where=Where("training", (("rack", "r1"),), "node"))
WORK = Work(total=10.0, done=2.5, speeds=((1, 1.0), (2, 1.9)), step_times=(((2, 2), 0.5),))
REQUEST = Request("r", "o", "q", (GROUP,), expected_s=3.0, work=WORK, submitted_at=5.0)


@pytest.mark.parametrize(
    "event",
    [
        NodeSet(node("a", gpus=2, pool="p", labels=(("rack", "r1"),))),
        NodeGone("a"),
        Withdrawn("r"),
        Leaving("o/worker/0"),
        Held(Allocation("o/worker/0", "a", 1000, 5, (DeviceHold("gpu", 1, 250, 10),))),
        Began(Running(REQUEST, 10.0, 20.0)),
        QueueSet(Queue("q", "q", limit=(("gpu", 8000),), borrowing_limit=None)),
        LimitSet(Limit("user:*", running=3)),
        Reserved(Reservation("w", "p", (GROUP,), 10.0, 20.0)),
        PolicySet(Policy("fgd", (("training", "spread"),))),
    ],
)
def test_every_kind_of_event_comes_back(event: object) -> None:
    assert decode_tagged(encode_tagged(event)) == event


def test_a_snapshot_comes_back() -> None:
    snapshot = Snapshot(
        nodes=(node("a", gpus=1),),
        requests=(REQUEST,),
        running=(Running(REQUEST, 1.0, 2.0),),
        usage=(("q", 1.5, 2.0),),
    )
    assert decode(encode(snapshot), Snapshot) == snapshot
    assert decode(encode(GROUP), Group).where != ANYWHERE


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(ValueError, match="neither an event nor an action"):
        decode_tagged({"Nonsense": {}})


def recorded(seed: int) -> str:
    chance = random.Random(seed)
    queues = (Queue("a", "a", guarantee=(("gpu", 4000),)), Queue("b", "b"))
    jobs = [
        job(
            f"j{number}", chance.uniform(0, 300), chance.uniform(1, 60),
            f"gpu={chance.choice([0.5, 1, 2])}", "cpu=1",
            queue=chance.choice("ab"), priority=chance.choice([0, 1]), preemptible=True,
        )
        for number in range(80)
    ]  # fmt: skip
    file = io.StringIO()
    nodes = (node("m", gpus=4), node("n", gpus=4))
    Simulation(
        trace(nodes, *jobs, queues=queues), timing=Timing(5, 1, 2), planner=Recorder(file)
    ).run()
    return file.getvalue()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_replay_does_the_same_in_the_same_order(seed: int) -> None:
    plans = list(replay(recorded(seed).splitlines()))
    assert sum(len(plan.recorded) for plan in plans) >= 80
    assert all(plan.same for plan in plans)


def test_a_replay_told_something_else_differs() -> None:
    lines = recorded(1).splitlines()
    told = next(number for number, line in enumerate(lines) if '"Asked"' in line)
    del lines[told]
    assert not all(plan.same for plan in replay(lines))
