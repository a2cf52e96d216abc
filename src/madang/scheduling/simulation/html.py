"""The report as one HTML page: figures, charts in SVG, and the numbers behind each as a table.

It loads nothing from anywhere, follows the reader's light or dark setting, prints, and says in
words and in shape (dashes, marks) what it says in colour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from madang.core.resources import MILLI
from madang.scheduling.simulation import charts
from madang.scheduling.simulation.charts import Line, Range
from madang.scheduling.simulation.fragments import NodeState
from madang.scheduling.simulation.report import Report
from madang.scheduling.simulation.summary import duration, figures, queue_rows, unplaced_title

_MOST_QUEUES = 40

Curves = Mapping[str, Mapping[str, float]]

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1a1c21; --soft: #5a6070; --rule: #d8dbe2;
  --s0: #2459c4; --s1: #b4480a; --s2: #10745a; --s3: #8a3ba8; --s4: #7a6200; --s5: #b3215c;
  --c0: #e4e8f0; --c1: #b9cdf3; --c2: #7fa2e6; --c3: #4472cf; --c4: #1c3f96; --mark: #b4480a; }
@media (prefers-color-scheme: dark) { :root { --ground: #14161b; --ink: #eceef3; --soft: #a7adbd;
  --rule: #353a46; --s0: #8db0ff; --s1: #ff9f5f; --s2: #58d0ad; --s3: #d9a0f5; --s4: #dcc04a;
  --s5: #ff8fb8; --c0: #2a2f3b; --c1: #26406f; --c2: #3a62ac; --c3: #6a94e6; --c4: #b8d0ff;
  --mark: #ff9f5f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 68rem; background: var(--ground);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
p { margin: .25rem 0 .75rem; } .soft { color: var(--soft); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--rule);
  white-space: nowrap; }
th:first-child, td:first-child, .words th, .words td { text-align: left; }
.words td { white-space: normal; min-width: 5rem; vertical-align: top; }
thead th { color: var(--soft);
  font-weight: 600; vertical-align: bottom; }
.scroll { overflow-x: auto; } summary { cursor: pointer; color: var(--soft); margin: .5rem 0; }
summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--s0); outline-offset: 2px; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font: 12px
  system-ui, sans-serif; } .grid { stroke: var(--rule); } .axis { stroke: var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; margin: .25rem 0 .5rem; padding: 0;
  list-style: none; font-size: .9rem; }
.legend li { display: flex; align-items: center; gap: .4rem; }
.legend svg { width: 28px; height: 12px; } .note { border-left: 3px solid var(--mark);
  padding-left: .75rem; }
@media (max-width: 40rem) { th:first-child { white-space: normal; }
  section { overflow-x: auto; } section > svg { min-width: 36rem; } }
@media print { body { max-width: none; } details { display: none; } }
"""

_LEVELS = ("free", "up to a third held", "up to two thirds held", "partly held", "fully held")


def render(reports: Sequence[Report], notes: Iterable[str] = ()) -> str:
    """The whole page, for one scenario or several side by side."""
    title = f"Simulation: {reports[0].name}" if len(reports) == 1 else "Simulations compared"
    partial = [report.name for report in reports if report.partial]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p class=soft>{_headline(reports)}</p>",
        f"<p class=note>Stopped before the end: {escape(', '.join(partial))}.</p>"
        if partial
        else "",
        *(f"<p class=note>{escape(note)}</p>" for note in notes),
        _section("Figures", _table(["", *_names(reports)], figures(reports))),
        _allocation(reports),
        _waiting(reports),
        _queue_waits(reports),
        *(_fragments(report, len(reports) > 1) for report in reports),
        _unplaced(reports),
    ]
    return _page(title, parts)


