"""What was: how much was held over time, and how long each queue's jobs waited."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from html import escape
from typing import Any

from nicegui import ui

from madang.schemas.scheduling import QueueHistory, ResourceHistory, SchedulingHistory
from madang.server.portal.charts import GREY, PALETTE, raw_numbers, time_chart
from madang.server.portal.components import html, note, plain_table, with_attributes
from madang.server.portal.live import refresh_on
from madang.server.portal.queue_tree import all_queues
from madang.server.portal.session import PortalSession

RANGES = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
POINTS = 240
"""Steps of a chart, whatever the range."""

LEAST_STEP_S = 15.0
QUEUES = 8
"""Lines of queues in a chart; the others are in its numbers."""

MINUTES_FROM_S = 120.0
"""Longer waits are drawn in minutes."""

QUIET_S = 15.0
GIB = 2**30


async def history_tab(session: PortalSession, state: ui.html) -> None:
    say = session.say
    chosen = session.query.get("range", "1d")
    span = RANGES.get(chosen, RANGES["1d"])
    _range_bar(session, chosen if chosen in RANGES else "1d")
    body = ui.element("div")
    charts: dict[str, ui.echart] = {}

    async def draw() -> None:
        history = await _history(session, span)
        state.set_content(escape(_sentence(session, history)))
        fresh = _charts(session, history)
        if charts and fresh.keys() == charts.keys():
            for name, (_, options, _) in fresh.items():
                charts[name].options["series"] = options["series"]
                charts[name].update()
            return
        body.clear()
        charts.clear()
        with body:
            if not fresh:
                note(say("No history yet"), say("It begins with the first node and job."))
            with ui.element("div").classes("m-history"):
                for name, (title, options, rows) in fresh.items():
                    charts[name] = _card(session, name, title, options, rows)
            _waits_table(session, history.queues)

    await draw()
    refresh_on(session, ("workload:", "node:"), draw, quiet_s=QUIET_S)


async def _history(session: PortalSession, span: timedelta) -> SchedulingHistory:
    """Of queues only those that work waits in, which do not contain each other, by full name."""
    step_s = max(LEAST_STEP_S, span.total_seconds() / POINTS)
    since = session.context.clock.now() - span
    history, queues = await asyncio.gather(
        session.everywhere.scheduling.history(since=since, step_s=step_s), all_queues(session)
    )
    names = {
        queue.id: f"{queue.path} ({queue.project})" if queue.project else queue.path
        for queue in queues
        if queue.leaf
    }
    leaves = [replace(one, name=names[one.queue]) for one in history.queues if one.queue in names]
    return replace(history, queues=leaves)


def _range_bar(session: PortalSession, chosen: str) -> None:
    say = session.say
    names = {
        "1h": say("1 hour"),
        "6h": say("6 hours"),
        "1d": say("1 day"),
        "7d": say("7 days"),
        "30d": say("30 days"),
    }
    links = "".join(
        f'<a class="m-button{" on" if key == chosen else ""}" '
        f"{'aria-current=true ' if key == chosen else ''}"
        f'href="{escape(session.link(tab="history", range=key))}">{escape(name)}</a>'
        for key, name in names.items()
    )
    html(links).classes("m-bar m-ranges")


def _sentence(session: PortalSession, history: SchedulingHistory) -> str:
    started = sum(queue.started for queue in history.queues)
    longest = max((queue.p90_wait_s or 0.0 for queue in history.queues), default=0.0)
    return session.say(
        "{started} jobs started; of ten, nine waited less than {wait} in every queue.",
        started=f"{started:,}",
        wait=duration_words(session, longest),
    )


def duration_words(session: PortalSession, seconds: float) -> str:
    say = session.say
    if seconds < MINUTES_FROM_S:
        return say("{number} s", number=f"{max(1, math.ceil(seconds))}")
    if seconds < 7200:
        return say("{number} min", number=f"{seconds / 60:.0f}")
    return say("{number} h", number=f"{seconds / 3600:.1f}")


Chart = tuple[str, dict[str, Any], list[list[str]]]
"""Title, options, and the numbers as rows with a row of titles first."""


def _charts(session: PortalSession, history: SchedulingHistory) -> dict[str, Chart]:
    """The charts that have anything to show, by name."""
    charts: dict[str, Chart] = {}
    for one in sorted(history.resources, key=lambda one: one.resource in ("cpu", "memory")):
        if one.points:
            charts[one.resource] = _resource_chart(session, one)
    busiest = sorted(history.queues, key=lambda one: -one.started)[:QUEUES]
    busiest = [one for one in busiest if one.points]
    if busiest:
        charts["queues"] = _queue_chart(
            session, session.say("Accelerators held, by queue"), busiest,
            lambda point: point.used, session.say("accelerators"), stack=True,
        )  # fmt: skip
        charts["waiting"] = _queue_chart(
            session, session.say("Jobs that wait, by queue"), busiest,
            lambda point: point.waiting, session.say("jobs"),
        )  # fmt: skip
        charts["waits"] = _waits_chart(session, busiest)
    return charts


def _waits_chart(session: PortalSession, queues: Sequence[QueueHistory]) -> Chart:
    waits = [point.p50_wait_s or 0.0 for one in queues for point in one.points]
    scale, unit = 1.0, session.say("seconds")
    if max(waits) > MINUTES_FROM_S:
        scale, unit = 60.0, session.say("minutes")
    return _queue_chart(
        session,
        session.say("Wait before the start, by queue (median)"),
        queues,
        lambda point: None if point.p50_wait_s is None else point.p50_wait_s / scale,
        unit,
        gaps=True,
    )


def _resource_chart(session: PortalSession, one: ResourceHistory) -> Chart:
    say = session.say
    scale, unit = (GIB, "GiB") if one.unit == "bytes" else (1, _unit(session, one))
    names = {"gpu": say("GPUs"), "cpu": say("CPUs"), "memory": say("Memory")}
    title = say("{resource} in use", resource=names.get(one.resource, one.resource))
    lines = {
        say("In use"): [(point.at, point.used / scale) for point in one.points],
        say("There are"): [(point.at, point.capacity / scale) for point in one.points],
        say("Asked for by those that wait"): [
            (point.at, point.waiting / scale) for point in one.points
        ],
    }
    series = [_line(name, points) for name, points in lines.items()]
    series[0]["areaStyle"] = {"opacity": 0.25}
    series[1]["lineStyle"] = {"type": "dashed", "width": 1.5}
    series[1]["step"] = "end"
    options = time_chart(session, series, unit)
    options["color"] = [PALETTE[0], GREY, PALETTE[1]]
    return title, options, _rows(session, lines)


def _unit(session: PortalSession, one: ResourceHistory) -> str:
    say = session.say
    known = {"devices": say("accelerators"), "CPUs": say("CPUs")}
    return known.get(one.unit, one.unit)


def _queue_chart(
    session: PortalSession,
    title: str,
    queues: Sequence[QueueHistory],
    value: Callable[[Any], float | None],
    unit: str,
    *,
    stack: bool = False,
    gaps: bool = False,
) -> Chart:
    lines = {one.name: [(point.at, value(point)) for point in one.points] for one in queues}
    series = [_line(name, points) for name, points in lines.items()]
    for one in series:
        if stack:
            one |= {"stack": "all", "areaStyle": {"opacity": 0.35}, "lineStyle": {"width": 1}}
        if gaps:
            one |= {"connectNulls": True, "showSymbol": True, "symbolSize": 4}
    return title, time_chart(session, series, unit), _rows(session, lines)


def _line(name: str, points: Sequence[tuple[datetime, float | None]]) -> dict[str, Any]:
    return {
        "name": name,
        "type": "line",
        "showSymbol": False,
        "data": [
            [round(at.timestamp() * 1000), None if value is None else round(value, 4)]
            for at, value in points
        ],
    }


def _rows(
    session: PortalSession, lines: dict[str, list[tuple[datetime, float]]] | Any
) -> list[list[str]]:
    names = list(lines)
    rows = [[session.say("When"), *names]]
    for number, (at, _) in enumerate(lines[names[0]]):
        row = [at.astimezone(session.zone).isoformat(" ", "seconds")]
        for name in names:
            points = lines[name]
            value = points[number][1] if number < len(points) else None
            row.append("" if value is None else f"{value:.6g}")
        rows.append(row)
    return rows


def _card(
    session: PortalSession, name: str, title: str, options: dict[str, Any], rows: list[list[str]]
) -> ui.echart:
    with ui.element("div").classes("m-card m-chart-card"):
        html(escape(title), tag="h2")
        chart = ui.echart(options).classes("m-chart")
        with_attributes(chart, {"role": "img", "aria-label": title})
        raw_numbers(session, f"{name}-history", rows)
    return chart


def _waits_table(session: PortalSession, queues: Sequence[QueueHistory]) -> None:
    say = session.say
    shown = sorted((one for one in queues if one.started), key=lambda one: -one.started)
    if not shown:
        return
    html(f"<h2>{escape(say('Waits by queue'))}</h2>")

    def words(seconds: float | None) -> str:
        return "–" if seconds is None else escape(duration_words(session, seconds))

    plain_table(
        [say("Queue"), say("Started"), say("Half waited less than"),
         say("Nine of ten less than"), say("99 of 100 less than")],
        [
            (
                f'<a href="/queues/{escape(one.queue)}">{escape(one.name)}</a>',
                f"{one.started:,}",
                words(one.p50_wait_s),
                words(one.p90_wait_s),
                words(one.p99_wait_s),
            )
            for one in shown
        ],
    ).classes("m-numbers")  # fmt: skip
