"""The commands on a NAS: every round trip takes its time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from bench.figures import Figure
from bench.files_commands import (
    OPERATIONS,
    Command,
    CommandFailed,
    Operation,
    Timing,
    ceiling,
    ordinary,
    ours,
)
from bench.files_places import Nas, in_memory
from bench.files_trees import FEW, FLAT, FLAT_FEW, MILLION, NESTED, Shape

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
OF_CEILING = 80.0
NO_SLOWER = 0.95
"""What can be told from "as fast" on a busy machine."""

AT_2_MS = {
    "ls": 37, "find": 37, "du": 37, "chmod": 81, "chown": 72, "rm": 96, "cp": 50, "tar": 135,
}  # fmt: skip
AT_0_7_MS = {
    "ls": 35, "find": 35, "du": 35, "chmod": 45, "chown": 45, "rm": 40, "cp": 40, "tar": 55,
}  # fmt: skip
THREADS = {2.0: (256, 512), 0.7: (128, 256), 0.2: (64, 128)}


class _Comparison:
    """One operation at one latency. Runs take turns, so that all meet the same other load; the
    best of each counts."""

    def __init__(self, nas: Nas, operation: Operation) -> None:
        self.nas = nas
        self.operation = operation
        self.best: dict[str, Timing] = {}
        self.round_trips: dict[str, float] = {}
        self.failure = ""

    def run(self, who: str, command: Command | None, shape: Shape) -> None:
        if command is None:
            self.failure = f"madang-{self.operation.name} is not installed"
            return
        try:
            timing = self.nas.measure(self.operation, command, shape)
        except CommandFailed as failure:
            if who != "ours":
                raise
            self.failure = str(failure)
            return
        self.round_trips[who] = self.nas.round_trips / shape.files
        if who not in self.best or timing.rate > self.best[who].rate:
            self.best[who] = timing

    def run_ceiling(self, shape: Shape, counts: Sequence[int]) -> None:
        for count in counts:
            self.run(f"{count} threads", ceiling(self.operation, count), shape)

    @property
    def best_threads(self) -> str:
        found = [who for who in self.best if who.endswith("threads")]
        return max(found, key=lambda who: self.best[who].rate)

    def figures(self, where: str, target: float | None, *, of_ceiling: bool) -> list[Figure]:
        name = f"{where} {self.operation.title}"
        usual = self.best["ordinary"]
        note = f"{usual.rate:,.0f} files/s, {self.round_trips['ordinary']:.1f} round trips a file"
        if self.best.get("ours") is None or self.failure:
            return [Figure(name, 0, "×", at_least=target, note=f"{self.failure}; ordinary {note}")]
        mine = self.best["ours"]
        note = f"{note} → {mine.rate:,.0f}, {self.round_trips['ours']:.1f}"
        figures = [Figure(name, mine.rate / usual.rate, "×", at_least=target, note=note)]
        if of_ceiling:
            bare = self.best[self.best_threads]
            percent = 100 * mine.rate / bare.rate
            note = f"{bare.rate:,.0f} files/s with {self.best_threads}"
            figures.append(
                Figure("  of the ceiling", percent, "%", at_least=OF_CEILING, note=note)
            )
        return figures


def _nas(stack: ExitStack, latency_ms: float, *flags: str) -> Nas:
    return Nas(
        stack.enter_context(in_memory()), stack.enter_context(in_memory()), latency_ms, *flags
    )


def _nested(latency_ms: float, targets: dict[str, int] | None) -> list[Figure]:
    figures: list[Figure] = []
    with ExitStack() as stack:
        nas = _nas(stack, latency_ms)
        for operation in OPERATIONS:
            comparison = _Comparison(nas, operation)
            threads: Sequence[int] = THREADS[latency_ms]
            for number in range(ROUNDS if targets else 1):
                if number < 2:
                    comparison.run("ordinary", ordinary(operation), FEW)
                comparison.run("ours", ours(operation), NESTED)
                comparison.run_ceiling(NESTED, threads)
                threads = (int(comparison.best_threads.split()[0]),)
            target = targets[operation.name] if targets else None
            figures += comparison.figures(
                f"NAS {latency_ms:g} ms", target, of_ceiling=targets is not None
            )
    return figures


def nas_2_ms() -> Sequence[Figure]:
    return _nested(2.0, AT_2_MS)


def nas_0_7_ms() -> Sequence[Figure]:
    return _nested(0.7, AT_0_7_MS)


def nas_0_2_ms() -> Sequence[Figure]:
    """Shown, without a target."""
    return _nested(0.2, None)


def _flat(latency_ms: float, targets: dict[str, int]) -> list[Figure]:
    """The kernel lets one at a time create or unlink in a directory: there, no slower is all that
    can be had."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        nas = _nas(stack, latency_ms)
        for operation in OPERATIONS:
            comparison = _Comparison(nas, operation)
            is_serial = operation.name in ("rm", "cp")
            shape = FLAT_FEW if is_serial else FLAT
            for number in range(min(ROUNDS, 2)):
                comparison.run("ordinary", ordinary(operation), FLAT_FEW)
                comparison.run("ours", ours(operation), shape)
                if not is_serial and number == 0:
                    comparison.run_ceiling(shape, THREADS[latency_ms][1:])
            target = NO_SLOWER if is_serial else targets[operation.name]
            where = f"flat, NAS {latency_ms:g} ms"
            figures += comparison.figures(where, target, of_ceiling=not is_serial)
    return figures


def flat_2_ms() -> Sequence[Figure]:
    return _flat(2.0, AT_2_MS)


def flat_0_7_ms() -> Sequence[Figure]:
    return _flat(0.7, AT_0_7_MS)


def million() -> Sequence[Figure]:
    """1.2 million files, once. Not copied or archived: memory would not hold it twice."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        nas = _nas(stack, 2.0)
        for operation in OPERATIONS:
            if operation.name in ("cp", "tar"):
                continue
            comparison = _Comparison(nas, operation)
            comparison.run("ordinary", ordinary(operation), FEW)
            if operation.needs_copy and ours(operation) is not None:
                nas.give_up(MILLION)
            comparison.run("ours", ours(operation), MILLION)
            target = AT_2_MS[operation.name]
            figures += comparison.figures("1.2 million, NAS 2 ms", target, of_ceiling=False)
    return figures


def readdirplus() -> Sequence[Figure]:
    """Where attributes come with the names: shown, without a target."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        nas = _nas(stack, 0.7, "--readdirplus")
        for operation in OPERATIONS:
            if operation.name not in ("ls", "find", "du", "chmod"):
                continue
            comparison = _Comparison(nas, operation)
            comparison.run("ordinary", ordinary(operation), FEW)
            comparison.run("ours", ours(operation), NESTED)
            figures += comparison.figures("readdirplus, NAS 0.7 ms", None, of_ceiling=False)
    return figures


MEASURES = (nas_2_ms, nas_0_7_ms, nas_0_2_ms, flat_2_ms, flat_0_7_ms, million, readdirplus)