def render_arrivals(rows: Iterable[tuple[str, Sequence[str]]], curves: Curves) -> str:
    """The page of replays in which requests only arrive: how much is allocated after how much
    was asked for; `curves` are percent by percent."""
    lines = [
        Line(name, 1.0, [values.get(str(at), 0.0) for at in range(1 + max(map(int, values)))])
        for name, values in curves.items()
    ]
    told = "; ".join(f"{line.name}: {line.values[-1]:.2f} % at the end" for line in lines)
    chart = charts.lines(
        lines, f"Allocated GPUs over what was asked for, in percent. {told}.", "%", 100.0, _percent
    )
    numbers = [
        (
            f"{at} %",
            [f"{values[str(at)]:.2f}" if str(at) in values else "" for values in curves.values()],
        )
        for at in range(0, 301, 10)
        if any(str(at) in values for values in curves.values())
    ]
    return _page(
        "Simulation: allocation as requests arrive",
        [
            "<h1>Allocation as requests arrive</h1>",
            _section("Figures", _table(["", *curves], rows)),
            _section(
                "GPU allocation over what was asked for",
                _legend(list(curves))
                + chart
                + _details("The numbers", _table(["asked for", *curves], numbers)),
            ),
        ],
    )


def _percent(value: float) -> str:
    return f"{value:.0f} %"


def _page(title: str, parts: Iterable[str]) -> str:
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _headline(reports: Sequence[Report]) -> str:
    first = reports[0]
    return (
        f"{first.jobs:,} jobs over {duration(first.span_s)} of virtual time; "
        f"{sum(report.decisions for report in reports):,} decisions in "
        f"{sum(report.planner_s for report in reports):,.1f} s."
    )


# -- sections -------------------------------------------------------------------------------------


def _allocation(reports: Sequence[Report]) -> str:
    gpus = any(any(report.curve.gpu) for report in reports)
    what = "GPU" if gpus else "CPU"
    lines = [
        Line(
            report.name,
            report.curve.step_s,
            [100 * share for share in (report.curve.gpu if gpus else report.curve.cpu)],
        )
        for report in reports
    ]
    means = "; ".join(
        f"{report.name}: {100 * (report.gpu_allocation if gpus else report.cpu_allocation):.1f} %"
        for report in reports
    )
    chart = charts.lines(
        lines, f"{what}s held over time, in percent of all. Mean of {means}.", "%", top=100.0
    )
    return _section(
        f"{what} allocation over time",
        _legend(_names(reports)) + chart + _numbers(lines, f"{what}s held, %"),
    )


def _waiting(reports: Sequence[Report]) -> str:
    lines = [Line(report.name, report.curve.step_s, report.curve.waiting) for report in reports]
    most = max((value for line in lines for value in line.values), default=0.0)
    if not most:
        return ""
    chart = charts.lines(lines, f"How many jobs waited over time, at most {most:,.0f}.", "")
    return _section(
        "Jobs waiting", _legend(_names(reports)) + chart + _numbers(lines, "jobs waiting")
    )


def _queue_waits(reports: Sequence[Report]) -> str:
    names = sorted(
        {name for report in reports for name in report.queues},
        key=lambda name: -max(r.queues[name].jobs for r in reports if name in r.queues),
    )
    shown = names[:_MOST_QUEUES]
    rows = [
        Range(
            name if position == 0 else "",
            (report.queues[name].wait_s.p50, report.queues[name].wait_s.p90,
             report.queues[name].wait_s.p99),
            reports.index(report),
        )
        for name in shown
        for position, report in enumerate(r for r in reports if name in r.queues)
    ]  # fmt: skip
    chart = charts.ranges(rows, "Waits of each queue: median, p90, p99; logarithmic scale.")
    head = ["queue", "jobs", *(f"wait p50 / p90 / p99: {name}" for name in _names(reports))]
    more = f" The {len(shown)} largest of {len(names)}." if len(names) > len(shown) else ""
    text = f"<p class=soft>Each line: median (|), p90 (o), p99 (x).{more}</p>"
    table = _details("The numbers", _table(head, queue_rows(reports)))
    return _section("Waits by queue", _legend(_names(reports)) + text + chart + table)


