"""Pollux's evaluation through the planner: jobs that really get on as measured, told and moved as
the live loop does it, in rounds of virtual time.

16 nodes of 4 GPUs, a round each 60 s, 30 s for each start; the figure is the mean time from
submission to completion. The planner is told what `madang.train` would report: how far a job is,
how fast, what its template was measured with; with `declared` also how much it is in all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from madang.core.resources import Resources
from madang.scheduling.goodput import Goodput, Learned
from madang.scheduling.model import (
    Action,
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
from madang.scheduling.planner import Planner
from madang.scheduling.progress import Progress
from madang.scheduling.simulation.pollux import (
    ELASTIC_BATCH,
    GPUS_PER_NODE,
    NODES,
    Application,
    Submission,
)
from madang.scheduling.simulation.pollux_jobs import RESTART_S, SimulatedJob
from madang.scheduling.timeshare.prices import sizes

ROUND_S = 60.0
QUEUE = "jobs"
ROLE = "worker"
_GPU = Resources(cpu_milli=1000, memory_bytes=2**30, device_kind="gpu", device_milli=1000)


@dataclass(frozen=True, slots=True)
class Setting:
    """ordering: `shortest` or `attained` for jobs that keep the size they ask for, `goodput` for
    jobs that may have any. declared: whether they say how much work they are. learned: whether
    what others of a template took in all is expected of the next."""

    ordering: str
    declared: bool = True
    learned: bool = True
    nodes: int = NODES
    gpus_per_node: int = GPUS_PER_NODE

    @property
    def elastic(self) -> bool:
        return self.ordering == "goodput"


@dataclass(slots=True)
class Outcome:
    """completion_s: from submission to the end, by job. decision_s: of each round, what the
    planner took, and processor time of it alone."""

    completion_s: dict[str, float] = field(default_factory=dict)
    decision_s: list[float] = field(default_factory=list)
    restarts: int = 0
    makespan_s: float = 0.0

    @property
    def mean_s(self) -> float:
        return sum(self.completion_s.values()) / max(1, len(self.completion_s))


class PolluxRun:
    """One workload under one setting. `planner`: a new one if none is given."""

    def __init__(
        self,
        workload: Sequence[Submission],
        applications: Mapping[str, Application],
        setting: Setting,
        planner: Planner | None = None,
    ) -> None:
        self._setting = setting
        self._planner = planner or Planner()
        self._waiting = sorted(workload, key=lambda submission: submission.time, reverse=True)
        self._applications = applications
        self._learned: dict[str, Learned] = {}
        self._first_gradient: dict[str, tuple[float, float]] = {}
        self._progress = Progress()
        self._sizes = tuple(sizes(setting.nodes * setting.gpus_per_node, setting.gpus_per_node))
        self._speeds: dict[str, tuple[Goodput, tuple[tuple[int, float], ...]]] = {}
        self._jobs: dict[str, SimulatedJob] = {}
        self._requests: dict[str, Request] = {}
        self._since: dict[str, float] = {}
        self._keys: dict[str, tuple[str, ...]] = {}
        self.outcome = Outcome()
        self._planner.load(_snapshot(setting))

    def run(self, stop: Callable[[], bool] | None = None) -> Outcome:
        """To the end of the last job, or until `stop` says so."""
        now = 0.0
        while (self._waiting or self._jobs) and not (stop is not None and stop()):
            events = list(self._get_on(now))
            now += ROUND_S
            events += self._arrivals(now)
            events += self._reports(now)
            if self._jobs:
                self._plan(events, now)
            elif events:
                self._planner.apply(events)
        self.outcome.makespan_s = now
        return self.outcome

    # -- what happens -------------------------------------------------------------------------

    def _get_on(self, now: float) -> Iterable[Event]:
        """Everybody works for a round; some end."""
        for name, job in list(self._jobs.items()):
            job.run(now, ROUND_S)
            gradient = job.first_gradient
            if gradient is not None:
                self._first_gradient.setdefault(job.application.name, gradient)
            if job.finished_at is None:
                continue
            self.outcome.completion_s[name] = job.finished_at - job.submission.time
            self.outcome.restarts += job.starts - 1
            template, total = job.application.name, self._requests[name].work
            declared = total.total if total else None
            self._progress.ended(template, "", job.progress, declared)
            del self._jobs[name], self._requests[name], self._since[name]
            for key in self._keys.pop(name):
                yield Released(key)

    def _arrivals(self, now: float) -> Iterable[Event]:
        while self._waiting and self._waiting[-1].time <= now:
            submission = self._waiting.pop()
            job = self._job(submission)
            self._jobs[submission.name] = job
            self._requests[submission.name] = self._request(job, len(self._requests))
            yield Asked(self._requests[submission.name])

    def _reports(self, now: float) -> Iterable[Event]:
        """What is known of jobs by now, where it is other than before."""
        if not self._setting.elastic:
            for job in self._jobs.values():
                if job.placement and job.rate:
                    gpus = sum(job.placement)
                    self._progress.reported(job.application.name, gpus, job.rate)
        for name, job in self._jobs.items():
            request = replace(self._requests[name], work=self._work(job))
            if request == self._requests[name]:
                continue
            self._requests[name] = request
            if name in self._since:
                yield Began(Running(request, self._since[name], now))
            else:
                yield Asked(request)

    def _plan(self, events: list[Event], now: float) -> None:
        """Plan, and do what it says, until it says no more."""
        spent_s = 0.0
        while True:
            begun_s = time.thread_time()
            self._planner.apply(events)
            actions = self._planner.plan(now, waits=False)
            spent_s += time.thread_time() - begun_s
            if not actions:
                break
            events = [event for action in actions for event in self._carry_out(action, now)]
        self.outcome.decision_s.append(spent_s)

    def _carry_out(self, action: Action, now: float) -> Iterable[Event]:
        match action:
            case Start(request, placements):
                self._since[request.id] = now
                self._keys[request.id] = tuple(_key(request, place) for place in placements)
                self._jobs[request.id].place(_spread(placements))
            case Preempt(request_id) | Migrate(request_id):
                self._jobs[request_id].place(())
                del self._since[request_id]
                for key in self._keys.pop(request_id):
                    yield Released(key)
                yield Asked(self._requests[request_id])

    # -- what is told -------------------------------------------------------------------------

    def _job(self, submission: Submission) -> SimulatedJob:
        name = submission.application
        application = self._applications[name]
        if not self._setting.elastic:
            return SimulatedJob(submission, application, batch=submission.batch)
        learned = self._learned.setdefault(name, Learned())
        return SimulatedJob(
            submission, application, batch=ELASTIC_BATCH.get(name, 0), learned=learned
        )

    def _request(self, job: SimulatedJob, order: int) -> Request:
        submission = job.submission
        low = high = submission.replicas
        if self._setting.elastic:
            low, high = 1, job.most_replicas(self._setting.nodes * self._setting.gpus_per_node)
        return Request(
            id=submission.name,
            owner=submission.name,
            queue=QUEUE,
            groups=(Group(ROLE, low, high, _GPU),),
            order=order,
            submitted_at=submission.time,
            preemptible=True,
            template=submission.application,
            work=self._work(job),
        )

    def _work(self, job: SimulatedJob) -> Work:
        template = job.application.name
        setting = self._setting
        return Work(
            total=job.application.total if setting.declared else None,
            done=job.progress,
            rate=job.rate,
            attained_gpu_s=job.attained_gpu_s,
            speeds=self._speeds_of(job),
            step_times=() if setting.elastic else job.step_times,
            restart_s=RESTART_S,
            expected_total=self._progress.expected_total(template) if setting.learned else None,
            measured_gpus=job.learned.largest if job.learned else 0,
        )

    def _speeds_of(self, job: SimulatedJob) -> tuple[tuple[int, float], ...]:
        """As measured for others of its template; of one that may change its size as foretold."""
        template = job.application.name
        if job.learned is None:
            return self._progress.speeds(template)
        goodput = job.goodput()
        name = job.submission.name
        if goodput is None:
            first = self._first_gradient.get(template)
            if job.learned.model is None or first is None:
                return ()
            name = template
            known = self._speeds.get(name)
            if known is not None and known[0].steps is job.learned.model:
                return known[1]
            goodput = Goodput(job.learned.model, *first, job.batches)
        known = self._speeds.get(name)
        if known is None or known[0] is not goodput:
            tried = [size for size in self._sizes if size <= job.most_replicas(self._sizes[-1])]
            known = goodput, goodput.speeds(tried, self._setting.gpus_per_node)
            self._speeds[name] = known
        return known[1]


def _snapshot(setting: Setting) -> Snapshot:
    devices = tuple(
        Device("gpu", index, "T4", 16 * 2**30) for index in range(setting.gpus_per_node)
    )
    nodes = tuple(
        Node(f"node-{number:04}", f"node-{number:04}", 64_000, 2**38, devices)
        for number in range(setting.nodes)
    )
    return Snapshot(
        nodes=nodes,
        queues=(Queue(QUEUE, QUEUE, ordering=setting.ordering),),
        policy=Policy(placement="first-fit", round_s=ROUND_S),
    )


def _key(request: Request, place: Placement) -> str:
    return f"{request.owner}/{place.role}/{place.replica}"


def _spread(placements: Sequence[Placement]) -> tuple[int, ...]:
    """Replicas on each node, in the order of the ring."""
    by_number = sorted(placements, key=lambda place: place.replica)
    return tuple(len(list(same)) for _, same in groupby(by_number, key=lambda p: p.node_id))
