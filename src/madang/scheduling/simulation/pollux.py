"""The jobs of Pollux's evaluation (OSDI 2021 artifact): what they ask for and how fast they really
get on, from measured step times, gradient noise and the number of epochs each needs.

A workload is `name,time,application,num_replicas,batch_size`; an application is a folder with
`placements.csv` (seconds of a step by placement: `22` is 2 + 2 GPUs), `scalability.csv` (the same
for more nodes) and `validation-BATCH.csv` (progress and gradient noise by epoch).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from madang.core.errors import InvalidInput
from madang.scheduling.goodput import Batches, Measured
from madang.scheduling.simulation.table import MOST_S, read_table

EPOCHS = {
    "bert": 2,
    "cifar10": 100,
    "deepspeech2": 80,
    "imagenet": 90,
    "ncf": 10,
    "yolov3": 50,
}
"""How many epochs a job of each application runs (`simulator/applications.py` of the artifact)."""
LARGEST_LOCAL_BATCH = {"yolov3": 8}
"""Where it is below the largest one measured."""
ELASTIC_BATCH = {"ncf": 32768}
"""What the artifact keeps to in elastic runs; such a job has one replica there."""
GPUS_PER_NODE = 4
NODES = 16
_MOST = 1_000_000
"""Replicas or samples: more is a mistake."""


_WORKLOAD_COLUMNS = ("name", "time", "application", "num_replicas", "batch_size")
_PLACEMENT_COLUMNS = ("placement", "local_bsz", "step_time", "sync_time")
_SCALABILITY_COLUMNS = ("num_nodes", "num_replicas", "local_bsz", "step_time", "sync_time")
_VALIDATION_COLUMNS = ("progress", "iteration", "grad_sqr", "grad_var")


@dataclass(frozen=True, slots=True)
class Submission:
    """A line of a workload."""

    name: str
    time: float
    application: str
    replicas: int
    batch: int


def read_workload(path: Path) -> list[Submission]:
    """Raises InvalidInput naming the row and the column."""
    found = []
    for row in read_table(path, _WORKLOAD_COLUMNS):
        application = row.required("application")
        if application not in EPOCHS:
            raise row.bad("application", f"Known: {', '.join(EPOCHS)}.")
        found.append(
            Submission(
                row.required("name"),
                row.number_of("time", most=MOST_S, unit="seconds"),
                application,
                row.whole("num_replicas", least=1, most=_MOST),
                row.whole("batch_size", least=1, most=_MOST),
            )
        )
    if not found:
        raise InvalidInput(f"{path.name} has no jobs", hint="Each row after the header is one.")
    return found


def _table(path: Path, columns: tuple[str, ...]) -> NDArray[np.float64]:
    return np.array(
        [[row.number_of(column) for column in columns] for row in read_table(path, columns)]
    )


class Application:
    """A program that was measured: how long its steps take, and what they are worth."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.epochs = EPOCHS[self.name]
        validation = {
            int(path.stem.rpartition("-")[2]): _table(path, _VALIDATION_COLUMNS)
            for path in folder.glob("validation-*.csv")
        }
        self._batch_sizes = sorted(validation)
        tables = [validation[size] for size in self._batch_sizes]
        # The slowest batch decides when an epoch is over.
        ends = np.min([table[: self.epochs, 0] for table in tables], axis=0)
        self.progress_at = [0.0, *ends.tolist()]
        self._iterations = [table[:, 1].tolist() for table in tables]
        self._gradients = [table[:, 2:4].tolist() for table in tables]
        self._placements = _table(folder / "placements.csv", _PLACEMENT_COLUMNS)
        self._scalability = _table(folder / "scalability.csv", _SCALABILITY_COLUMNS)
        local = self._placements[:, 1]
        self.batches = Batches(
            initial=self._batch_sizes[0],
            largest=self._batch_sizes[-1],
            local_smallest=int(local.min()),
            local_largest=LARGEST_LOCAL_BATCH.get(self.name, int(local.max())),
        )
        self._by_placement = {
            int(placement): self._placements[self._placements[:, 0] == placement]
            for placement in np.unique(self._placements[:, 0])
        }
        self._measured: dict[tuple[tuple[int, ...], int], Measured] = {}
        self._noise: dict[tuple[int, int], tuple[float, float]] = {}

    @property
    def total(self) -> float:
        """The progress at which a job is done."""
        return float(self.progress_at[self.epochs])

    def gradient(self, batch: int, epoch: int) -> tuple[float, float]:
        """Square of the gradient's mean, and its variance, in an epoch."""
        if (batch, epoch) not in self._noise:
            sizes = self._batch_sizes
            upper = bisect_left(sizes, batch)
            if sizes[upper] == batch:
                sqr, var = self._gradients[upper][epoch]
            else:
                low, high = sizes[upper - 1], sizes[upper]
                below, above = self._gradients[upper - 1][epoch], self._gradients[upper][epoch]
                sqr, var = (
                    ((batch - low) * above[part] + (high - batch) * below[part]) / (high - low)
                    for part in (0, 1)
                )
            self._noise[batch, epoch] = sqr, var
        return self._noise[batch, epoch]

    def measured(self, placement: tuple[int, ...], local_batch: int) -> Measured:
        """Seconds of a step, for replicas on each node in the order of the ring."""
        key = (placement, local_batch)
        if key not in self._measured:
            self._measured[key] = self._measure(placement, local_batch)
        return self._measured[key]

    def placements(self, replicas: int) -> list[tuple[int, ...]]:
        """The placements of so many replicas that were measured, largest numbers first; beyond
        those, the fewest nodes, and the same numbers on twice and four times as many."""
        found = {
            tuple(sorted((int(digit) for digit in str(placement)), reverse=True))
            for placement in self._by_placement
        }
        found = {placement for placement in found if sum(placement) == replicas}
        if not found:
            for most in (GPUS_PER_NODE, GPUS_PER_NODE // 2, 1):
                full, rest = divmod(replicas, most)
                if full + bool(rest) <= NODES:
                    found.add((most,) * full + ((rest,) if rest else ()))
        return sorted(found)

    def _measure(self, placement: tuple[int, ...], local_batch: int) -> Measured:
        smallest = min(placement[i:] + placement[:i] for i in range(len(placement)))
        table = self._by_placement.get(int("".join(map(str, smallest))))
        if table is not None:
            step_s, sync_s = (
                float(np.interp(local_batch, table[:, 1], table[:, column])) for column in (2, 3)
            )
        else:
            nodes = min(len(placement), NODES)
            step_s, sync_s = self._unlisted(nodes, sum(placement), local_batch)
        if math.isnan(step_s + sync_s):
            raise InvalidInput(
                f"{self.name} was never measured at {placement}, {local_batch} samples each",
                field="workload",
            )
        return Measured(step_s, sync_s)

    def _unlisted(self, nodes: int, replicas: int, local_batch: int) -> tuple[float, float]:
        step_s, sync_s = self._between_measured([nodes, replicas, local_batch])[0]
        return float(step_s), float(sync_s)

    @cached_property
    def _between_measured(self) -> Any:
        from scipy.interpolate import LinearNDInterpolator  # type: ignore[import-untyped]

        sums: dict[tuple[float, float, float], list[tuple[float, float]]] = {}
        for placement, local, step_s, sync_s in self._placements.tolist():
            counts = [int(digit) for digit in str(int(placement))]
            key = (float(len(counts)), float(sum(counts)), local)
            sums.setdefault(key, []).append((step_s, sync_s))
        means = [[*key, *np.mean(sums[key], axis=0).tolist()] for key in sorted(sums)]
        table = np.vstack([np.array(means), self._scalability])
        return LinearNDInterpolator(table[:, :3], table[:, 3:])

    # -- what its users would ask for ---------------------------------------------------------

    def configurations(self, low: float = 0.5, high: float = 0.8) -> list[tuple[int, int]]:
        """Replicas and batch that an informed user would ask for: the best batch, as many
        replicas as are used to between `low` and `high` of their worth, done within 12 hours."""
        found = []
        alone: tuple[float, int] = (math.inf, 0)
        for replicas in (1, 2, 4, 6, 8, 12, 16, 24, 32, 48):
            if replicas * self.batches.local_smallest > self.batches.largest:
                break
            time_s, batch = self._fastest(replicas)
            if replicas == 1:
                alone = time_s, batch
            elif time_s < 12 * 3600 and low < alone[0] / time_s / replicas < high:
                found.append((replicas, batch))
        return found or [(1, alone[1])]

    def _fastest(self, replicas: int) -> tuple[float, int]:
        full, rest = divmod(replicas, GPUS_PER_NODE)
        placement = (GPUS_PER_NODE,) * full + ((rest,) if rest else ())
        best = (math.inf, 0)
        for size, iterations in zip(self._batch_sizes, self._iterations, strict=True):
            share = math.ceil(size / replicas - 1e-8)
            if share < self.batches.local_smallest:
                continue
            accumulated = math.ceil(share / self.batches.local_largest - 1e-8) - 1
            local = math.ceil(share / (accumulated + 1) - 1e-8)
            measured = self.measured(placement, local)
            step_s = measured.step_s + accumulated * (measured.step_s - measured.sync_s)
            time_s = iterations[self.epochs - 1] * step_s
            if time_s < best[0]:
                best = time_s, size
        return best
