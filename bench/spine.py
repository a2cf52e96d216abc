"""What the platform must hold, measured: `make bench-spine`.

make bench-spine                                  everything, about ten minutes
.venv/bin/python bench/spine.py idle kills        some of it
BENCH_KILLS=20 BENCH_SEED=2 make bench-spine      fewer kills, others
FUZZ_EXAMPLES=200 FUZZ_SEED=2 make bench-spine    more requests to each operation, others
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.figures import Figure, Measure, median_seconds_of_command, run_benchmark  # noqa: E402
from bench.installation import MADANG, SERVERS, Platform  # noqa: E402
from bench.spine_jobs import first_line, many_clients  # noqa: E402
from bench.spine_kills import kills  # noqa: E402
from bench.spine_lists import job_lists  # noqa: E402
from bench.spine_websocket import websocket  # noqa: E402

IDLE_S = 20
SETTLE_S = 8
"""The portal is loaded after the platform answers; idle begins when that is done."""


def help_time() -> Sequence[Figure]:
    took = median_seconds_of_command(MADANG, "--help")
    return [Figure("madang --help, median", took, "s", at_most=0.3)]


def idle() -> Sequence[Figure]:
    """Ready to answer, then nothing to do."""
    with Platform.started() as platform:
        time.sleep(SETTLE_S)
        processes = platform.processes()
        missing = set(SERVERS) - set(processes)
        assert not missing, f"not running: {missing}"
        before = sum(sum(process.cpu_times()[:2]) for process in processes.values())
        time.sleep(IDLE_S)
        used = sum(sum(process.cpu_times()[:2]) for process in processes.values()) - before
        resident = {name: process.memory_info().rss / 2**20 for name, process in processes.items()}
    note = ", ".join(f"{name} {size:.0f}" for name, size in sorted(resident.items()))
    return [
        Figure("`madang up` to the first answer", platform.started_s, "s", at_most=4),
        Figure("idle: resident, all processes", sum(resident.values()), "MiB", at_most=300,
               note=note),
        Figure("idle: share of a core", 100 * used / IDLE_S, "%", at_most=2),
    ]  # fmt: skip


def isolation() -> Sequence[Figure]:
    """Attacks between two users' tasks: each fails, and succeeds without its protection."""
    return [
        _failures("attacks between tasks that got through", "tests/server/cluster", "isolation")
    ]


def fuzzing() -> Sequence[Figure]:
    """The API called with what its own description allows and does not allow."""
    os.environ.setdefault("FUZZ_EXAMPLES", "40")
    return [_failures("routes answering 5xx when fuzzed", "tests/server/api", "fuzz")]


def _failures(what: str, folder: str, keyword: str) -> Figure:
    command = [sys.executable, "-m", "pytest", "-q", "-x", folder, "-k", keyword]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    last = result.stdout.strip().splitlines()[-1] if result.stdout.strip() else result.stderr
    assert result.returncode in (0, 1), last  # anything else ran no test at all
    return Figure(what, result.returncode, "", at_most=0, note=last.strip("= "))


MEASURES: list[Measure] = [
    help_time,
    idle,
    first_line,
    job_lists,
    many_clients,
    kills,
    websocket,
    isolation,
    fuzzing,
]

if __name__ == "__main__":
    sys.exit(run_benchmark("spine", MEASURES))
