"""The commands on this machine: its disk and its memory, and what they need of them."""

from __future__ import annotations

import os
import re
import select
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.figures import Figure
from bench.files_commands import (
    ALL_OPERATIONS,
    OPERATIONS,
    Command,
    CommandFailed,
    Operation,
    Run,
    missing_peers,
    ordinary,
    ours,
    peers,
    timed,
)
from bench.files_nas import NO_SLOWER
from bench.files_places import Disk, Memory, Place, in_memory, on_disk
from bench.files_trees import FLAT, NESTED, SMALL, Shape, make_large

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SMALL_ROUNDS = 40

WARM = {
    "ls": 2, "find": 1.2, "du": 1, "chmod": 1.5, "chown": 1.5, "rm": 0.95, "cp": 0.95, "tar": 1,
}  # fmt: skip


def _compare(
    place: Place, operation: Operation, shape: Shape, rounds: int, others: Sequence[Command]
) -> tuple[dict[str, list[float]], str]:
    """Seconds of each round by command, ours first; and what went wrong."""
    mine = ours(operation)
    if mine is None:
        return {}, f"madang-{operation.name} is not installed"
    commands = [mine, *others]
    taken: dict[str, list[float]] = {command.label: [] for command in commands}
    if operation.needs_copy:
        place.stock(shape, rounds * len(commands))
    for number in range(rounds):
        for command in commands if number % 2 == 0 else reversed(commands):
            try:
                taken[command.label].append(place.measure(operation, command, shape).seconds)
            except CommandFailed as failure:
                if command is mine:
                    return {}, str(failure)
                taken.pop(command.label, None)  # a peer that cannot do it is no peer
                commands = [other for other in commands if other is not command]
    return taken, ""


def _figure(
    name: str, operation: Operation, taken: dict[str, list[float]], failure: str, target: float
) -> Figure:
    """The best run of each counts: whatever else runs here only ever takes time."""
    if failure:
        return Figure(name, 0, "×", at_least=target, note=failure)
    best = {label: min(seconds) for label, seconds in taken.items()}
    mine = best.pop(f"madang-{operation.name}")
    peer = min(best, key=lambda label: best[label])
    note = ", ".join(f"{label} {seconds:.3f} s" for label, seconds in best.items())
    note = f"{mine:.3f} s; {note}{missing_peers(operation)}"
    return Figure(name, best[peer] / mine, f"× {peer}", at_least=target, note=note)


def _warm(where: str, place: Place) -> list[Figure]:
    figures = []
    for operation in OPERATIONS:
        uses_up = operation.needs_copy or operation.makes_copy
        others = [ordinary(operation), *peers(operation)]
        taken, failure = _compare(place, operation, NESTED, 3 if uses_up else ROUNDS, others)
        name = f"{where}, warm, {operation.title}"
        figures.append(_figure(name, operation, taken, failure, WARM[operation.name]))
    return figures


def memory_warm() -> Sequence[Figure]:
    with in_memory() as folder, in_memory() as scratch:
        return _warm("tmpfs", Memory(folder, scratch))


def disk_warm() -> Sequence[Figure]:
    with on_disk() as folder, in_memory() as scratch:
        return _warm("disk", Disk(folder, scratch))


def disk_cold() -> Sequence[Figure]:
    """Nothing of the tree in the caches; against the ordinary command."""
    figures = []
    with on_disk() as folder, in_memory() as scratch:
        place = Disk(folder, scratch, cold=True)
        for operation in OPERATIONS:
            taken, failure = _compare(place, operation, NESTED, 2, [ordinary(operation)])
            name = f"disk, cold, {operation.title}"
            figures.append(_figure(name, operation, taken, failure, NO_SLOWER))
    return figures


def small_tree() -> Sequence[Figure]:
    """100 files: it is the start of the program that counts. Medians, as no run stands out."""
    figures = []
    with in_memory() as folder, in_memory() as scratch:
        place = Memory(folder, scratch)
        for operation in OPERATIONS:
            taken, failure = _compare(place, operation, SMALL, SMALL_ROUNDS, [ordinary(operation)])
            medians = {label: [statistics.median(seconds)] for label, seconds in taken.items()}
            name = f"100 files, {operation.title}"
            figures.append(_figure(name, operation, medians, failure, NO_SLOWER))
    return figures


def flat_local() -> Sequence[Figure]:
    """One directory of 20,000 files, in memory and warm."""
    figures = []
    with in_memory() as folder, in_memory() as scratch:
        place = Memory(folder, scratch)
        for operation in OPERATIONS:
            others = [ordinary(operation), *peers(operation)]
            taken, failure = _compare(place, operation, FLAT, ROUNDS, others)
            name = f"flat, tmpfs, {operation.title}"
            figures.append(_figure(name, operation, taken, failure, WARM[operation.name]))
    return figures


LARGE_FILES, LARGE_BYTES = 2, 256 << 20


