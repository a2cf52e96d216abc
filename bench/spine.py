"""What the platform must hold, measured: `make bench-spine`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.figures import Figure, Measure, median_seconds_of_command, run_benchmark

MADANG = Path(sys.executable).with_name("madang")


def help_time() -> Sequence[Figure]:
    took = median_seconds_of_command(MADANG, "--help")
    return [Figure("madang --help, median", took, "s", at_most=0.3)]


MEASURES: list[Measure] = [help_time]

if __name__ == "__main__":
    sys.exit(run_benchmark("spine", MEASURES))
