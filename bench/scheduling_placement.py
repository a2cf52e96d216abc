"""How much of a cluster's GPUs each placement policy gets allocated, and how fast: the Alibaba GPU
trace of 2023 (openb) by the protocol of the FGD paper, through the product's own replay.

BENCH_SEEDS=2 make bench-scheduling        the first two of the ten seeds (42..51)
BENCH_PROCESSES=1                          on one core instead of all
"""

from __future__ import annotations

import csv
import heapq
import os
import random
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.figures import Figure, run_benchmark
from madang.core.resources import MILLI, Resources
from madang.scheduling.model import DeviceHold, Node, Policy
from madang.scheduling.placement import Cluster, Mix
from madang.scheduling.simulation.openb import OpenbResult, replay_pods
from madang.scheduling.simulation.openb_files import Pod, read_nodes, read_pods

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("MADANG_SHARED_DATA", ROOT.parent / "shared" / "data")) / "openb"
SEEDS = tuple(range(42, 42 + int(os.environ.get("BENCH_SEEDS", "10"))))
PROCESSES = int(os.environ.get("BENCH_PROCESSES", os.cpu_count() or 1))

PUBLISHED = {
    "fgd": ("06-FGD", 0.3),
    "bestfit": ("05-BestFit", 0.3),
    "random": ("01-Random", 0.6),
    "dotprod": ("02-DotProd", 0.6),
    "gpu-clustering": ("03-GpuClustering", 0.6),
    "gpu-packing": ("04-GpuPacking", 0.6),
}
"""Policies of the paper: name in its results, and how far a repetition may be off, in points."""

MUST = {
    "default": 96.1,
    "gpuspec33": 95.1,
    "gpushare100": 88.2,
    "cpu250": 95.5,
    "multigpu50": 97.6,
}
CEILING = {
    "cpu050": 96.90, "cpu100": 96.88, "cpu200": 96.90, "cpu250": 96.91, "default": 96.90,
    "gpushare40": 95.66, "gpushare60": 93.31, "gpushare80": 91.35, "gpushare100": 89.14,
    "gpuspec10": 96.85, "gpuspec20": 96.90, "gpuspec25": 96.88, "gpuspec33": 96.37,
    "multigpu20": 97.32, "multigpu30": 97.67, "multigpu40": 97.98, "multigpu50": 98.32,
}  # fmt: skip
"""What no scheduler can pass at 100 % arrivals, not even one that may move what runs: the bound of
a linear program over cuts of devices."""

BELOW_FGD = -0.1
CURVE = range(80, 131)

Run = tuple[str, int, str, str]
"""Workload, seed, policy, and how the mix is known: given, learned, history (as a prior)."""


@cache
def _nodes() -> tuple[Node, ...]:
    return tuple(read_nodes(DATA / "openb_node_list_gpu_node.csv"))


@cache
def _pods(workload: str) -> tuple[Pod, ...]:
    return tuple(read_pods(DATA / f"openb_pod_list_{workload}.csv"))


def _replay(run: Run) -> OpenbResult:
    workload, seed, policy, how = run
    pods = _pods(workload)
    return replay_pods(
        _nodes(),
        pods,
        seed=seed,
        policy=policy,
        mix="given" if how == "given" else "learned",
        past=Counter(pod.need for pod in pods) if how == "history" else None,
    )


_known: dict[Run, OpenbResult] = {}


def _replays(runs: Iterable[Run]) -> dict[Run, OpenbResult]:
    missing = [run for run in runs if run not in _known]
    if PROCESSES > 1 and len(missing) > 1:
        with ProcessPoolExecutor(PROCESSES) as pool:
            _known.update(zip(missing, pool.map(_replay, missing), strict=True))
    else:
        _known.update((run, _replay(run)) for run in missing)
    return _known


def _curve(workload: str, policy: str, how: str = "given") -> dict[int, float]:
    """Means over the seeds, by percent of arrivals."""
    runs = [(workload, seed, policy, how) for seed in SEEDS]
    results = _replays(runs)
    points: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        for at, allocation in results[run].curve.items():
            points[int(at)].append(allocation)
    return {at: statistics.fmean(values) for at, values in sorted(points.items())}


def _prepare(policies: Sequence[str], hows: Sequence[str] = ("given",)) -> None:
    """All replays at once, so that no core waits."""
    _replays(
        (workload, seed, policy, how)
        for workload in CEILING
        for policy in policies
        for how in hows
        for seed in SEEDS
    )


