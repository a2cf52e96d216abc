"""Virtual time: what starts and ends when, and what a stop costs."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from madang.scheduling.model import (
    Action,
    Event,
    Placement,
    Policy,
    Preempt,
    Queue,
    Resize,
    Start,
    Work,
)
from madang.scheduling.planner import Planner
from madang.scheduling.simulation.driver import Simulation, Timing, speed_at
from madang.scheduling.simulation.statistics import Recording
from tests.scheduling.simulation.traces import job, node, trace


def times(recording: Recording) -> dict[str, tuple[float | None, float | None]]:
    return {record.id: (record.started_at, record.ended_at) for record in recording.jobs}


def test_jobs_wait_for_room_and_end_when_their_work_is_done() -> None:
    ran = Simulation(
        trace((node("a", cpu=2),), job("x", 0, 10, "cpu=2"), job("y", 4, 5, "cpu=2"))
    ).run()
    assert times(ran) == {"x": (0, 10), "y": (10, 15)}
    assert [record.wait_s for record in ran.jobs] == [0, 6]


def test_a_start_takes_time_and_a_time_limit_ends() -> None:
    slow = trace((node("a"),), job("x", 0, 100, time_limit_s=20.0))
    ran = Simulation(slow, timing=Timing(start_s=3)).run()
    assert times(ran) == {"x": (0, 23)}


def test_what_never_fits_is_said_with_its_reason() -> None:
    ran = Simulation(trace((node("a", cpu=2),), job("x", 0, 1, "cpu=4"), job("y", 1, 1))).run()
    ((record, why),) = ran.never_ran
    assert record.id == "x"
    assert "cpu=4" in why
    assert times(ran)["y"] == (1, 2)


class Scripted(Planner):
    """Plans as one does, and at given times does something else besides."""

    def __init__(self, script: dict[float, Action]) -> None:
        super().__init__()
        self.script = script
        self.told: list[Event] = []

    def apply(self, events: Iterable[Event]) -> None:
        events = list(events)
        self.told += events
        super().apply(events)

    def plan(self, now: float, *, waits: bool = True) -> list[Action]:
        actions = list(super().plan(now, waits=waits))
        if now in self.script:
            actions.append(self.script.pop(now))
        return actions


@pytest.mark.parametrize(
    ("save_every_s", "end", "lost"),
    [
        (0.0, 40 + 10 + 5 + (100 - 50), 0.0),  # it saves when it is told to stop
        (30.0, 40 + 10 + 5 + (100 - 30), 20.0),
        (None, 40 + 10 + 5 + 100, 50.0),
    ],
)
def test_a_preempted_job_goes_on_from_its_last_save(
    save_every_s: float | None, end: float, lost: float
) -> None:
    jobs = (job("x", 0, 100, preemptible=True), job("tick", 40, 1))
    planner = Scripted({40.0: Preempt("x", "x", "tick", "", 0.0)})
    timing = Timing(grace_s=10, restart_s=5, save_every_s=save_every_s)
    ran = Simulation(trace((node("a"),), *jobs), timing=timing, planner=planner).run()
    record = ran.jobs[0]
    assert record.ended_at == end
    assert (record.preemptions, record.lost_s) == (1, lost)


def test_what_ends_within_its_grace_has_ended() -> None:
    jobs = (job("x", 0, 45, preemptible=True), job("tick", 40, 1))
    planner = Scripted({40.0: Preempt("x", "x", "tick", "", 0.0)})
    ran = Simulation(trace((node("a"),), *jobs), timing=Timing(grace_s=10), planner=planner).run()
    assert ran.jobs[0].ended_at == 45


def test_a_job_that_grows_is_done_earlier() -> None:
    grown = Resize("x", "x", added=(Placement("worker", 1, "a"),))
    jobs = (job("x", 0, 100, replicas=(1, 2)), job("tick", 40, 1))
    simulation = Simulation(trace((node("a", cpu=1),), *jobs[:1]), planner=Scripted({}))
    simulation.run(until=40)
    simulation.recording.at(40)
    simulation._carry_out(grown, 40)
    assert simulation.run().jobs[0].ended_at == 40 + 60 / 2


@pytest.mark.parametrize(
    ("gpus", "speed"), [(1, 10.0), (2, 19.0), (3, 25.5), (4, 32.0), (8, 32.0), (0.5, 5.0)]
)
def test_speed_between_known_sizes_is_linear(gpus: float, speed: float) -> None:
    assert speed_at(((1, 10.0), (2, 19.0), (4, 32.0)), gpus) == pytest.approx(speed)


def test_more_replicas_than_asked_at_least_get_on_in_proportion() -> None:
    ran = Simulation(trace((node("a", cpu=4),), job("x", 0, 100, replicas=(2, 4)))).run()
    assert ran.jobs[0].ended_at == 50


def test_known_speeds_say_what_more_replicas_are_worth() -> None:
    work = Work(speeds=((1, 10.0), (2, 15.0)))
    ran = Simulation(
        trace((node("a", gpus=2),), job("x", 0, 90, "gpu=1", replicas=(1, 2), work=work))
    ).run()
    assert ran.jobs[0].ended_at == 60


def test_stopping_gives_what_there_is_until_then() -> None:
    jobs = [job(f"j{number}", number, 0.5) for number in range(2000)]
    asked = iter([False, False, True])
    ran = Simulation(trace((node("a"),), *jobs)).run(stop=lambda: next(asked, True))
    assert ran.partial
    ended = sum(record.ended_at is not None for record in ran.jobs)
    assert 0 < ended < len(jobs)


def test_progress_reaches_the_end() -> None:
    told: list[tuple[int, int]] = []
    jobs = [job(f"j{number}", number, 0.5) for number in range(600)]
    Simulation(trace((node("a"),), *jobs)).run(progress=lambda *counts: told.append(counts))
    assert told[-1] == (600, 600)
    assert told == sorted(told)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_job_ends_and_nothing_is_held_twice(seed: int) -> None:
    chance = random.Random(seed)
    nodes = tuple(node(f"n{number}", gpus=4, cpu=16) for number in range(3))
    queues = (
        Queue("a", "a", guarantee=(("gpu", 8000),)),
        Queue("b", "b", guarantee=(("gpu", 4000),)),
    )
    jobs = [
        job(
            f"j{number}",
            chance.uniform(0, 500),
            chance.uniform(1, 100),
            f"gpu={chance.choice([0.5, 1, 2, 4])}",
            "cpu=1",
            queue=chance.choice("ab"),
            priority=chance.choice([0, 0, 1]),
            preemptible=True,
            replicas=chance.choice([(1, 1), (1, 2), (2, 2)]),
        )
        for number in range(60)
    ]
    timing = Timing(grace_s=chance.choice([0.0, 5.0]), restart_s=2.0)
    ran = Simulation(trace(nodes, *jobs, queues=queues), Policy(placement="fgd"), timing).run()
    for record in ran.jobs:
        assert record.ended_at is not None, record
        assert record.started_at is not None
        assert record.ended_at - record.submitted_at >= record.wait_s
    assert ran.waiting == 0
    assert max(ran.series.gpu_milli) <= 12_000
    assert min(ran.series.gpu_milli) >= 0
    assert ran.series.gpu_milli[-1] == 0


def test_the_same_trace_gives_the_same_actions() -> None:
    def actions() -> list[Action]:
        seen: list[Action] = []

        class Watched(Planner):
            def plan(self, now: float, *, waits: bool = True) -> list[Action]:
                found = super().plan(now, waits=waits)
                seen.extend(found)
                return found

        jobs = [job(f"j{n}", n % 7, 3 + n % 5, "gpu=0.5", "cpu=1") for n in range(40)]
        Simulation(trace((node("a", gpus=2), node("b", gpus=2)), *jobs), planner=Watched()).run()
        return seen

    first = actions()
    assert first == actions()
    assert sum(isinstance(action, Start) for action in first) == 40


def test_a_budget_of_moves_lets_a_wide_job_start_and_loses_no_work() -> None:
    def run(budget: float) -> Recording:
        small = [
            job(f"small-{n}", n, duration, "gpu=1", preemptible=True)
            for n, duration in enumerate((1000, 5, 1000))
        ]
        wide = job("wide", 20, 100, "gpu=2")
        it = trace((node("a", gpus=2), node("b", gpus=2)), *small, wide)
        policy = Policy(placement="first-fit", migration_budget=budget)
        return Simulation(it, policy, Timing(grace_s=10.0, restart_s=30.0)).run()

    waits = {job.id: job.started_at for job in run(0.0).jobs}
    assert waits["wide"] == 1000
    moving = run(1.0)
    starts = {job.id: job for job in moving.jobs}
    assert (moving.migrations, moving.preemptions) == (1, 0)
    assert starts["wide"].started_at == 30  # as soon as the other has saved its work
    (moved,) = [job for job in moving.jobs if job.ended_at and job.ended_at > 1010]
    assert moved.ended_at is not None
    assert moved.lost_s == 0
    assert sum(job.preemptions for job in moving.jobs) == 0
