"""The Alibaba GPU trace of 2023 (openb), replayed by the protocol of the FGD paper.

Pods arrive one by one until they ask for `inflate` times the cluster's GPUs, and never leave; one
that fits nowhere is dropped. What is told is how much of the GPUs is allocated after arrivals for
so many percent of them.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from madang.core.resources import MILLI, Resources
from madang.scheduling.migration import PERIOD_S
from madang.scheduling.model import (
    Action,
    Asked,
    Event,
    Group,
    Migrate,
    Node,
    Policy,
    Released,
    Request,
    Snapshot,
    Start,
    Withdrawn,
)
from madang.scheduling.placement.program import load_solver
from madang.scheduling.planner import Planner
from madang.scheduling.simulation.openb_files import Pod, read_nodes, read_pods

_ASK_EVERY = 256
"""Arrivals between two looks at whether to stop."""


@dataclass(frozen=True)
class OpenbResult:
    """Allocations are in percent of all GPUs; keys of `allocation_at` and `curve` are arrivals in
    percent. unplaced: pods that found no room. moved: migrations. decisions_per_s: on one core,
    whatever else the machine does. partial: it was stopped before the end."""

    policy: str
    mix: str
    seed: int
    pods: int
    unplaced: int
    moved: int
    allocation_at: dict[str, float]
    curve: dict[str, float]
    decisions_per_s: float
    seconds: float
    partial: bool = False

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def replay(
    nodes: Path,
    workloads: Path,
    *,
    inflate: float = 1.3,
    seed: int = 42,
    policy: str = "default",
    mix: str = "given",
    migration_budget: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> OpenbResult:
    """mix `given`: the policy knows how often the list asks for what; `learned`: it does not, and
    learns it from what arrives. migration_budget: share of placed pods that may be moved. Raises
    InvalidInput naming file, row and column."""
    return replay_pods(
        read_nodes(nodes),
        read_pods(workloads),
        inflate=inflate,
        seed=seed,
        policy=policy,
        mix=mix,
        migration_budget=migration_budget,
        progress=progress,
        stop=stop,
    )


def replay_pods(
    nodes: Sequence[Node],
    pods: Sequence[Pod],
    *,
    inflate: float = 1.3,
    seed: int = 42,
    policy: str = "default",
    mix: str = "given",
    past: Mapping[Resources, float] | None = None,
    migration_budget: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> OpenbResult:
    """The same of nodes and pods that were read. past: what is known of the mix at the beginning,
    when it is not given but learned. migration_budget: share of placed pods that may be moved."""
    capacity = sum(MILLI for node in nodes for _ in node.devices)
    arrivals = arrival_sequence(pods, capacity, inflate, seed)
    known = Counter(pod.need for pod in pods) if mix == "given" else past or {}
    snapshot = Snapshot(
        nodes=tuple(nodes),
        policy=Policy(
            placement=policy,
            seed=seed,
            preemption=False,
            learn_mix=mix != "given",
            migration_budget=migration_budget,
        ),
        mix=tuple(known.items()),
    )
    cluster = _Planned(snapshot, len(arrivals))
    arrived = allocated = placed = 0
    sums: dict[int, tuple[float, int]] = {}
    partial = False
    load_solver()
    started, began = time.perf_counter(), time.process_time()
    for number, pod in enumerate(arrivals):
        if number % _ASK_EVERY == 0:
            if progress is not None:
                progress(number, len(arrivals))
            if stop is not None and stop():
                partial, arrivals = True, arrivals[:number]
                break
        arrived += pod.gpu_milli
        if cluster.place(number, pod):
            allocated += pod.gpu_milli
            placed += 1
        percent = int(100 * arrived / capacity + 0.5)
        total, count = sums.get(percent, (0.0, 0))
        sums[percent] = (total + 100 * allocated / capacity, count + 1)
    seconds, core_s = time.perf_counter() - started, time.process_time() - began
    if progress is not None:
        progress(len(arrivals), len(arrivals))
    curve = {str(at): round(total / count, 4) for at, (total, count) in sorted(sums.items())}
    return OpenbResult(
        policy=policy,
        mix=mix,
        seed=seed,
        pods=len(arrivals),
        unplaced=len(arrivals) - placed,
        moved=cluster.moved,
        allocation_at={at: value for at, value in curve.items() if int(at) % 10 == 0},
        curve=curve,
        decisions_per_s=round(len(arrivals) / max(1e-9, core_s), 1),
        seconds=round(seconds, 3),
        partial=partial,
    )


class _Planned:
    """The planner, as the live cluster runs it; a pod that would have to wait gives up. The whole
    replay takes a virtual hour, so that a budget of moves is one of the whole replay."""

    def __init__(self, snapshot: Snapshot, arrivals: int) -> None:
        self._planner = Planner()
        self._planner.load(snapshot)
        self._moves = snapshot.policy.migration_budget > 0
        self._step_s = PERIOD_S / max(1, arrivals)
        self.moved = 0

    def place(self, number: int, pod: Pod) -> bool:
        """Whether it started."""
        name = f"pod-{number}"
        request = Request(
            name, name, "", (Group("pod", 1, 1, pod.need),), order=number, preemptible=self._moves
        )
        started = self._tell(number, Asked(request))
        moving = [action for action in started if isinstance(action, Migrate)]
        if moving:  # they stop at once, and go on elsewhere
            self.moved += len(moving)
            runs = self._planner.running
            events: list[Event] = []
            for move in moving:
                place = move.placements[0]
                key = f"{move.owner}/{place.role}/{place.replica}"
                events += [Released(key), Asked(runs[move.request_id].request)]
            started = self._tell(number, *events)
        if any(isinstance(action, Start) and action.request.id == name for action in started):
            return True
        self._planner.apply((Withdrawn(name),))
        return False

    def _tell(self, number: int, *events: Event) -> list[Action]:
        self._planner.apply(events)
        return self._planner.plan(self._step_s * number, waits=False)


def arrival_sequence(
    pods: Sequence[Pod], capacity_milli: int, inflate: float, seed: int
) -> list[Pod]:
    """All pods of the list in random order, then random ones again until they ask for `inflate`
    times the capacity; where the list alone asks for more, random ones are left out."""
    chance = random.Random(seed)
    arrivals = sorted(pods, key=lambda pod: pod.name)
    chance.shuffle(arrivals)
    wanted = inflate * capacity_milli
    total = sum(pod.gpu_milli for pod in arrivals)
    while total > wanted:
        left_out = arrivals.pop(chance.randrange(len(arrivals)))
        total -= left_out.gpu_milli
    base = sorted(pods, key=lambda pod: pod.name)
    while True:
        pod = chance.choice(base)
        # The protocol's condition counts what a pod takes of one GPU, not of all.
        if not base or total + pod.gpu_milli_each > wanted:
            return arrivals
        arrivals.append(pod)
        total += pod.gpu_milli
