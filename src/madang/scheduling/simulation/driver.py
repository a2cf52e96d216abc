"""Virtual time: drives one `Planner` with events exactly as the live loop does.

Everything that happens at one moment is told at once, then the planner plans, then its actions are
carried out; they may cause more at the same moment, and it plans again. Nothing else decides.

A job is `waiting`, then runs from a Start on: nothing gets on for `start_s`, and after a stop for
`restart_s` more. Its end comes when the work is done, or at its time limit. A Preempt or a Migrate
frees what it holds after `grace_s`, and it is asked for again with the progress of its last save.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from madang.core.resources import MILLI
from madang.scheduling.model import (
    Action,
    Asked,
    Began,
    Event,
    LimitSet,
    Migrate,
    NodeSet,
    Placement,
    Policy,
    PolicySet,
    Preempt,
    QueueSet,
    Released,
    Request,
    Reserved,
    Resize,
    Running,
    Start,
    Work,
)
from madang.scheduling.planner import Planner
from madang.scheduling.simulation.statistics import JobRecord, Recording
from madang.scheduling.simulation.trace import Job, Trace

_ARRIVE, _END, _FREE, _SAVE = range(4)
"""What the heap holds; of one moment, arrivals come first, then ends, then what is freed."""

_PROGRESS_EVERY = 256
_CLOCK_SLACK_S = 1e-9
_IDLE_PLANS = 1000


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take besides the work itself.

    grace_s: from a Preempt to the release. start_s: from each Start to the first work. restart_s:
    more, where the job ran before. save_every_s: how often a running job saves its work; 0: it
    saves when it is told to stop, so nothing is lost; None: never.
    """

    grace_s: float = 0.0
    start_s: float = 0.0
    restart_s: float = 0.0
    save_every_s: float | None = 0.0


class _Life:
    """One job on its way through the simulation. `remaining_s`: work at its minimum's speed."""

    __slots__ = (
        "asked_at", "counted_at", "done_at", "job", "keys", "record", "remaining_s", "request",
        "running", "saved_s", "since", "speed", "stopping", "version", "works_from",
    )  # fmt: skip

    def __init__(self, job: Job, record: JobRecord) -> None:
        limit_s = job.request.time_limit_s
        self.job = job
        self.request = job.request
        self.record = record
        self.remaining_s = min(job.duration_s, limit_s) if limit_s else job.duration_s
        self.saved_s = 0.0  # how much work was saved since it started
        self.asked_at = job.request.submitted_at
        self.since = self.works_from = self.done_at = self.counted_at = 0.0
        self.speed = 1.0
        self.running = self.stopping = False
        self.version = 0
        self.keys: dict[str, Placement] = {}

    def worked_s(self, now: float) -> float:
        return max(0.0, now - self.works_from) * self.speed


