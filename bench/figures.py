"""Figures that must hold: measured, and printed beside what they must be."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """`at_most` or `at_least` is what `measured` must hold; with neither it is only shown."""

    name: str
    measured: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool:
        above = self.at_most is not None and self.measured > self.at_most
        below = self.at_least is not None and self.measured < self.at_least
        return not (above or below)

    @property
    def must_be(self) -> str:
        if self.at_most is not None:
            return f"≤ {self.at_most:g} {self.unit}"
        return "" if self.at_least is None else f"≥ {self.at_least:g} {self.unit}"


Measure = Callable[[], Sequence[Figure]]


def run_benchmark(name: str, measures: Sequence[Measure]) -> int:
    """Run the measures (those named on the command line, else all); 1 when a figure falls short.

    What was measured is also written to `bench/results/NAME-TIME.json`.
    """
    wanted = set(sys.argv[1:])
    by_name = {measure.__name__: measure for measure in measures}
    if wanted - by_name.keys():
        sys.exit(
            f"no such measure: {', '.join(sorted(wanted - by_name.keys()))}; there are "
            f"{', '.join(by_name)}"
        )
    figures: list[Figure] = []
    for measure_name, measure in by_name.items():
        if not wanted or measure_name in wanted:
            found = measure()
            figures.extend(found)
            if len(by_name) > 1:
                print_figures(measure_name, found)
    if len(by_name) == 1:
        print_figures(name, figures)
    write_results(name, figures)
    return 0 if all(figure.holds for figure in figures) else 1


def print_figures(title: str, figures: Sequence[Figure]) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_column("must be", justify="right")
    table.add_column("")
    table.add_column("note")
    for figure in figures:
        mark = "" if not figure.must_be else "ok" if figure.holds else "[red]FALLS SHORT[/red]"
        measured = f"{figure.measured:.4g} {figure.unit}"
        table.add_row(figure.name, measured, figure.must_be, mark, figure.note)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def write_results(name: str, figures: Sequence[Figure]) -> None:
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"{name}-{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")


def seconds_of(action: Callable[[], object], *, repeats: int, warmups: int = 1) -> list[float]:
    """How long each of `repeats` runs took, after `warmups` that are not counted."""
    for _ in range(warmups):
        action()
    durations = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        durations.append(time.perf_counter() - started)
    return durations


def median_seconds_of_command(*command: str | Path, repeats: int = 10) -> float:
    """The median time of a command that must succeed, its output thrown away."""

    def run() -> None:
        subprocess.run(command, check=True, capture_output=True)

    return statistics.median(seconds_of(run, repeats=repeats))
