"""Queues that share in time, through the planner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from madang.core.resources import Resources
from madang.scheduling import Planner
from madang.scheduling.model import (
    Asked,
    Began,
    Device,
    Event,
    Group,
    Migrate,
    Node,
    Placement,
    Policy,
    Preempt,
    Queue,
    Released,
    Request,
    Running,
    Snapshot,
    Start,
    Work,
)

GPU = Resources(cpu_milli=1000, memory_bytes=2**30, device_kind="gpu", device_milli=1000)
ROUND_S = 60.0


class World:
    """A planner, and tasks that start and stop at once as it says."""

    def __init__(self, ordering: str, nodes: int = 2, **queue: object) -> None:
        self.planner = Planner()
        gpus = tuple(Device("gpu", index, "T4", 2**34) for index in range(4))
        self.planner.load(
            Snapshot(
                nodes=tuple(Node(f"n{i}", f"n{i}", 64_000, 2**38, gpus) for i in range(nodes)),
                queues=(Queue("q", "q", ordering=ordering, **queue),),  # type: ignore[arg-type]
                policy=Policy(placement="first-fit", round_s=ROUND_S),
            )
        )
        self.requests: dict[str, Request] = {}
        self.places: dict[str, tuple[Placement, ...]] = {}
        self.stops = 0

    def ask(self, name: str, low: int, high: int = 0, at: float = 0.0, **more: object) -> None:
        more = {"preemptible": True, **more}
        request = Request(
            id=name,
            owner=name,
            queue="q",
            groups=(Group("worker", low, high or low, GPU),),
            submitted_at=at,
            order=len(self.requests),
            **more,  # type: ignore[arg-type]
        )
        self.requests[name] = request
        self.planner.apply([Asked(request)])

    def report(self, name: str, work: Work, now: float) -> None:
        self.requests[name] = replace(self.requests[name], work=work)
        self.planner.apply([Began(Running(self.requests[name], 0.0, now))])

    def end(self, name: str) -> None:
        self.planner.apply(list(self._released(name)))

    def plan(self, now: float) -> None:
        while actions := self.planner.plan(now, waits=False):
            for action in actions:
                if isinstance(action, Start):
                    assert action.request.id not in self.places
                    self.places[action.request.id] = action.placements
                elif isinstance(action, Preempt | Migrate):
                    self.stops += 1
                    name = action.request_id
                    self.planner.apply([*self._released(name), Asked(self.requests[name])])
        self.check()

    def check(self) -> None:
        used = [
            (place.node_id, hold.index)
            for places in self.places.values()
            for place in places
            for hold in place.devices
        ]
        assert len(used) == len(set(used))

    def _released(self, name: str) -> Iterable[Event]:
        for place in self.places.pop(name):
            yield Released(f"{name}/{place.role}/{place.replica}")

    def gpus(self, name: str) -> int:
        return len(self.places.get(name, ()))


def test_a_shorter_job_takes_the_place_of_a_longer_one() -> None:
    world = World("shortest")
    world.ask("long", 8, work=Work(total=1e5))
    world.plan(0.0)
    assert world.gpus("long") == 8
    world.report("long", Work(total=1e5, done=60.0, rate=1.0, attained_gpu_s=480.0), 60.0)
    world.plan(60.0)
    world.ask("short", 4, at=61.0, work=Work(total=100.0))
    world.plan(61.0)
    assert world.gpus("short") == 0  # between rounds nothing starts
    world.plan(120.0)
    assert (world.gpus("short"), world.gpus("long"), world.stops) == (4, 0, 1)
    world.end("short")
    world.plan(180.0)
    assert world.gpus("long") == 8


def test_a_job_past_what_it_declared_is_no_longer_short() -> None:
    world = World("shortest")
    world.ask("liar", 8, work=Work(total=100.0))
    world.plan(0.0)
    liar = Work(total=100.0, done=5000.0, rate=1.0, attained_gpu_s=4 * 3600.0)
    world.report("liar", liar, 60.0)
    world.ask("honest", 8, at=1.0, work=Work(total=5000.0, speeds=((8, 1.0),)))
    world.plan(60.0)
    assert (world.gpus("honest"), world.gpus("liar")) == (8, 0)


def test_least_attained_goes_first() -> None:
    world = World("attained")
    world.ask("old", 8, work=Work())
    world.plan(0.0)
    world.report("old", Work(attained_gpu_s=5 * 3600.0, rate=1.0, done=10.0), 60.0)
    world.ask("new", 8, at=1.0, work=Work())
    world.plan(60.0)
    assert (world.gpus("new"), world.gpus("old")) == (8, 0)


def test_elastic_jobs_share_what_there_is() -> None:
    world = World("goodput", nodes=4)
    speeds = ((1, 1.0), (2, 1.9), (4, 3.4), (8, 5.5), (12, 7.0), (16, 8.0))
    work = Work(total=1e4, speeds=speeds, measured_gpus=16)
    world.ask("one", 1, 16, work=work)
    world.plan(0.0)
    assert world.gpus("one") == 16
    world.report("one", replace(work, done=480.0, rate=8.0, attained_gpu_s=960.0), 60.0)
    world.ask("two", 1, 16, at=1.0, work=work)
    world.plan(60.0)
    assert world.gpus("one") and world.gpus("two")
    assert world.gpus("one") + world.gpus("two") <= 16


def test_who_may_not_be_stopped_keeps_its_place() -> None:
    for ordering in ("shortest", "attained", "goodput"):
        world = World(ordering)
        world.ask("firm", 8, preemptible=False, work=Work(total=1e6))
        world.plan(0.0)
        world.ask("short", 1, at=1.0, work=Work(total=1.0))
        world.plan(60.0)
        assert (world.gpus("firm"), world.gpus("short")) == (8, 0)


def test_what_reports_nothing_stops_nobody_and_is_not_starved() -> None:
    for ordering in ("shortest", "goodput"):
        world = World(ordering)
        speeds = ((8, 1.0),)
        work = Work(total=1e6, done=1.0, rate=1.0, attained_gpu_s=60.0, speeds=speeds)
        world.ask("known", 8, work=work)
        world.plan(0.0)
        world.ask("silent", 8, at=1.0)
        world.plan(60.0)
        assert world.gpus("known") == 8
        world.report("known", replace(work, done=3600.0, attained_gpu_s=8 * 3600.0), 3600.0)
        world.plan(3720.0)
        assert world.gpus("silent") == 8


def test_a_queue_keeps_to_its_limit() -> None:
    world = World("goodput", limit=(("gpu", 4000),))
    work = Work(total=1e4, speeds=((1, 1.0), (8, 6.0)), measured_gpus=8)
    world.ask("one", 1, 8, work=work)
    world.plan(0.0)
    assert 0 < world.gpus("one") <= 4


def test_shares_of_a_gpu_start_in_such_a_queue_too() -> None:
    world = World("shortest", nodes=1)
    share = replace(GPU, device_milli=500)
    request = Request("half", "half", "q", (Group("worker", 1, 1, share),))
    world.planner.apply([Asked(request)])
    world.plan(0.0)
    assert world.gpus("half") == 1