class Simulation:
    """One run of a trace. `planner` may be a `Recorder` around one."""

    def __init__(
        self,
        trace: Trace,
        policy: Policy | None = None,
        timing: Timing | None = None,
        planner: Planner | None = None,
    ) -> None:
        self.trace = trace
        self._timing = timing or Timing()
        self._planner = planner or Planner()
        self._heap: list[tuple[float, int, int, str, int]] = []
        self._number = 0
        self._lives: dict[str, _Life] = {}
        self._owners: dict[str, _Life] = {}
        self._pending: list[Event] = []
        self._curious: list[_Life] = []
        self._ended = 0
        self._idle_plans = 0
        self.recording = Recording(trace)
        self._tell_cluster(policy or Policy())
        for job in trace.jobs:
            self._push(job.request.submitted_at, _ARRIVE, job.request.id)
            self._lives[job.request.id] = _Life(job, self.recording.job(job))

    def run(
        self,
        progress: Callable[[int, int], None] | None = None,
        stop: Callable[[], bool] | None = None,
        until: float | None = None,
    ) -> Recording:
        """To the end of the last job, or `until`, or when `stop` says so: then what was recorded
        is partial. `progress` is told now and then how many jobs of how many have ended."""
        total = len(self.trace.jobs)
        plans = 0
        while (now := self._next_moment()) is not None and (until is None or now <= until):
            self._happen(now)
            self._plan(now)
            plans += 1
            if plans % _PROGRESS_EVERY == 0:
                if progress is not None:
                    progress(self._ended, total)
                if stop is not None and stop():
                    self.recording.partial = True
                    break
        if progress is not None:
            progress(self._ended, total)
        self.recording.finish()
        self._say_what_never_ran()
        return self.recording

    # -- time ---------------------------------------------------------------------------------

    def _push(self, at: float, what: int, name: str, version: int = 0) -> None:
        self._number += 1
        heapq.heappush(self._heap, (at, what, self._number, name, version))

    def _next_moment(self) -> float | None:
        """The next event, or an earlier time at which the planner wants to be asked."""
        if not self._heap:
            return None if self._ended == len(self.trace.jobs) else self._planner_time()
        at = self._heap[0][0]
        wanted = self._planner_time()
        return at if wanted is None else min(at, wanted)

    def _planner_time(self) -> float | None:
        """When the planner wants to be asked again. When nothing runs and nothing will come, what
        has started nobody for so many times never will."""
        wanted = self._planner.next_time()
        if wanted is None or wanted <= self.recording.now + _CLOCK_SLACK_S:
            return None
        return wanted if self._heap or self._idle_plans < _IDLE_PLANS else None

    def _happen(self, now: float) -> None:
        """Everything that is due, as events for the planner."""
        self.recording.at(now)
        while self._heap and self._heap[0][0] <= now:
            _, what, _, name, version = heapq.heappop(self._heap)
            life = self._lives[name]
            if what == _ARRIVE:
                self._pending.append(Asked(life.request))
                if self.recording.arrived(life.record):
                    self._curious.append(life)
            elif version != life.version:
                continue  # it was stopped, or changed its size, in the meantime
            elif what == _END:
                self._end(life, now)
            elif what == _FREE:
                self._free(life, now)
            elif what == _SAVE:
                self._save(life, now)

    def _plan(self, now: float) -> None:
        started = time.perf_counter()
        if self._pending:
            self._planner.apply(self._pending)
            self._pending = []
        actions = self._planner.plan(now, waits=False)
        self.recording.planned(time.perf_counter() - started)
        decided = self.recording.decisions
        for action in actions:
            self._carry_out(action, now)
        self._idle_plans = self._idle_plans + 1 if self.recording.decisions == decided else 0
        self._ask_when()
        self.recording.sample(now)

    def _ask_when(self) -> None:
        """Of some that have just come and wait: when they are expected to start."""
        for life in self._curious:
            if life.record.started_at is None:
                wait = self._planner.explain(life.request.id)
                life.record.asked_when = True
                life.record.expected_start = wait.expected_start if wait else None
        self._curious.clear()

    # -- what the planner decides ---------------------------------------------------------------

    def _carry_out(self, action: Action, now: float) -> None:
        match action:
            case Start(request, placements):
                self._start(self._lives[request.id], placements, now)
            case Preempt(request_id):
                self.recording.preemptions += 1
                self._lives[request_id].record.preemptions += 1
                self._stop(self._lives[request_id], now)
            case Migrate(request_id):
                self.recording.migrations += 1
                self._stop(self._lives[request_id], now)
            case Resize():
                self._resize(action, now)
        self.recording.decisions += 1

    def _start(self, life: _Life, placements: Sequence[Placement], now: float) -> None:
        timing, record = self._timing, life.record
        again = record.started_at is not None
        record.started(now, now - life.asked_at)
        life.running, life.stopping = True, False
        life.since = now
        life.saved_s = 0.0
        life.works_from = now + timing.start_s + (timing.restart_s if again else 0.0)
        life.keys = {}
        self._take(life, placements, now)
        self._expect_end(life)
        self.recording.waiting -= 1

    def _expect_end(self, life: _Life) -> None:
        """The end with what it holds now, and its next save."""
        life.version += 1
        life.speed = self._speed(life)
        life.done_at = life.works_from + life.remaining_s / life.speed
        name = life.request.id
        self._push(life.done_at, _END, name, life.version)
        every_s = self._timing.save_every_s
        if every_s and life.works_from + every_s < life.done_at:
            self._push(life.works_from + every_s, _SAVE, name, life.version)

    def _speed(self, life: _Life) -> float:
        """Of its minimum: by the speeds that are known of the job, else by its replicas."""
        groups = life.request.groups
        least = sum(group.replicas_min for group in groups)
        replicas = len(life.keys)
        work = life.request.work
        if replicas == least or work is None or not work.speeds:
            return max(1, replicas) / max(1, least)
        each = max(group.resources.device_milli for group in groups) / MILLI
        return speed_at(work.speeds, replicas * each) / speed_at(work.speeds, least * each)

    def _stop(self, life: _Life, now: float) -> None:
        if life.stopping or not life.running:
            return
        life.stopping = True
        if life.done_at > now + self._timing.grace_s:  # else it ends by itself in time
            life.version += 1
            self._push(now + self._timing.grace_s, _FREE, life.request.id, life.version)

    def _resize(self, action: Resize, now: float) -> None:
        life = self._lives[action.request_id]
        self.recording.resizes += 1
        self._settle(life, now)
        for key in action.removed:
            self._pending.append(Released(key))
        self._drop(life, action.removed, now)
        self._take(life, action.added, now)
        life.works_from = max(now, life.works_from) + self._timing.restart_s
        self._expect_end(life)
        if action.removed:
            self._push(now, _FREE, life.request.id, -1)  # plan again: something became free

    # -- what happens by itself -----------------------------------------------------------------

    def _end(self, life: _Life, now: float) -> None:
        life.version += 1
        life.running = False
        life.record.ended(now)
        self._pending.extend(Released(key) for key in life.keys)
        self._drop(life, list(life.keys), now)
        self._ended += 1

    def _free(self, life: _Life, now: float) -> None:
        """The grace of a stopped job is over: it waits again."""
        life.version += 1
        life.running = False
        self._pending.extend(Released(key) for key in life.keys)
        worked_s = life.worked_s(now)
        kept_s = life.saved_s if self._timing.save_every_s != 0.0 else worked_s
        life.record.lost_s += worked_s - kept_s
        life.remaining_s -= kept_s
        life.asked_at = now
        self._drop(life, list(life.keys), now)
        life.request = self._progressed(life, now)
        self._pending.append(Asked(life.request))
        self.recording.waiting += 1

    def _save(self, life: _Life, now: float) -> None:
        life.saved_s = life.worked_s(now)
        self._pending.append(Began(Running(life.request, life.since, now)))
        every_s = self._timing.save_every_s
        if every_s and now + every_s < life.done_at:
            self._push(now + every_s, _SAVE, life.request.id, life.version)

    def _settle(self, life: _Life, now: float) -> None:
        """Count the work done so far; from now on the speed may be another."""
        life.remaining_s -= life.worked_s(now)
        life.saved_s = 0.0
        life.works_from = max(life.works_from, now)

    def _progressed(self, life: _Life, now: float) -> Request:
        """What is asked for after a stop: the same, and how far it is."""
        request, job = life.request, life.job
        work = request.work or Work(restart_s=self._timing.restart_s)
        done = work.done
        if work.total is not None:
            done = work.total * (1.0 - life.remaining_s / max(job.duration_s, _CLOCK_SLACK_S))
        work = replace(work, done=done, attained_gpu_s=life.record.gpu_s)
        expected_s = job.request.expected_s
        if expected_s is not None:
            expected_s = max(0.0, expected_s - (job.duration_s - life.remaining_s))
        ran_s = request.ran_s + now - life.since
        return replace(request, work=work, expected_s=expected_s, ran_s=ran_s)

    # -- what is held -----------------------------------------------------------------------------

    def _take(self, life: _Life, placements: Sequence[Placement], now: float) -> None:
        self._count(life, now)
        owner = life.request.owner
        for placement in placements:
            life.keys[f"{owner}/{placement.role}/{placement.replica}"] = placement
        self.recording.took(life.record, life.request, placements)

    def _drop(self, life: _Life, keys: Sequence[str], now: float) -> None:
        self._count(life, now)
        gone = [life.keys.pop(key) for key in keys if key in life.keys]
        self.recording.gave(life.record, life.request, gone)

    def _count(self, life: _Life, now: float) -> None:
        """GPU time that it has had, up to now."""
        gpus = sum(hold.milli for p in life.keys.values() for hold in p.devices) / MILLI
        life.record.gpu_s += gpus * (now - life.counted_at)
        life.counted_at = now

    # -- beginning and end ------------------------------------------------------------------------

    def _tell_cluster(self, policy: Policy) -> None:
        trace = self.trace
        self._pending += [PolicySet(policy)]
        self._pending += [NodeSet(node) for node in trace.nodes]
        self._pending += [QueueSet(queue) for queue in trace.queues]
        self._pending += [LimitSet(limit) for limit in trace.limits]
        self._pending += [Reserved(reservation) for reservation in trace.reservations]

    def _say_what_never_ran(self) -> None:
        for life in self._lives.values():
            record = life.record
            if record.arrived and record.started_at is None:
                wait = self._planner.explain(life.request.id)
                self.recording.unplaced(record, str(wait.reason) if wait else "")


def speed_at(speeds: Sequence[tuple[int, float]], gpus: float) -> float:
    """Units per second with so many GPUs: linear between known points, no more beyond the last."""
    known = [(0.0, 0.0), *((float(count), speed) for count, speed in speeds)]
    for (low, slow), (high, fast) in pairwise(known):
        if gpus <= high or high == known[-1][0]:
            return slow + (fast - slow) * (min(gpus, high) - low) / (high - low)
    return known[-1][1]
