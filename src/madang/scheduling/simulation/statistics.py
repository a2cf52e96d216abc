"""What a simulation writes down while it runs."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import Placement, Request
from madang.scheduling.simulation.fragments import (
    FragmentMeter,
    Fragments,
    NodeState,
    free_states,
)
from madang.scheduling.simulation.trace import Job, Trace, gpu_milli, node_gpus

_FRAGMENT_SAMPLES = 50
"""How often, over the span of the arrivals, fragments are measured."""
_ASKED_WHEN = 1000
"""About how many jobs are asked for when they are expected to start."""


@dataclass(slots=True)
class JobRecord:
    """One job's life. `wait_s`: all its waiting; `lost_s`: work done again after stops;
    `asked_when`: it had to wait, and `expected_start` is what was told then (None: nothing)."""

    id: str
    queue: str
    gpus: float
    submitted_at: float
    duration_s: float
    arrived: bool = False
    started_at: float | None = None
    ended_at: float | None = None
    wait_s: float = 0.0
    preemptions: int = 0
    gpu_s: float = 0.0
    lost_s: float = 0.0
    asked_when: bool = False
    expected_start: float | None = None

    def started(self, now: float, waited_s: float) -> None:
        if self.started_at is None:
            self.started_at = now
        self.wait_s += waited_s

    def ended(self, now: float) -> None:
        self.ended_at = now

    @property
    def completion_s(self) -> float:
        """From its arrival to its end (JCT)."""
        assert self.ended_at is not None
        return self.ended_at - self.submitted_at


@dataclass(slots=True)
class Series:
    """What is held over time, one entry whenever it changes."""

    at: array[float] = field(default_factory=lambda: array("d"))
    gpu_milli: array[int] = field(default_factory=lambda: array("q"))
    cpu_milli: array[int] = field(default_factory=lambda: array("q"))
    waiting: array[int] = field(default_factory=lambda: array("q"))


class Recording:
    """Counts, times and samples of one run."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.now = trace.begin
        self.partial = False
        self.jobs: list[JobRecord] = []
        self.series = Series()
        self.waiting = 0
        self.preemptions = self.migrations = self.resizes = self.decisions = self.plans = 0
        self.planner_s = 0.0
        self.never_ran: list[tuple[JobRecord, str]] = []
        self.fragments: list[Fragments] = []
        self.fragment_map: list[NodeState] = []
        self._gpu_milli = self._cpu_milli = 0
        self._by_id: dict[str, JobRecord] = {}
        self._held: dict[str, tuple[dict[str, Resources], dict[str, Placement]]] = {}
        self._meter = FragmentMeter(trace.jobs)
        self._has_gpus = any(node_gpus(node) for node in trace.nodes)
        span_s = max(1e-6, trace.last_arrival - trace.begin)
        self._ask_each = max(1, len(trace.jobs) // _ASKED_WHEN)
        self._arrivals = 0
        self._fragments_every_s = span_s / _FRAGMENT_SAMPLES
        self._fragments_at = trace.begin
        self._map_rank = (False, -1.0)

    def job(self, job: Job) -> JobRecord:
        request = job.request
        gpus = gpu_milli(request) / MILLI
        record = JobRecord(request.id, request.queue, gpus, request.submitted_at, job.duration_s)
        self.jobs.append(record)
        self._by_id[request.id] = record
        return record

    # -- time -------------------------------------------------------------------------------------

    def at(self, now: float) -> None:
        """Time goes on to `now`; what is held until then is what was held."""
        series = self.series
        values = (self._gpu_milli, self._cpu_milli, self.waiting)
        if not series.at or values != (
            series.gpu_milli[-1], series.cpu_milli[-1], series.waiting[-1]
        ):  # fmt: skip
            series.at.append(self.now)
            series.gpu_milli.append(values[0])
            series.cpu_milli.append(values[1])
            series.waiting.append(values[2])
        self.now = now

    def finish(self) -> None:
        """Write down the last moment."""
        self.at(self.now)

    def planned(self, took_s: float) -> None:
        self.plans += 1
        self.planner_s += took_s

    # -- jobs -------------------------------------------------------------------------------------

    def arrived(self, record: JobRecord) -> bool:
        """Whether to ask when it is expected to start."""
        record.arrived = True
        self.waiting += 1
        self._arrivals += 1
        return self._arrivals % self._ask_each == 0

    def took(self, record: JobRecord, request: Request, placements: Sequence[Placement]) -> None:
        needs, placed = self._held.setdefault(
            record.id, ({group.role: group.resources for group in request.groups}, {})
        )
        for placement in placements:
            placed[f"{placement.role}/{placement.replica}"] = placement
        self._count(1, needs, placements)

    def gave(self, record: JobRecord, request: Request, placements: Iterable[Placement]) -> None:
        needs, placed = self._held[record.id]
        placements = list(placements)
        for placement in placements:
            del placed[f"{placement.role}/{placement.replica}"]
        if not placed:
            del self._held[record.id]
        self._count(-1, needs, placements)

    def _count(
        self, sign: int, needs: dict[str, Resources], placements: Iterable[Placement]
    ) -> None:
        for placement in placements:
            self._cpu_milli += sign * needs[placement.role].cpu_milli
            self._gpu_milli += sign * sum(
                hold.milli for hold in placement.devices if hold.kind == "gpu"
            )

    def unplaced(self, record: JobRecord, why: str) -> None:
        self.never_ran.append((record, why))

    # -- samples ----------------------------------------------------------------------------------

    def sample(self, now: float) -> None:
        """Now and then, while jobs arrive: what is fragmented."""
        if self._has_gpus and self._fragments_at <= now <= self.trace.last_arrival:
            self._fragments_at = now + self._fragments_every_s
            self._measure(now)

    def _measure(self, now: float) -> None:
        held = ((needs, placed.values()) for needs, placed in self._held.values())
        states = list(free_states(self.trace.nodes, held).values())
        measured = self._meter.measure(now, states)
        self.fragments.append(measured)
        rank = (self.waiting > 0, measured.fragment_milli)
        if rank > self._map_rank:
            self._map_rank = rank
            self.fragment_map = states
