"""Charts as inline SVG: lines over time, ranges on a logarithmic scale, cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from madang.scheduling.simulation.summary import duration

_DASHES = ("", "7 4", "2 3", "10 3 2 3", "4 2 1 2", "12 4")
"""A line's second sign beside its colour."""
_COLOURS = 6

_WIDTH, _LEFT, _RIGHT = 900, 110, 16
_TOP, _HEIGHT, _BOTTOM = 10, 220, 26
_ROW, _GAP = 18, 6
_CELL, _LARGE_CELL, _FEW_NODES = 9, 16, 80

_STEPS = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)
_SECONDS = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0, 86_400.0, 604_800.0, 3e6)
_NICE_SECONDS = (
    0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
    172_800, 432_000, 864_000, 1_728_000, 4_320_000, 8_640_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """Values at equal steps from the beginning on."""

    name: str
    step_s: float
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Range:
    """Median, p90 and p99, in seconds, in the colour of scenario `series`."""

    name: str
    values: tuple[float, float, float]
    series: int


def stroke(series: int) -> str:
    """The style of a scenario's lines."""
    dash = _DASHES[series % len(_DASHES)]
    dashes = f";stroke-dasharray:{dash}" if dash else ""
    return f"stroke:var(--s{series % _COLOURS});stroke-width:2;fill:none{dashes}"


def lines(
    series: Sequence[Line],
    told: str,
    unit: str,
    top: float | None = None,
    across: Callable[[float], str] = duration,
) -> str:
    """Lines over time (or what `across` puts in words), from zero to `top`, or to a round number
    above all."""
    span_s = max((line.step_s * len(line.values) for line in series), default=1.0) or 1.0
    highest = top or _round_up(max((v for line in series for v in line.values), default=1.0))
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT

    def x(seconds: float) -> float:
        return _LEFT + width * seconds / span_s

    def y(value: float) -> float:
        return _TOP + height * (1 - value / highest)

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at, text = y(highest * share), f"{highest * share:,.4g}{' ' + unit if unit else ''}"
        parts.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    for seconds in _time_ticks(span_s):
        parts.append(
            f'<text x="{x(seconds):.1f}" y="{_TOP + height + 18}" text-anchor="middle">'
            f"{across(seconds)}</text>"
        )
    for number, line in enumerate(series):
        points = " ".join(
            f"{x((position + 0.5) * line.step_s):.1f},{y(value):.1f}"
            for position, value in enumerate(line.values)
        )
        parts.append(f'<polyline points="{points}" style="{stroke(number)}"/>')
    return _svg(_TOP + height + _BOTTOM, told, parts)


def ranges(rows: Sequence[Range], told: str) -> str:
    """A line a row from median to p99; what is below a hundredth of a second is at the left."""
    left = 150
    width = _WIDTH - left - _RIGHT
    highest = max((max(row.values) for row in rows), default=1.0)
    ticks = [tick for tick in _SECONDS if tick <= max(1.0, highest) * 3]
    low, high = math.log10(_SECONDS[0]), math.log10(max(ticks[-1], highest))

    def x(seconds: float) -> float:
        return left + width * (math.log10(max(seconds, _SECONDS[0])) - low) / (high - low)

    bottom = _TOP + _ROW * len(rows)
    parts = []
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{x(tick):.1f} {_TOP}V{bottom}"/>')
        parts.append(
            f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">'
            f"{'≤ ' if tick == ticks[0] else ''}{duration(tick)}</text>"
        )
    for number, row in enumerate(rows):
        at = _TOP + _ROW * (number + 0.5)
        parts.append(_range(row, at, left, [x(value) for value in row.values]))
    return _svg(bottom + _BOTTOM, told, parts)


def _range(row: Range, at: float, left: int, xs: Sequence[float]) -> str:
    p50, p90, p99 = xs
    style = stroke(row.series)
    solid = f"stroke:var(--s{row.series % _COLOURS});stroke-width:2;fill:none"
    name = row.name if len(row.name) <= 20 else row.name[:19] + "…"
    words = " / ".join(duration(value) for value in row.values)
    return (
        f"<g><title>{escape(row.name)} {words}</title>"
        f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{escape(name)}</text>'
        f'<path d="M{p50:.1f} {at:.1f}H{p99:.1f}" style="{style}"/>'
        f'<path d="M{p50:.1f} {at - 5:.1f}v10" style="{solid}"/>'
        f'<circle cx="{p90:.1f}" cy="{at:.1f}" r="4" style="{solid}"/>'
        f'<path d="M{p99 - 4:.1f} {at - 4:.1f}l8 8m0 -8l-8 8" style="{solid}"/></g>'
    )


def cells(rows: Sequence[Sequence[int]], told: str) -> str:
    """Nodes as rows of cells, in as many columns as there is room for; a cell's number is its
    shade. Cells of one shade are one path, so that a thousand nodes stay a small page."""
    widest = max((len(row) for row in rows), default=1)
    cell = _LARGE_CELL if len(rows) <= _FEW_NODES else _CELL
    pitch = widest * cell + _GAP
    columns = max(1, (_WIDTH - _GAP) // pitch)
    deep = -(-len(rows) // columns)
    shades: dict[int, list[str]] = {}
    for number, row in enumerate(rows):
        left = _GAP + (number // deep) * pitch
        top = _TOP + (number % deep) * (cell + 2)
        for position, level in enumerate(row):
            side = cell - 1
            shades.setdefault(level, []).append(
                f"M{left + position * cell} {top}h{side}v{side}h-{side}z"
            )
    parts = [
        f'<path d="{"".join(found)}" style="fill:var(--c{level})"/>'
        for level, found in sorted(shades.items())
    ]
    return _svg(_TOP + deep * (cell + 2) + _GAP, told, parts)


def _svg(height: float, told: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{escape(told)}">'
        + "".join(parts)
        + "</svg>"
    )


def _round_up(value: float) -> float:
    """The next of `_STEPS` times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value)


def _time_ticks(span_s: float) -> list[float]:
    step = next((step for step in _NICE_SECONDS if span_s / step <= 8), span_s / 6)
    return [step * number for number in range(int(span_s / step) + 1)]
