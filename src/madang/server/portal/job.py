"""One job: state, live log, numbers, tasks, events, what it used."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from nicegui import background_tasks, ui

from madang.core.errors import MadangError
from madang.schemas.jobs import JobDetail, MetricSeries, Task
from madang.server.portal.components import chip, facts, html, moment, note, size, tabs
from madang.server.portal.frame import header, page
from madang.server.portal.jobs import asks_for, state_line
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession

LOG_TAIL_BYTES = 256 * 1024
"""What the page shows of a long log; the rest is a download away."""

PALETTE = ("#1F6F5C", "#C46A1B", "#3C6FB0", "#8A4F9E", "#7A7A2E", "#B0413E")


@page("/jobs/{job}", title="Job", section="/jobs")
async def job_page(session: PortalSession) -> None:
    job_id = session.path_values["job"]
    detail = await session.client.jobs.get(job_id)
    say = session.say
    with header(detail.job.name):
        _actions(session, detail)
    state = html(state_line(session, detail.job)).style("margin-bottom:16px")
    current = session.query.get("tab", "overview")
    tabs(
        [
            (key, label, session.link(tab=key))
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

    async def draw() -> None:
        fresh = await session.client.jobs.get(job_id)
        state.set_content(state_line(session, fresh.job))
        if current == "logs":
            return
        body.clear()
        with body:
            if current == "metrics":
                await _metrics(session, fresh)
            elif current == "events":
                await _events(session, fresh)
            else:
                _overview(session, fresh)

    await draw()
    if current == "logs":
        with body:
            _log(session, detail)
    refresh_on(session.context.bus, (f"workload:{detail.job.id}",), draw)


def _actions(session: PortalSession, detail: JobDetail) -> None:
    say = session.say

    async def cancel() -> None:
        try:
            await session.client.jobs.cancel(detail.job.id)
            ui.notify(say("Asked it to stop."))
        except MadangError as error:
            ui.notify(str(error), type="negative")

    async def clone() -> None:
        try:
            copy = await session.client.jobs.clone(detail.job.id)
            ui.navigate.to(f"/jobs/{copy.id}")
        except MadangError as error:
            ui.notify(str(error), type="negative")

    link = f"/jobs/new?from={escape(detail.job.id)}"
    html(escape(say("Change and run")), tag="a").classes("m-button").props(f'href="{link}"')
    _button(say("Clone"), clone)
    if not detail.job.state.ended:
        _button(say("Cancel"), cancel, "danger")


def _button(label: str, action: Any, style: str = "") -> None:
    with ui.element("button").classes(f"m-button {style}").on("click", action):
        html(escape(label), tag="span")


def _overview(session: PortalSession, detail: JobDetail) -> None:
    say, job = session.say, detail.job
    with ui.element("div").classes("m-card"):
        facts(
            [
                (say("Command"), f'<code class="m-mono">{escape(" ".join(job.command))}</code>'),
                (say("Asks for"), escape(asks_for(job))),
                (say("Environment"), escape(job.environment)),
                (say("Used"), "<br>".join(escape(_input(entry)) for entry in detail.inputs)),
                (say("Queue"), escape(f"{job.queue}, priority {job.priority}")),
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
    titles = [
        say(word) for word in ("Task", "State", "Node", "Devices", "Isolation", "Peak memory")
    ]
    rows = "".join(_task_row(session, task, titles) for task in detail.tasks)
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    html(
        f'<table class="m-table stack"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    ).classes("m-tablebox")


def _input(entry: Any) -> str:
    return f"{entry.kind.replace('_', ' ')} {entry.ref or entry.id}"


def _task_row(session: PortalSession, task: Task, titles: list[str]) -> str:
    say = session.say
    name = say(
        "{role} {rank}, attempt {attempt}", role=task.role, rank=task.rank, attempt=task.attempt
    )
    why = f" {escape(task.reason.message)}" if task.reason else ""
    devices = ", ".join(
        f"{device.kind} {device.index}"
        + ("" if device.share == 1 else f" × {device.share:g}")
        + (f" ({say('simulated')})" if device.simulated else "")
        for device in task.devices
    )
    isolation = ", ".join(f"{key}: {value}" for key, value in task.isolation.items())
    cells = (
        escape(name),
        chip(task.state, say(task.state.value)) + why,
        escape(task.node),
        escape(devices),
        escape(isolation),
        size(task.peak_memory_bytes) if task.peak_memory_bytes else "",
    )
    return "<tr>" + "".join(
        f'<td data-title="{escape(title)}">{cell}</td>'
        for title, cell in zip(titles, cells, strict=True)
    ) + "</tr>"  # fmt: skip


def _log(session: PortalSession, detail: JobDetail) -> None:
    """The log of one task, from its tail on, as it is written."""
    say = session.say
    newest = [task for task in detail.tasks if task.attempt == detail.job.attempt]
    rank = int(session.query.get("rank", "0") or 0)
    with ui.element("div").classes("m-bar"):
        for task in newest if len(newest) > 1 else []:
            current = " primary" if task.rank == rank else ""
            link = escape(session.link(rank=str(task.rank)))
            html(escape(say("Rank {rank}", rank=task.rank)), tag="a").classes(
                f"m-button{current}"
            ).props(f'href="{link}"')
        ui.element("span").classes("grow")
        download = f"/api/v1/jobs/{escape(detail.job.id)}/logs?rank={rank}"
        html(escape(say("Download")), tag="a").classes("m-button").props(
            f'href="{download}" download="{escape(detail.job.name)}-{rank}.log"'
        )
    box = (
        html("", tag="pre")
        .classes("m-log")
        .props(f'tabindex="0" role="log" aria-label="{escape(say("Log"))}"')
    )
    client = ui.context.client

    async def follow() -> None:
        await client.connected(timeout=30)
        async with session.client.jobs.stream_log(
            detail.job.id, rank=rank, tail_bytes=LOG_TAIL_BYTES, follow=True
        ) as chunks:
            async for text in chunks:
                with client:
                    ui.run_javascript(f"madang.appendLog('c{box.id}', {_js(text)})")

    task = background_tasks.create(follow(), name="live log")
    client.on_delete(task.cancel)


def _js(text: str) -> str:
    return json.dumps(text)


async def _metrics(session: PortalSession, detail: JobDetail) -> None:
    series = await session.client.jobs.metrics(detail.job.id)
    if not series:
        note(
            session.say("No numbers yet"),
            session.say("What the program reports is drawn here while it runs."),
            command_line="from madang import train\n\ntrain.report(step, loss=loss)",
        )
        return
    by_key: dict[str, list[MetricSeries]] = {}
    for one in series:
        by_key.setdefault(one.key, []).append(one)
    with ui.element("div").classes("m-cards"):
        for key, lines in sorted(by_key.items()):
            with ui.element("div").classes("m-card"):
                html(f"<b>{escape(key)}</b>")
                ui.echart(_chart(session, lines)).style("height:220px;width:100%")


def _chart(session: PortalSession, lines: list[MetricSeries]) -> dict[str, Any]:
    return {
        "color": list(PALETTE),
        "animation": False,
        "grid": {"left": 56, "right": 12, "top": 28, "bottom": 36},
        "legend": {"show": len(lines) > 1, "top": 0, "textStyle": {"color": "#888"}},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value", "name": session.say("step"), "nameLocation": "middle",
                  "nameGap": 22, "min": "dataMin", "max": "dataMax"},
        "yAxis": {"type": "value", "scale": True},
        "dataZoom": [{"type": "inside"}],
        "series": [
            {
                "name": session.say("Rank {rank}", rank=line.rank),
                "type": "line",
                "showSymbol": len(line.points) < 30,
                "data": [[point.step, point.value] for point in line.points],
            }
            for line in lines
        ],
    }  # fmt: skip


async def _events(session: PortalSession, detail: JobDetail) -> None:
    say = session.say
    events = await session.client.jobs.events(detail.job.id, limit=200)
    rows = "".join(
        f'<tr><td data-title="{escape(say("When"))}">{moment(event.at)}</td>'
        f'<td data-title="{escape(say("What"))}">{escape(_event_words(event))}</td>'
        f'<td data-title="{escape(say("By"))}">{escape(event.actor)}</td></tr>'
        for event in events.items
    )
    html(
        f'<table class="m-table stack"><thead><tr><th>{escape(say("When"))}</th>'
        f"<th>{escape(say('What'))}</th><th>{escape(say('By'))}</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    ).classes("m-tablebox")


def _event_words(event: Any) -> str:
    change = f"{event.old} → {event.new}" if event.action == "state" else event.action
    why = f": {event.reason.message}" if event.reason else ""
    return f"{event.subject} {change}{why}"
