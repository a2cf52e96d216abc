"""Home: what is yours, what waits and why, how full the machines are."""

from __future__ import annotations

from html import escape

from nicegui import ui

from madang.schemas.jobs import Job
from madang.schemas.nodes import Node, NodeDevice
from madang.server.portal.components import chip, html, note, size
from madang.server.portal.frame import header, page
from madang.server.portal.jobs import jobs_sentence, state_line
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession

RECENT = 8


@page("/", title="Home", section="/")
async def home_page(session: PortalSession) -> None:
    say = session.say
    if not session.project:
        with header(say("Welcome, {name}", name=session.login.user.name)):
            pass
        note(
            say("You are in no project yet"),
            say("Jobs, data and models belong to projects. A maintainer can add you to one."),
            command_line=f"madang project add-member PROJECT {session.login.user.name}",
        )
        return
    with header(
        say("Welcome, {name}", name=session.login.user.name), await jobs_sentence(session)
    ):
        html(escape(say("New job")), tag="a").classes("m-button primary").props('href="/jobs/new"')
    body = ui.element("div")

    async def draw() -> None:
        mine = await session.client.jobs.list(limit=RECENT, user=session.login.user.name)
        waiting = await session.client.jobs.list(limit=RECENT, state=["pending"])
        nodes = await session.client.nodes.list(limit=100)
        endpoints = await session.client.endpoints.list(limit=RECENT)
        body.clear()
        with body:
            _job_list(session, say("Your jobs"), mine.items, say("You have run no job yet."))
            if waiting.items:
                _job_list(session, say("What waits, and why"), waiting.items, "")
            if endpoints.items:
                html(f"<h2>{escape(say('Endpoints'))}</h2>")
                html(
                    "".join(
                        f'<a class="m-card" href="/endpoints/{escape(endpoint.name)}">'
                        f"<b>{escape(endpoint.name)}</b> "
                        f"{chip(endpoint.state, say(endpoint.state))}<br>"
                        f'<span class="m-muted">{escape(endpoint.message)}</span></a>'
                        for endpoint in endpoints.items
                    )
                ).classes("m-cards")
            html(f"<h2>{escape(say('Cluster'))}</h2>")
            for node in nodes.items:
                _node_strip(session, node)
            if not nodes.items:
                html(f"<p>{escape(say('No node is connected: nothing can start.'))}</p>")

    await draw()
    refresh_on(session.context.bus, ("workload:", "node:", "endpoint:"), draw)


def _job_list(session: PortalSession, title: str, jobs: list[Job], nothing: str) -> None:
    html(f"<h2>{escape(title)}</h2>")
    if not jobs:
        html(f'<p class="m-muted">{escape(nothing)}</p>')
        return
    rows = "".join(
        f'<tr data-href="/jobs/{escape(job.id)}">'
        f'<td data-title="{escape(session.say("Name"))}">'
        f'<a href="/jobs/{escape(job.id)}">{escape(job.name)}</a></td>'
        f'<td data-title="{escape(session.say("State"))}">{state_line(session, job)}</td></tr>'
        for job in jobs
    )
    html(f'<table class="m-table stack"><tbody>{rows}</tbody></table>').classes("m-tablebox")


def _node_strip(session: PortalSession, node: Node) -> None:
    """A node as one line, each of its accelerators as a cell."""
    say = session.say
    use = say(
        "{cpu_used:g} of {cpu:g} CPUs and {memory_used} of {memory} in use",
        cpu_used=node.cpu_used,
        cpu=node.cpu,
        memory_used=size(node.memory_used_bytes),
        memory=size(node.memory_bytes),
    )
    cells = "".join(_device_cell(session, device) for device in node.devices)
    simulated = any(device.simulated for device in node.devices)
    label = (
        f' <span class="m-chip wait">{escape(say("simulated GPUs"))}</span>' if simulated else ""
    )
    html(
        f"<b>{escape(node.name)}</b> {chip(node.state, say(node.state.value))}{label} "
        f'<span class="m-muted">{escape(use)}</span>'
        f'<div class="m-cells" style="margin-top:8px">{cells}</div>'
    ).classes("m-card").style("margin-bottom:8px")


def _device_cell(session: PortalSession, device: NodeDevice) -> str:
    share = session.say(
        "{model} number {index}: {percent} % held",
        model=device.model,
        index=device.index,
        percent=round(100 * device.used),
    )
    fill = f"linear-gradient(to top, var(--accent) {100 * device.used:.0f}%, transparent 0)"
    words = escape(share)
    return f'<i role="img" aria-label="{words}" title="{words}" style="background:{fill}"></i>'