def _fragments(report: Report, named: bool) -> str:
    if not report.map:
        return ""
    cells = [[level_of(milli) for _, milli in sorted(s.gpu_milli.items())] for s in report.map]
    cells = sorted((row for row in cells if row), key=lambda row: (len(row), sum(row), row))
    counts = Counter(level for row in cells for level in row)
    total = sum(counts.values())
    told = ", ".join(f"{_LEVELS[level]}: {counts[level]:,}" for level in range(len(_LEVELS)))
    legend = "".join(
        f'<li><svg viewBox="0 0 28 12" aria-hidden="true"><rect width="28" height="12" '
        f'style="fill:var(--c{level})"/></svg>{words} ({counts[level]:,})</li>'
        for level, words in enumerate(_LEVELS)
    )
    chart = charts.cells(cells, f"{total:,} GPUs when most was fragmented. {told}.")
    name = f": {escape(report.name)}" if named else ""
    words = (
        "<p class=soft>Each row of cells is a node, each cell a GPU, at the moment, while jobs "
        "waited, at which most of what was free was of no use to what is asked for. On average "
        f"over time {100 * report.fragmentation:.2f} % of all GPUs were such fragments, and "
        f"{100 * report.fragmentation_of_free:.1f} % of the free ones.</p>"
    )
    by_model = _details("The numbers", _models(report.map))
    return _section(
        f"Fragment map{name}", words + f"<ul class=legend>{legend}</ul>" + chart + by_model
    )


def _models(states: Iterable[NodeState]) -> str:
    counts: dict[str, Counter[str]] = {}
    for state in states:
        of = counts.setdefault(state.model or "GPU", Counter())
        for milli in state.gpu_milli.values():
            of["all"] += 1
            of["free" if milli == MILLI else "held" if milli <= 0 else "partly"] += 1
    rows = [
        (model, tuple(f"{of[name]:,}" for name in ("all", "free", "partly", "held")))
        for model, of in sorted(counts.items())
    ]
    return _table(["model", "GPUs", "free", "partly held", "fully held"], rows)


def _unplaced(reports: Sequence[Report]) -> str:
    rows = [
        (job, (report.name, why)) for report in reports for job, why in report.why_unplaced.items()
    ]
    table = _table(["job", "scenario", "why"], rows, "words")
    return _section(unplaced_title(reports).capitalize(), table) if rows else ""


# -- parts ----------------------------------------------------------------------------------------


def level_of(free_milli: int) -> int:
    """Which of `_LEVELS` a GPU is, by what is free of it."""
    held = MILLI - free_milli
    if held <= 0:
        return 0
    return min(4, 1 + 3 * held // MILLI) if held < MILLI else 4


def _names(reports: Sequence[Report]) -> list[str]:
    return [report.name + (" (partial)" if report.partial else "") for report in reports]


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{body}\n</section>"


def _legend(names: Sequence[str]) -> str:
    if len(names) == 1:
        return ""
    items = "".join(
        f'<li><svg viewBox="0 0 28 12" aria-hidden="true"><path d="M0 6h28" '
        f'style="{charts.stroke(position)}"/></svg>{escape(name)}</li>'
        for position, name in enumerate(names)
    )
    return f"<ul class=legend>{items}</ul>"


def _table(
    head: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], kind: str = "numbers"
) -> str:
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    lines = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, cells in rows
    )
    return (
        '<div class=scroll tabindex="0" role="region" aria-label="Table">'
        f"<table class={kind}><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _numbers(lines: Sequence[Line], what: str) -> str:
    """A chart's curve at twenty moments."""
    count = max((len(line.values) for line in lines), default=0)
    rows = []
    for position in range(0, count, max(1, count // 20)):
        cells = [
            f"{line.values[position]:,.1f}" if position < len(line.values) else ""
            for line in lines
        ]
        rows.append((duration(position * lines[0].step_s), cells))
    head = ["after", *(f"{what}: {line.name}" for line in lines)]
    return _details("The numbers", _table(head, rows))


def _details(title: str, body: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{body}</details>"
