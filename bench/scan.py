"""`madang.files.scan` beside what people use: os.walk with lstat, and find(1).

    make bench-scan          on the trees /usr and the current folder

Warm caches: what is compared is the work, not the disk.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.figures import Figure, run_benchmark, seconds_of
from madang.files import scan


def walk(root: str) -> int:
    found = 0
    for folder, subfolders, files in os.walk(root):
        for name in subfolders + files:
            os.lstat(os.path.join(folder, name))
            found += 1
    return found


def find(root: str) -> None:
    command = ["find", root, "-mindepth", "1", "-printf", "%P %s %T@ %m\\0"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def compare(root: str) -> Sequence[Figure]:
    def median_s(action: Callable[[], object]) -> float:
        return statistics.median(seconds_of(action, repeats=5))

    entries = len(scan(root))
    ours = median_s(lambda: scan(root))
    one_thread = median_s(lambda: scan(root, threads=1))
    peers = {"os.walk": median_s(lambda: walk(root)), "find": median_s(lambda: find(root))}
    where = f"{root}, {entries:,} entries"
    return [
        Figure(f"scan {where}", ours, "s", note=f"{entries / ours:,.0f} entries/s"),
        Figure("  with one thread", one_thread, "s"),
        *(
            Figure(f"  {name} takes", took / ours, "times as long", note=f"{took:.3f} s")
            for name, took in peers.items()
        ),
    ]


def usr() -> Sequence[Figure]:
    return compare("/usr")


def here() -> Sequence[Figure]:
    return compare(".")


if __name__ == "__main__":
    sys.exit(run_benchmark("scan", [usr, here]))
