"""What the scheduler must reach, measured through the product's own code: `make bench-scheduling`.

make bench-scheduling                                    everything
.venv/bin/python bench/scheduling.py kueue_generator     some of it
BENCH_SEEDS=2 BENCH_PHILLY=full make bench-scheduling    fewer seeds, all of Philly's jobs

The data is in `MADANG_SHARED_DATA`, or in `shared/data` beside the clone.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import scheduling_jct, scheduling_placement, scheduling_planner, scheduling_queues
from bench.figures import Measure, run_benchmark

MEASURES: list[Measure] = [
    *scheduling_placement.MEASURES,
    *scheduling_jct.MEASURES,
    *scheduling_queues.MEASURES,
    *scheduling_planner.MEASURES,
]

if __name__ == "__main__":
    sys.exit(run_benchmark("scheduling", MEASURES))