def published_policies() -> Sequence[Figure]:
    """The policies of the FGD paper come out as its authors published them."""
    _prepare(tuple(PUBLISHED))
    published: dict[tuple[str, str], list[float]] = defaultdict(list)
    with (DATA / "published" / "analysis_allo_discrete.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            workload = row["workload"].removeprefix("openb_pod_list_")
            published[workload, row["sc_policy"]].append(float(row["100"]))
    figures = []
    for policy, (name, tolerance) in PUBLISHED.items():
        off = {
            workload: _curve(workload, policy)[100] - statistics.fmean(published[workload, name])
            for workload in CEILING
        }
        worst = max(off, key=lambda workload: abs(off[workload]))
        figures.append(
            Figure(
                f"{policy}: farthest from what was published, 17 workloads",
                abs(off[worst]),
                "points",
                at_most=tolerance,
                note=f"{worst} {off[worst]:+.2f}; default {_curve('default', policy)[100]:.2f}",
            )
        )
    return figures


def allocation() -> Sequence[Figure]:
    """The default policy, and that it is below FGD nowhere on the curve."""
    _prepare(("default", "fgd"))
    figures = []
    for workload, ceiling in CEILING.items():
        ours, fgd = _curve(workload, "default"), _curve(workload, "fgd")
        closed = (ours[100] - fgd[100]) / (ceiling - fgd[100])
        figures.append(
            Figure(
                f"{workload}: allocated at 100 % arrivals",
                ours[100],
                "%",
                at_least=MUST.get(workload, fgd[100] + BELOW_FGD),
                note=f"FGD {fgd[100]:.2f}, ceiling {ceiling:.2f}, {closed:.0%} of the gap closed",
            )
        )
        above = {at: ours[at] - fgd[at] for at in CURVE if at in ours and at in fgd}
        least = min(above, key=lambda at: above[at])
        figures.append(
            Figure(
                f"{workload}: least above FGD, 80 to 130 %",
                above[least],
                "points",
                at_least=BELOW_FGD,
                note=f"at {least} %",
            )
        )
    return figures


def learned_mix() -> Sequence[Figure]:
    """The mix learned as requests arrive, without any history and with it as a prior."""
    _prepare(("default",), ("given", "learned", "history"))
    figures = []
    for how, what in (("learned", "no history"), ("history", "history as prior")):
        lost = {
            workload: _curve(workload, "default")[100] - _curve(workload, "default", how)[100]
            for workload in CEILING
        }
        for workload, most in (("gpuspec33", 1.2 if how == "learned" else 0.3), ("", 0.3)):
            worst = workload or max(lost.keys() - {"gpuspec33"}, key=lambda name: lost[name])
            figures.append(
                Figure(
                    f"mix learned, {what}: {workload or 'worst of the others'}",
                    lost[worst],
                    "points less",
                    at_most=most,
                    note=f"{worst}: {_curve(worst, 'default', how)[100]:.2f} %",
                )
            )
    return figures


BLENDS = (
    ("cpu250", "gpushare100"),
    ("gpuspec33", "multigpu50"),
    ("gpuspec33", "cpu250", "gpushare60"),
    ("multigpu40", "gpushare100"),
    ("default", "gpuspec33", "gpushare100", "cpu250", "multigpu50"),
)


def generalisation() -> Sequence[Figure]:
    """Lists and clusters that nothing was chosen on: blends of the lists, and a fifth of the
    nodes away."""
    figures = []
    for lists in BLENDS:
        figures.append(_compared("+".join(lists), _nodes(), _blend(lists)))
    chance = random.Random(101)
    kept = [node for node in _nodes() if chance.random() >= 0.2]
    for workload in MUST:
        figures.append(_compared(f"{workload}, 20 % of nodes away", kept, _pods(workload)))
    return figures


def _blend(lists: Sequence[str]) -> list[Pod]:
    chance = random.Random(101)
    return [
        replace(pod, name=f"{pod.name}-{part}")
        for part in lists
        for pod in chance.sample(_pods(part), len(_pods(part)) // len(lists))
    ]


def _compared(what: str, nodes: Sequence[Node], pods: Sequence[Pod]) -> Figure:
    ours, fgd = (
        replay_pods(nodes, pods, seed=101, policy=policy).curve["100"]
        for policy in ("default", "fgd")
    )
    return Figure(what, ours - fgd, "points", at_least=BELOW_FGD, note=f"{ours:.2f} %")


def departures() -> Sequence[Figure]:
    """Pods that end: allocated on average at a constant load of arrivals, on a quarter of the
    nodes; those that find no room are lost."""
    figures = []
    for workload in ("default", "gpuspec33"):
        for load in (0.95, 1.1):
            ours, fgd = (_living(workload, policy, load) for policy in ("default", "fgd"))
            figures.append(
                Figure(
                    f"{workload}: load {load:.0%}, pods end",
                    ours - fgd,
                    "points",
                    at_least=BELOW_FGD,
                    note=f"{ours:.2f} % allocated, FGD {fgd:.2f} %",
                )
            )
    return figures


_ARRIVALS = 12_000
_WARM_UP = 2.0


def _living(workload: str, policy: str, load: float) -> float:
    """Percent of GPUs allocated on average; times are in mean lives of a pod."""
    chance = random.Random(101)
    pods, nodes = _pods(workload), _nodes()[::4]
    capacity = sum(MILLI * len(node.devices) for node in nodes)
    rate = load * capacity / statistics.fmean(pod.gpu_milli for pod in pods)
    cluster = Cluster(Policy(placement=policy), Mix(Counter(pod.need for pod in pods)))
    for node in nodes:
        cluster.set_node(node)
    ends: list[tuple[float, int, str, Resources, tuple[DeviceHold, ...]]] = []
    now = area = 0.0
    allocated = 0
    for number in range(_ARRIVALS):
        arrival = now + chance.expovariate(rate)
        pod, life = chance.choice(pods), chance.expovariate(1.0)
        while ends and ends[0][0] <= arrival:
            end, _, node_id, need, devices = heapq.heappop(ends)
            area += allocated * max(0.0, end - max(now, _WARM_UP))
            now = end
            cluster.give(node_id, need, devices)
            allocated -= need.device_milli
        area += allocated * max(0.0, arrival - max(now, _WARM_UP))
        now = arrival
        cluster.arrived(pod.need)
        choice = cluster.choose(pod.need)
        if choice is not None:
            cluster.take(choice[0], pod.need, choice[1])
            allocated += pod.gpu_milli
            heapq.heappush(ends, (now + life, number, choice[0], pod.need, choice[1]))
    return 100 * area / (now - _WARM_UP) / capacity


def migrations() -> Sequence[Figure]:
    """A pod that fits nowhere may have a few others moved, within a budget of those placed: the
    planner's own `Migrate`. Reported, with no bound: a move lets one pod in now, and what that pod
    takes may be missing later, so that less of the GPUs can be allocated in the end."""
    budgets = (0.005, 0.02)
    runs = [
        (workload, seed, budget)
        for workload in CEILING
        for budget in budgets
        for seed in SEEDS[:_SEEDS_WITH_MOVES]
    ]
    if PROCESSES > 1:
        with ProcessPoolExecutor(PROCESSES) as pool:
            found = dict(zip(runs, pool.map(_with_moves, runs), strict=True))
    else:
        found = {run: _with_moves(run) for run in runs}
    figures = []
    for workload, ceiling in CEILING.items():
        seeds = SEEDS[:_SEEDS_WITH_MOVES]
        plain = _replays((workload, seed, "default", "given") for seed in seeds)
        kept = statistics.fmean(
            plain[workload, seed, "default", "given"].curve["100"] for seed in seeds
        )
        for budget in budgets:
            results = [found[workload, seed, budget] for seed in seeds]
            allocation = statistics.fmean(result.curve["100"] for result in results)
            moved = statistics.fmean(result.moved for result in results)
            allowed = budget * statistics.fmean(r.pods - r.unplaced for r in results)
            figures.append(
                Figure(
                    f"{workload}: {budget:.1%} may move",
                    allocation,
                    "%",
                    note=f"without {kept:.2f}, ceiling {ceiling:.2f}; {moved:.0f} of "
                    f"{allowed:.0f} moves used",
                )
            )
    return figures


_SEEDS_WITH_MOVES = 1


def _with_moves(run: tuple[str, int, float]) -> OpenbResult:
    workload, seed, budget = run
    return replay_pods(_nodes(), _pods(workload), seed=seed, migration_budget=budget)


SPEED = {1_213: 5_000, 10_000: 2_000}


def placement_speed() -> Sequence[Figure]:
    """Decisions a second on one core, finding prices anew included."""
    figures = []
    for count, must in SPEED.items():
        nodes = [
            replace(node, id=f"{node.id}-{copy}", name=f"{node.name}-{copy}")
            for copy in range(-(-count // len(_nodes())))
            for node in _nodes()
        ][:count]
        for policy in ("default", "fgd", "first-fit"):
            replay_pods(_nodes()[:20], _pods("default"), policy=policy)  # imports, tables
            began = time.process_time()
            result = replay_pods(nodes, _pods("default"), policy=policy)
            took = time.process_time() - began
            figures.append(
                Figure(
                    f"{policy}: decisions, {count:,} nodes",
                    result.pods / took,
                    "/s",
                    at_least=must,
                    note=f"{result.pods:,} pods, {1e6 * took / result.pods:.0f} us each",
                )
            )
    return figures


MEASURES = [
    allocation,
    learned_mix,
    generalisation,
    departures,
    migrations,
    placement_speed,
    published_policies,
]

if __name__ == "__main__":
    sys.exit(run_benchmark("scheduling-placement", MEASURES))
