"""Home: what is yours, what waits and why, how full the machines are."""

from __future__ import annotations

import asyncio
from html import escape

from nicegui import ui

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.endpoints import Endpoint
from madang.schemas.jobs import Job
from madang.schemas.scheduling import ClusterNode, ClusterSummary
from madang.server.portal.cluster import cluster_sentence
from madang.server.portal.cluster_map import legend, model_card, node_strip
from madang.server.portal.components import html, link_button, note, plain_table
from madang.server.portal.endpoints import endpoint_link, endpoint_state
from madang.server.portal.frame import header, page, role_note
from madang.server.portal.jobs import asks_for, jobs_sentence, state_line
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession

RECENT = 8
NODES = 24
"""Nodes in the strip of the cluster."""


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
        sentence, mine, waiting, summary, nodes, endpoints = await asyncio.gather(
            jobs_sentence(session),
            client.jobs.list(limit=RECENT, user="me"),
            client.jobs.list(limit=RECENT, state=["pending"]),
            client.cluster.summary(),
            client.cluster.list(limit=NODES),
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
            _cluster(session, summary, nodes)

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


def _cluster(session: PortalSession, summary: ClusterSummary, nodes: Page[ClusterNode]) -> None:
    """Each accelerator as a cell; the first nodes of a large cluster."""
    say = session.say
    title = f'<a href="/cluster">{escape(say("Cluster"))}</a>'
    words = f'<p class="m-muted">{escape(cluster_sentence(session, summary))}</p>'
    html(f"<h2>{title}</h2>{words}")
    if summary.models:
        cards = "".join(model_card(session, use) for use in summary.models)
        html(cards).classes("m-models")
    strips = "".join(node_strip(session, node) for node in nodes.items if node.devices)
    if strips:
        html(legend(session) + f'<div class="m-strips">{strips}</div>')
    if nodes.next_cursor is not None:
        link_button(say("All nodes"), "/cluster")
