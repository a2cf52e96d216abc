"""Home: what is yours, what waits and why, how full the machines are."""

from __future__ import annotations

import asyncio
from html import escape

from nicegui import ui

from madang.core.permissions import Permission
from madang.schemas.endpoints import Endpoint
from madang.schemas.jobs import Job
from madang.schemas.nodes import Node, NodeDevice
from madang.server.portal.components import chip, html, link_button, note, plain_table, size
from madang.server.portal.endpoints import endpoint_link, endpoint_state
from madang.server.portal.frame import header, page, role_note
from madang.server.portal.jobs import asks_for, jobs_sentence, state_line
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession

RECENT = 8
NODES = 100


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
    with header(say("Welcome, {name}", name=session.login.user.name)) as state:
        if session.may(Permission.JOBS_WRITE):
            link_button(say("New job"), "/new-job", "primary")
    role_note(session, Permission.JOBS_WRITE)
    body = ui.element("div")

    async def draw() -> None:
        client = session.client
        sentence, mine, waiting, nodes, endpoints = await asyncio.gather(
            jobs_sentence(session),
            client.jobs.list(limit=RECENT, user="me"),
            client.jobs.list(limit=RECENT, state=["pending"]),
            client.nodes.list(limit=NODES),
            client.endpoints.list(limit=RECENT),
        )
        state.set_content(escape(sentence))
        body.clear()
        with body:
            _job_list(session, say("Your jobs"), mine.items, say("You have run no job yet."))
            others = [job for job in waiting.items if job not in mine.items]
            if others:
                _job_list(session, say("What else waits, and why"), others, "")
            _endpoints(session, endpoints.items)
            _cluster(session, nodes.items)

    await draw()
    changes = (session.topic("workloads"), "node:", "endpoint:")
    refresh_on(session, changes, draw, quiet_s=2.0)


def _job_list(session: PortalSession, title: str, jobs: list[Job], nothing: str) -> None:
    say = session.say
    html(f"<h2>{escape(title)}</h2>")
    if not jobs:
        html(f'<p class="m-muted">{escape(nothing)}</p>')
        return
    plain_table(
        [say("Name"), say("State"), say("By"), say("Asks for")],
        [
            (
                f'<a href="/jobs/{escape(job.id)}">{escape(job.name)}</a>',
                state_line(session, job),
                escape(job.user),
                f'<span class="m-mono">{escape(asks_for(job))}</span>',
            )
            for job in jobs
        ],
        hrefs=[f"/jobs/{job.id}" for job in jobs],
    )


def _endpoints(session: PortalSession, endpoints: list[Endpoint]) -> None:
    if not endpoints:
        return
    html(f"<h2>{escape(session.say('Endpoints'))}</h2>")
    cards = "".join(
        f'<a class="m-card" href="{endpoint_link(endpoint)}"><b>{escape(endpoint.name)}</b> '
        f'<span class="m-muted">{escape(endpoint.revision.model)}</span>'
        f"{endpoint_state(session, endpoint)}</a>"
        for endpoint in endpoints
    )
    html(cards).classes("m-cards")


def _cluster(session: PortalSession, nodes: list[Node]) -> None:
    say = session.say
    html(f"<h2>{escape(say('Cluster'))}</h2>")
    if not nodes:
        words = escape(say("No node is connected: nothing can start."))
        html(f'<p class="m-muted">{words}</p>')
    for node in nodes:
        _node_strip(session, node)


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
    label = f' <span class="m-chip wait">{escape(say("simulated GPUs"))}</span>' * simulated
    html(
        f"<b>{escape(node.name)}</b> {chip(node.state, say(node.state.value))}{label} "
        f'<span class="m-muted">{escape(use)}</span>'
        + (f'<div class="m-cells">{cells}</div>' if cells else "")
    ).classes("m-card m-node")


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
