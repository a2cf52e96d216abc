"""One endpoint: how it is, its log, trying it, what happened."""

from __future__ import annotations

from html import escape

from nicegui import ui

from madang.core.permissions import Permission
from madang.schemas.endpoints import Endpoint
from madang.server.portal.components import (
    chip,
    command,
    facts,
    html,
    moment,
    note,
    plain_table,
    tabs,
    with_attributes,
)
from madang.server.portal.dialogs import button, confirm_by_name
from madang.server.portal.endpoints import DeployForm, deploy_dialog, endpoint_state
from madang.server.portal.frame import header, page
from madang.server.portal.live import refresh_on
from madang.server.portal.models import lineage_list
from madang.server.portal.session import PortalSession

LOG_TAIL_BYTES = 256 * 1024


@page("/endpoints/{endpoint}", title="Endpoint", section="/endpoints")
async def endpoint_page(session: PortalSession) -> None:
    say, client = session.say, session.client
    endpoint = await client.endpoints.get(session.path_values["endpoint"])
    with header(endpoint.name) as state:
        if session.may(Permission.ENDPOINTS_WRITE):
            button(say("Deploy another version"), lambda: _redeploy(session, endpoint), "primary")
            button(say("Delete"), lambda: _delete(session, endpoint), "danger")
    current = session.query.get("tab", "overview")
    tabs(
        [
            (key, label, session.link(tab=key))
            for key, label in (
                ("overview", say("Overview")),
                ("try", say("Try it")),
                ("logs", say("Logs")),
                ("events", say("Events")),
            )
        ],
        current,
    )
    body = ui.element("div")

    async def draw() -> None:
        fresh = await client.endpoints.get(endpoint.id)
        state.set_content(endpoint_state(session, fresh))
        if current in ("try", "logs"):
            return
        body.clear()
        with body:
            if current == "events":
                await _events(session, fresh)
            else:
                await _overview(session, fresh)

    await draw()
    with body:
        if current == "try":
            _try(session, endpoint)
        elif current == "logs":
            _log(session, endpoint)
    refresh_on(session, (f"endpoint:{endpoint.id}",), draw)


async def _overview(session: PortalSession, endpoint: Endpoint) -> None:
    say, revision = session.say, endpoint.revision
    resources = " ".join(f"{key}={value}" for key, value in revision.resources.items())
    serving = endpoint.serving_revision
    with ui.element("div").classes("m-card"):
        facts(
            [
                (say("Address"), f'<code class="m-mono">{escape(endpoint.url)}</code>'),
                (say("Model"), f'<a href="/models/{escape(revision.model_name)}?version='
                               f'{revision.model_version}">{escape(revision.model)}</a>'),
                (say("Environment"), escape(revision.environment)),
                (say("Replicas"), say("{ready} of {wanted} ready",
                                      ready=revision.replicas_ready, wanted=revision.replicas)),
                (say("Each replica"), escape(resources)),
                (say("Revision"), say("{number} is wanted, {serving} answers",
                                      number=revision.number, serving=serving or say("none"))),
                (say("Deployed"), moment(revision.created_at)),
                (say("By"), escape(revision.user)),
                (say("Id"), f'<code class="m-mono">{escape(endpoint.id)}</code>'),
            ]
        )  # fmt: skip
    html(f"<h2>{escape(say('Where it comes from'))}</h2>")
    lineage_list(session, await session.client.lineage.get(endpoint=endpoint.id))


def _try(session: PortalSession, endpoint: Endpoint) -> None:
    """An example made from what the model says of itself, sent by the browser to the gateway."""
    say = session.say
    if endpoint.serving_revision is None:
        note(say("Nothing answers yet"), say("It can be tried as soon as a replica is ready."))
        return
    model = f"/v2/models/{endpoint.revision.model_name}"
    hint = say("The example has the shape that the model asks for; put your values in.")
    with ui.element("div").classes("m-two"):
        html(
            f'<label for="try-request"><b>{escape(say("Request"))}</b></label>'
            '<textarea id="try-request" class="m-input m-mono" spellcheck="false" rows="14">'
            '</textarea><div class="m-bar">'
            '<button type="button" class="m-button primary" onclick="madangTry.send(this)">'
            f'{escape(say("Send"))}</button><span class="m-muted">{escape(hint)}</span></div>'
        )
        html(
            f"<b>{escape(say('Answer'))}</b>"
            '<pre id="try-answer" class="m-log" role="log" tabindex="0" '
            f'aria-label="{escape(say("Answer"))}" '
            f'data-empty="{escape(say("Nothing was sent yet."))}"></pre>'
            '<p id="try-time" class="m-muted"></p>'
        )
    with_attributes(
        html(""),
        {
            "data-try": endpoint.url + model,
            "data-endpoint": endpoint.id,
            "data-took": say(
                "{status} after {milliseconds} ms",
                status="{status}",
                milliseconds="{milliseconds}",
            ),
            "data-away": say("The gateway does not answer."),
        },
    )
    html(f"<h2>{escape(say('The same on the command line'))}</h2>")
    command(
        f'curl -H "Authorization: Bearer $MADANG_TOKEN" -d @request.json \\\n  '
        f"{endpoint.url}{model}/infer",
        say("Copy"),
    )
    html(f"<h2>{escape(say('The same in Python'))}</h2>")
    command(
        f'from madang.client import Client\n\nClient().endpoints.infer("{endpoint.name}", inputs)',
        say("Copy"),
    )


def _log(session: PortalSession, endpoint: Endpoint) -> None:
    """What its first replica writes."""
    say = session.say
    source = f"/api/v1/jobs/{endpoint.revision.workload_id}/logs?rank=0&follow=true"
    with_attributes(
        html("", tag="pre").classes("m-log"),
        {
            "tabindex": "0",
            "role": "log",
            "aria-label": say("Log"),
            "data-log": source,
            "data-tail": str(LOG_TAIL_BYTES),
            "data-empty": say("Nothing was written yet."),
        },
    )


async def _events(session: PortalSession, endpoint: Endpoint) -> None:
    say = session.say
    page = await session.client.events.list(
        project=endpoint.project, workload=endpoint.revision.workload_id, limit=200
    )
    if not page.items:
        note(say("Nothing happened yet"), say("What happens to this revision is told here."))
        return
    plain_table(
        [say("When"), say("What"), say("By")],
        [
            (
                moment(event.at),
                (chip(event.new, say(event.new)) if event.action == "state" and event.new
                 else escape(say(event.action)))
                + (f" {escape(session.why(event.reason))}" if event.reason else ""),
                escape(event.actor),
            )
            for event in page.items
        ],
    )  # fmt: skip


async def _redeploy(session: PortalSession, endpoint: Endpoint) -> None:
    revision = endpoint.revision
    resources = {key: str(value) for key, value in revision.resources.items()}
    await deploy_dialog(
        session,
        DeployForm(
            name=endpoint.name,
            model=revision.model,
            environment=revision.environment,
            cpu=resources.get("cpu", "1"),
            memory=resources.get("memory", "2GiB"),
            gpu=resources.get("gpu", ""),
            replicas=str(revision.replicas),
        ),
    )


def _delete(session: PortalSession, endpoint: Endpoint) -> None:
    async def delete() -> None:
        await session.client.endpoints.delete(endpoint.id)
        ui.navigate.to("/endpoints")

    lost = session.say(
        "Requests to {url} are refused from then on. The model stays registered.",
        url=endpoint.url,
    )
    confirm_by_name(session, endpoint.name, lost, delete)
