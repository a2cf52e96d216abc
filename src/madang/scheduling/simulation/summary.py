"""A report as rows of words, for tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from madang.scheduling.simulation.report import Report, Spread

Row = tuple[str, tuple[str, ...]]

_REASONS = 3

NEVER_PLACED = "never placed"

_FIGURES: tuple[tuple[str, Callable[[Report], str]], ...] = (
    ("jobs that ended, of all", lambda r: f"{r.ended:,} of {r.jobs:,}"),
    (NEVER_PLACED, lambda r: f"{r.unplaced:,}"),
    ("virtual time", lambda r: duration(r.span_s)),
    ("GPU allocation", lambda r: percent(r.gpu_allocation)),
    ("GPU allocation while jobs arrive", lambda r: percent(r.busy_gpu_allocation)),
    ("CPU allocation", lambda r: percent(r.cpu_allocation)),
    ("wait: mean", lambda r: duration(r.wait_s.mean)),
    ("wait: p50 / p90 / p99", lambda r: spread(r.wait_s)),
    ("JCT: mean", lambda r: duration(r.completion_s.mean)),
    ("JCT: p50 / p90 / p99", lambda r: spread(r.completion_s)),
    ("worst / p99 finish-time fairness", lambda r: f"{r.worst_rho:.2f} / {r.p99_rho:.2f}"),
    ("Jain's index over queues", lambda r: f"{r.jain:.3f}"),
    ("fragments, of all GPUs", lambda r: percent(r.fragmentation)),
    ("fragments, of free GPUs", lambda r: percent(r.fragmentation_of_free)),
    ("preemptions / moves / resizes", lambda r: f"{r.preemptions:,} / {r.migrations:,} / "
                                                f"{r.resizes:,}"),
    ("work lost", lambda r: f"{r.lost_gpu_hours:,.1f} GPU hours"),
    ("expected starts: median error", lambda r: start_error(r.start_error_s)),
    ("expected starts: told to", lambda r: percent(r.start_told)),
    ("decisions a second", lambda r: f"{r.decisions_per_s:,.0f}"),
)  # fmt: skip


def never_placed(reports: Sequence[Report]) -> list[str]:
    """Lines that say why some jobs were never placed: of each scenario a few, one a reason."""
    lines = []
    for report in reports:
        jobs: dict[str, list[str]] = {}
        for job, why in report.why_unplaced.items():
            jobs.setdefault(why or "nobody knows why", []).append(job)
        prefix = f"{report.name}: " if len(reports) > 1 else ""
        for why, names in list(jobs.items())[:_REASONS]:
            some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            lines.append(f"{prefix}{some}: {why}")
        rest = report.unplaced - sum(len(names) for names in list(jobs.values())[:_REASONS])
        if rest:
            lines.append(f"{prefix}and {rest:,} more")
    return lines


def unplaced_title(reports: Sequence[Report]) -> str:
    """What those are that were not placed: of a run that was stopped nobody knows."""
    partial = any(report.partial for report in reports)
    return "not placed until it was stopped" if partial else NEVER_PLACED


def figures(reports: Sequence[Report]) -> list[Row]:
    """A row a figure, a cell a report; nothing of GPUs where there are none."""
    gpus = any(report.gpus for report in reports)
    return [
        (unplaced_title(reports) if title is NEVER_PLACED else title, tuple(map(show, reports)))
        for title, show in _FIGURES
        if gpus or "GPU" not in title
    ]


def queue_rows(reports: Sequence[Report]) -> list[Row]:
    """A row a queue: how many jobs, and for each report their waits."""
    names = sorted({name for report in reports for name in report.queues})
    rows: list[Row] = []
    for name in names:
        of = [report.queues.get(name) for report in reports]
        jobs = max((queue.jobs for queue in of if queue), default=0)
        rows.append(
            (name, (f"{jobs:,}", *(spread(queue.wait_s) if queue else "-" for queue in of)))
        )
    return rows


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def spread(values: Spread) -> str:
    return " / ".join(duration(value) for value in (values.p50, values.p90, values.p99))


def start_error(errors: Spread | None) -> str:
    return duration(errors.p50) if errors else "none was told"


def duration(seconds: float) -> str:
    """`0.35 s`, `12 min`, `3.5 h`, `12 d`: three digits, the unit that people would use."""
    for size, unit, below in (
        (1, "s", 100), (60, "min", 6000), (3600, "h", 172_800), (86_400, "d", None)
    ):  # fmt: skip
        if below is None or seconds < below:
            return f"{seconds / size:.3g} {unit}" if seconds else "0 s"
    raise AssertionError(seconds)
