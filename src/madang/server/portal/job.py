"""One job: state, live log, numbers, tasks, events, what it used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from html import escape
from typing import Any
from urllib.parse import quote

from nicegui import ui

from madang.core.errors import MadangError
from madang.core.permissions import Permission
from madang.core.states import WorkloadState
from madang.schemas.events import Event
from madang.schemas.jobs import Job, JobDetail, JobInput, MetricSeries, Task
from madang.server.portal.charts import GREY, PALETTE, TIP
from madang.server.portal.components import (
    chip,
    command,
    facts,
    html,
    link_button,
    moment,
    note,
    plain_table,
    sentence,
    size,
    tabs,
    with_attributes,
)
from madang.server.portal.dialogs import button
from madang.server.portal.frame import header, page
from madang.server.portal.job_wait import change_priority, move_job, wait_card
from madang.server.portal.jobs import asks_for, state_line
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession

LOG_TAIL_BYTES = 256 * 1024
"""What the page shows of a long log; the rest is a download away."""

CHART_S = 2.0
"""Charts of a chatty job are drawn at most so often."""


@page("/jobs/{job}", title="Job", section="/jobs")
async def job_page(session: PortalSession) -> None:
    detail = await session.client.jobs.get(session.path_values["job"])
    job_id = detail.job.id
    say = session.say
    with header(detail.job.name) as state:
        actions = ui.element("div").classes("m-actions")
        with actions:
            _actions(session, detail)
    current = session.query.get("tab", "overview")
    tabs(
        [
            (key, label, session.link(tab=key, rank=None, attempt=None))
            for key, label in (
                ("overview", say("Overview")),
                ("logs", say("Logs")),
                ("metrics", say("Metrics")),
                ("events", say("Events")),
            )
        ],
        current,
    )
    body = ui.element("div")
    charts = Charts(session)

    async def draw() -> None:
        nonlocal detail
        before, fresh = detail, await session.client.jobs.get(job_id)
        detail = fresh
        state.set_content(_state(session, fresh.job, told_below=current == "overview"))
        if (fresh.job.state, fresh.job.priority) != (before.job.state, before.job.priority):
            actions.clear()
            with actions:
                _actions(session, fresh)
        if current == "metrics":
            await charts.draw(body, job_id)
        elif current != "logs":
            body.clear()
            with body:
                if current == "events":
                    await _events(session, fresh)
                else:
                    await _overview(session, fresh)

    await draw()
    if current == "logs":
        with body:
            _log(session, detail)
    refresh_on(session, (f"workload:{job_id}",), draw)
    if current == "metrics":
        refresh_on(
            session, (f"metrics:{job_id}",), lambda: charts.draw(body, job_id), quiet_s=CHART_S
        )


def _state(session: PortalSession, job: Job, *, told_below: bool) -> str:
    """The state line; what a waiting job waits for is left to the card below it."""
    shown = replace(job, reason=None) if told_below and job.state == WorkloadState.PENDING else job
    return state_line(session, shown)


def _actions(session: PortalSession, detail: JobDetail) -> None:
    say = session.say
    if not session.may(Permission.JOBS_WRITE):
        return

    async def cancel() -> None:
        try:
            await session.client.jobs.cancel(detail.job.id)
            ui.notify(say("Asked it to stop."))
        except MadangError as error:
            ui.notify(sentence(str(error)), type="negative", multi_line=True)

    async def clone() -> None:
        try:
            copy = await session.client.jobs.clone(detail.job.id)
            ui.navigate.to(f"/jobs/{copy.id}")
        except MadangError as error:
            ui.notify(sentence(str(error)), type="negative", multi_line=True)

    if not detail.job.state.ended:
        button(say("Priority"), lambda: change_priority(session, detail.job))
    if detail.job.state == WorkloadState.PENDING:
        button(say("Move"), lambda: move_job(session, detail.job))
    link_button(say("Change and run"), f"/new-job?from={quote(detail.job.id)}")
    button(say("Run again"), clone)
    if not detail.job.state.ended:
        button(say("Cancel"), cancel, "danger")


async def _overview(session: PortalSession, detail: JobDetail) -> None:
    say, job = session.say, detail.job
    if job.state == WorkloadState.PENDING:
        wait_card(session, await session.client.jobs.why(job.id))
    with ui.element("div").classes("m-card"):
        facts(
            [
                (say("Command"), f'<code class="m-mono">{escape(" ".join(job.command))}</code>'),
                (say("Asks for"), escape(asks_for(job))),
                (say("Environment"), escape(job.environment)),
                (say("Used"), "<br>".join(escape(_input(entry)) for entry in detail.inputs)),
                (
                    say("Queue"),
                    escape(
                        say("{queue}, priority {priority}", queue=job.queue, priority=job.priority)
                    ),
                ),
                (say("By"), escape(job.user)),
                (say("Created"), moment(job.created_at)),
                (say("Started"), moment(job.started_at) if job.started_at else ""),
                (say("Ended"), moment(job.ended_at) if job.ended_at else ""),
                (say("Exit code"), "" if job.exit_code is None else str(job.exit_code)),
                (say("Attempt"), str(job.attempt)),
                (say("Id"), f'<code class="m-mono">{escape(job.id)}</code>'),
            ]
        )
    html(f"<h2>{escape(say('Tasks'))}</h2>")
    if not detail.tasks:
        html(f'<p class="m-muted">{escape(say("None was started yet."))}</p>')
        return
    titles = [say("Task"), say("State"), say("Node"), say("Devices"), say("Isolation"),
              say("Peak memory")]  # fmt: skip
    plain_table(titles, [_task_row(session, task) for task in detail.tasks])


def _input(entry: JobInput) -> str:
    return f"{entry.kind.replace('_', ' ')} {entry.ref or entry.id}"


def _task_row(session: PortalSession, task: Task) -> tuple[str, ...]:
    say = session.say
    name = say(
        "{role} {rank}, attempt {attempt}", role=task.role, rank=task.rank, attempt=task.attempt
    )
    why = f" {escape(session.why(task.reason))}" if task.reason and task.state.ended else ""
    devices = ", ".join(
        f"{device.kind} {device.index}"
        + ("" if device.share == 1 else f" × {device.share:g}")
        + (f" ({say('simulated')})" if device.simulated else "")
        for device in task.devices
    )
    isolation = ", ".join(f"{key}: {value}" for key, value in task.isolation.items())
    return (
        escape(name),
        chip(task.state, say(task.state.value)) + why,
        escape(task.node),
        escape(devices) or "–",
        escape(isolation) or "–",
        size(task.peak_memory_bytes) if task.peak_memory_bytes else "–",
    )


def _log(session: PortalSession, detail: JobDetail) -> None:
    """The log of one task, from its tail on, as it is written; the browser asks the API."""
    say, job = session.say, detail.job
    attempt = _number(session.query.get("attempt"), max(job.attempt, 1))
    rank = _number(session.query.get("rank"), 0)
    ranks = sorted({task.rank for task in detail.tasks if task.attempt == attempt})
    with ui.element("div").classes("m-bar"):
        if job.attempt > 1:
            _choice(session, "attempt", say("Attempt"), range(1, job.attempt + 1), attempt)
        if len(ranks) > 1:
            _choice(session, "rank", say("Rank"), ranks, rank)
        ui.element("span").classes("grow")
        source = f"/api/v1/jobs/{quote(job.id)}/logs?rank={rank}"
        if "attempt" in session.query:
            source += f"&attempt={attempt}"
        with_attributes(
            html(escape(say("Download")), tag="button").classes("m-button"),
            {
                "type": "button",
                "data-save": source,
                "data-name": f"{job.name}-{rank}.log",
                "onclick": "madang.saveLog(this)",
            },
        )
    with_attributes(
        html("", tag="pre").classes("m-log"),
        {
            "tabindex": "0",
            "role": "log",
            "aria-label": say("Log"),
            "data-log": f"{source}&follow=true",
            "data-tail": str(LOG_TAIL_BYTES),
            "data-empty": say("Nothing was written yet."),
        },
    )
    html(f"<h2>{escape(say('The same on the command line'))}</h2>")
    command(f"madang job logs -f {job.id}", say("Copy"))


def _choice(
    session: PortalSession, name: str, label: str, values: Iterable[int], current: int
) -> None:
    """A select that goes to the same page with another `name` in its address."""
    options = "".join(
        f'<option value="{escape(session.link(**{name: str(value)}))}"'
        f"{' selected' if value == current else ''}>{escape(label)} {value}</option>"
        for value in values
    )
    with_attributes(
        html(options, tag="select").classes("m-select"),
        {"aria-label": label, "onchange": "location.assign(this.value)"},
    )


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else otherwise


class Charts:
    """The numbers of a job, a chart each; new points move lines and leave the zoom alone."""

    def __init__(self, session: PortalSession) -> None:
        self._session = session
        self._charts: dict[str, ui.echart] = {}

    async def draw(self, body: ui.element, job_id: str) -> None:
        by_key: dict[str, list[MetricSeries]] = {}
        for one in await self._session.client.jobs.metrics(job_id):
            by_key.setdefault(one.key, []).append(one)
        if by_key.keys() != self._charts.keys() or not by_key:
            self._build(body, by_key)
            return
        for key, lines in by_key.items():
            self._charts[key].options["series"] = _series(self._session, lines)
            self._charts[key].update()

    def _build(self, body: ui.element, by_key: dict[str, list[MetricSeries]]) -> None:
        say = self._session.say
        self._charts = {}
        body.clear()
        with body:
            if not by_key:
                note(
                    say("No numbers yet"),
                    say("What the program reports is drawn here while it runs."),
                    command_line="from madang import train\n\ntrain.report(step, loss=loss)",
                )
                return
            with ui.element("div").classes("m-charts"):
                for key, lines in sorted(by_key.items()):
                    with ui.element("div").classes("m-card"):
                        html(f"<b>{escape(key)}</b> {_last(lines)}").classes("m-state")
                        chart = ui.echart(_chart(self._session, lines))
                        self._charts[key] = chart.style("height:220px;width:100%")


def _last(lines: list[MetricSeries]) -> str:
    newest = max(lines, key=lambda line: (line.attempt, -line.rank))
    return f'<span class="m-muted">{newest.points[-1].value:.6g}</span>' if newest.points else ""


def _chart(session: PortalSession, lines: list[MetricSeries]) -> dict[str, Any]:
    grey = {"color": GREY}
    return {
        "color": list(PALETTE),
        "animation": False,
        "textStyle": {"fontFamily": "inherit"},
        "grid": {"left": 56, "right": 16, "top": 28 if len(lines) > 1 else 12, "bottom": 40},
        "legend": {"show": len(lines) > 1, "top": 0, "textStyle": grey, "itemHeight": 8},
        "tooltip": {"trigger": "axis", "confine": True, "extraCssText": TIP},
        "xAxis": {"type": "value", "name": session.say("step"), "nameLocation": "middle",
                  "nameGap": 24, "min": "dataMin", "max": "dataMax", "axisLabel": grey,
                  "nameTextStyle": grey, "splitLine": {"show": False}},
        "yAxis": {"type": "value", "scale": True, "axisLabel": grey,
                  "splitLine": {"lineStyle": {"color": "rgba(138,131,120,0.2)"}}},
        "dataZoom": [{"type": "inside"}],
        "series": _series(session, lines),
    }  # fmt: skip


def _series(session: PortalSession, lines: list[MetricSeries]) -> list[dict[str, Any]]:
    attempts = {line.attempt for line in lines}
    return [
        {
            "name": session.say("Rank {rank}", rank=line.rank)
            if len(attempts) == 1
            else session.say("Rank {rank}, attempt {attempt}", rank=line.rank,
                             attempt=line.attempt),
            "type": "line",
            "showSymbol": len(line.points) < 30,
            "data": [[point.step, point.value] for point in line.points],
        }
        for line in lines
    ]  # fmt: skip


async def _events(session: PortalSession, detail: JobDetail) -> None:
    say = session.say
    page = await session.client.jobs.events(detail.job.id, limit=200)
    names = {
        task.id: say(
            "{role} {rank}, attempt {attempt}",
            role=task.role,
            rank=task.rank,
            attempt=task.attempt,
        )
        for task in detail.tasks
    }
    titles = [say("When"), say("Of"), say("What"), say("By")]
    rows = [
        (
            moment(event.at),
            escape(names.get(event.subject, say("the job"))),
            _event_words(session, event),
            escape(event.actor),
        )
        for event in page.items
    ]
    plain_table(titles, rows)


def _event_words(session: PortalSession, event: Event) -> str:
    say = session.say
    if event.action == "state" and event.new:
        what = chip(event.new, say(event.new))
    else:
        what = escape(say(event.action))
    why = f" {escape(session.why(event.reason))}" if event.reason else ""
    return what + why