def large_files() -> Sequence[Figure]:
    """Copying large files must take what the disk takes to write them."""
    operation = next(each for each in ALL_OPERATIONS if each.name == "cp")
    mine = ours(operation)
    if mine is None:
        note = "madang-cp is not installed"
        return [Figure("disk, large files, cp -r", 0, "× dd", at_least=0.9, note=note)]
    with on_disk() as folder, in_memory() as scratch:
        source = folder / "large"
        make_large(source, files=LARGE_FILES, size=LARGE_BYTES)
        files = sorted(source.iterdir())

        def words(label: str, copy: Path) -> list[list[str]]:
            if label != "dd":
                program = mine.program if label == mine.label else ordinary(operation).program
                return [[program, "-r", str(source), str(copy)]]
            copy.mkdir()
            dd = ["/bin/dd", "bs=4M", "status=none"]
            return [[*dd, f"if={file}", f"of={copy / file.name}"] for file in files]

        # A disk that is lent by the second is fast at first: each has each turn once.
        labels = [mine.label, "cp", "dd"]
        taken: dict[str, list[float]] = {label: [] for label in labels}
        for number in range(3):
            for label in labels[number:] + labels[:number]:
                copy = folder / f"{label}{number}"
                os.sync()
                sync = ["/bin/sync", "-f", str(folder)]
                commands = [*words(label, copy), sync]
                taken[label].append(sum(timed(each, scratch / "output") for each in commands))
                if (
                    sum(file.stat().st_size for file in copy.iterdir())
                    != LARGE_FILES * LARGE_BYTES
                ):
                    raise CommandFailed(f"{label} did not copy the large files")
    best = {label: min(seconds) for label, seconds in taken.items()}
    megabytes = LARGE_FILES * LARGE_BYTES / 1e6
    note = ", ".join(f"{label} {megabytes / seconds:,.0f} MB/s" for label, seconds in best.items())
    of_dd, of_cp = (best[label] / best[mine.label] for label in ("dd", "cp"))
    return [
        Figure("disk, large files, cp -r", of_dd, "× dd", at_least=0.9, note=note),
        Figure("  against cp", of_cp, "×", at_least=NO_SLOWER),
    ]


MOUNTS, MOUNTED = 100, Shape(2, 5, 10_000, holes=True)


def memory() -> Sequence[Figure]:
    """10 million entries: one tree of 100,000 files, mounted in a hundred places."""
    figures = []
    with ExitStack() as stack:
        folder, scratch = stack.enter_context(in_memory()), stack.enter_context(in_memory())
        MOUNTED.make(folder / "tree")
        root = folder / "root"
        for number in range(MOUNTS):
            (root / f"{number:03}").mkdir(parents=True)
            subprocess.run(["mount", "--bind", folder / "tree", root / f"{number:03}"], check=True)
        shape = Shape(MOUNTS, MOUNTED.outer * MOUNTED.inner, MOUNTED.each)
        for operation in OPERATIONS:
            if not operation.only_prints:
                continue
            name = f"memory at {shape.files / 1e6:g} million entries, {operation.title}"
            mine = ours(operation)
            if mine is None:
                note = f"madang-{operation.name} is not installed"
                figures.append(Figure(name, float("inf"), "MiB", at_most=200, note=note))
                continue
            nothing = scratch / "nothing"
            run = Run(shape, root, nothing, nothing, nothing, turn=1)
            mebibytes, lines = _peak_mebibytes(mine.words(run))
            note = f"{lines:,} lines"
            figures.append(Figure(name, mebibytes, "MiB", at_most=200, note=note))
    return figures


def _peak_mebibytes(words: Sequence[str]) -> tuple[float, int]:
    """The most memory it ever had resident, and how many lines it printed."""
    lines = 0
    peak = 0.0
    with subprocess.Popen(words, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        status = Path(f"/proc/{process.pid}/status")
        while True:
            found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
            if found:
                peak = max(peak, int(found[1]) / 1024)
            if select.select([process.stdout], [], [], 0.05)[0]:
                piece = process.stdout.read(1 << 20)
                if not piece:
                    return peak, lines
                lines += piece.count(b"\n")


FEWEST = {
    "ls": (1, "statx"),
    "find": (1, "statx"),
    "du": (1, "statx"),
    "chmod": (1, "fchmodat"),
    "chown": (1, "fchownat"),
    "rm": (1, "unlinkat"),
    "cp": (6, "2 openat, read, write, 2 close"),
    "tar": (4, "openat, statx, read, close"),
}


def system_calls() -> Sequence[Figure]:
    """By strace, on a tree of 4,000 files; beside the fewest that can do it. Shown, no target."""
    shape = Shape(10, 10, 40)
    figures = []
    with in_memory() as folder, in_memory() as scratch:
        place = Memory(folder, scratch)
        for operation in OPERATIONS:
            calls = {}
            for command in (ordinary(operation), ours(operation)):
                if command is not None:
                    calls[command.label] = _calls(place, operation, command, shape)
            mine = calls.pop(f"madang-{operation.name}", float("nan"))
            fewest, which = FEWEST[operation.name]
            note = f"fewest {fewest} ({which}); ordinary {calls[operation.name]:.2f}"
            figures.append(Figure(f"calls a file, {operation.title}", mine, "", note=note))
    return figures


def _calls(place: Place, operation: Operation, command: Command, shape: Shape) -> float:
    with tempfile.NamedTemporaryFile(mode="r") as summary:
        traced = Command(
            command.label,
            "/usr/bin/strace",
            lambda run: ["-f", "-c", "-qq", "-U", "calls,name", "-o", summary.name,
                         *command.words(run)],
        )  # fmt: skip
        place.measure(operation, traced, shape)
        total = [line for line in summary.read().splitlines() if line.endswith("total")]
    return int(total[-1].split()[0]) / shape.files


MEASURES = (
    disk_warm,
    memory_warm,
    flat_local,
    disk_cold,
    small_tree,
    large_files,
    memory,
    system_calls,
)
