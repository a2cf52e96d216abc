"""The parallel file commands beside the ordinary ones, on a slow NAS and on this machine.

    make bench-files                                  everything, in less than twenty minutes
    .venv/bin/python bench/files.py nas_2_ms memory   some of it
    BENCH_COMMANDS="ls tar" …                         some of the commands
    BENCH_FIRST=1 …                                   before all else that runs on this machine
    BENCH_ROUNDS=1 BENCH_DISK=/mnt/disk …             fewer rounds, a folder on another disk

The NAS is a FUSE file system of the benchmark's own (bench/files/latency_fs.cpp) over a tmpfs.
Each of its round trips takes 2, 0.7 or 0.2 ms; attributes are trusted for 3 s and do not come with
the names of a directory (`readdirplus` shows what is left where they do). The ceiling is a program
of threads with the bare system calls (bench/files/ceiling.cpp), measured in the same run. Needs
root.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import files_local, files_nas
from bench.figures import Measure, run_benchmark

MEASURES: list[Measure] = [*files_nas.MEASURES, *files_local.MEASURES]


def go_first() -> None:
    """What else wants the processors waits while a command or the NAS wants them."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


if __name__ == "__main__":
    if os.environ.get("BENCH_FIRST"):
        go_first()
    sys.exit(run_benchmark("files", MEASURES))
