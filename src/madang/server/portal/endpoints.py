"""Endpoints: the list, and deploying a model."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, fields
from html import escape
from urllib.parse import quote

from nicegui import ui

from madang.core.errors import InvalidInput, MadangError
from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.endpoints import Endpoint
from madang.server.portal.components import (
    chip,
    command_markup,
    html,
    link_button,
    moment,
    note,
    sentence,
    with_attributes,
)
from madang.server.portal.dialogs import end_of_dialog
from madang.server.portal.frame import header, page, role_note
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession
from madang.server.portal.table import Column, ServerTable

CHOICES = 200
"""How many models and environments the form offers; others can be typed."""


@page("/endpoints", title="Endpoints", section="/endpoints")
async def endpoints_page(session: PortalSession) -> None:
    say = session.say
    with header(say("Endpoints"), say("Model versions that answer requests.")):
        if session.may(Permission.ENDPOINTS_WRITE):
            link_button(say("Deploy a model"), "/endpoints?new=1", "primary")
    role_note(session, Permission.ENDPOINTS_WRITE)

    async def fetch(limit: int, cursor: str | None) -> Page[Endpoint]:
        return await session.client.endpoints.list(limit=limit, cursor=cursor)

    def empty() -> None:
        note(
            say("No endpoints yet"),
            say("An endpoint answers requests with a registered model."),
            command_line="madang endpoint deploy digits --model digits@champion",
        )

    table = ServerTable(
        session,
        fetch,
        [
            Column(say("Name"),
                   lambda one: f'<a href="{endpoint_link(one)}">{escape(one.name)}</a>',
                   lambda one: one.name),
            Column(say("State"), lambda one: endpoint_state(session, one), lambda one: one.state),
            Column(say("Model"), lambda one: escape(one.revision.model),
                   lambda one: one.revision.model),
            Column(say("Replicas"),
                   lambda one: f"{one.revision.replicas_ready} / {one.revision.replicas}",
                   lambda one: one.revision.replicas, numeric=True),
            Column(say("Deployed"), lambda one: moment(one.revision.created_at),
                   lambda one: one.revision.created_at),
        ],
        key=lambda one: one.id,
        name=lambda one: one.name,
        href=endpoint_link,
        empty=empty,
    )  # fmt: skip
    await table.build()
    refresh_on(session, ("endpoint:",), table.refresh)
    if session.query.get("new") and session.may(Permission.ENDPOINTS_WRITE):
        await deploy_dialog(session, DeployForm.of_query(session.query))


def endpoint_link(endpoint: Endpoint) -> str:
    return f"/endpoints/{quote(endpoint.id)}"


def endpoint_state(session: PortalSession, endpoint: Endpoint) -> str:
    """Chip and sentence."""
    message = escape(sentence(endpoint.message)) if endpoint.message else ""
    return (
        f'<span class="m-state">{chip(endpoint.state, session.say(endpoint.state.value))} '
        f"<span>{message}</span></span>"
    )


@dataclass(slots=True)
class DeployForm:
    """What is typed, as text; kept in the page's address."""

    name: str = ""
    model: str = ""
    environment: str = ""
    cpu: str = "1"
    memory: str = "2GiB"
    gpu: str = ""
    replicas: str = "1"

    @classmethod
    def of_query(cls, query: dict[str, str]) -> DeployForm:
        form = cls(**{entry.name: query[entry.name] for entry in fields(cls)
                      if entry.name in query})  # fmt: skip
        if form.model and not form.name:
            form.name = form.model.partition("/")[0].partition("@")[0]
        return form

    def resources(self) -> dict[str, str | int | float]:
        wanted = {"cpu": self.cpu, "memory": self.memory, "gpu": self.gpu}
        return {key: value.strip() for key, value in wanted.items() if value.strip()}

    def command_line(self) -> str:
        words = ["madang", "endpoint", "deploy", self.name.strip() or "NAME"]
        words += ["--model", self.model.strip() or "MODEL"]
        for option in ("environment", "cpu", "memory", "gpu", "replicas"):
            value = getattr(self, option).strip()
            if value and (option == "cpu" or value != getattr(DeployForm(), option)):
                words += [f"--{option}", value]
        return shlex.join(words)


async def deploy_dialog(session: PortalSession, form: DeployForm) -> None:
    """The form, with the command that does the same; a new name makes a new endpoint."""
    say = session.say
    models = await session.client.models.list(limit=CHOICES)
    environments = await session.client.environments.list(limit=CHOICES)
    options = {
        "model": [f"{model.name}/{model.latest_version}" for model in models.items
                  if model.latest_version],
        "environment": [environment.name for environment in environments.items],
    }  # fmt: skip
    labels = {
        "model": say("Model version (digits/3 or digits@champion)"),
        "name": say("Name of the endpoint"),
        "environment": say("Environment (that of the training job when empty)"),
        "cpu": say("CPUs for each replica"),
        "memory": say("Memory for each replica"),
        "gpu": say("GPUs for each replica"),
        "replicas": say("Replicas"),
    }
    with ui.dialog(value=True) as dialog, ui.card().classes("m-dialog"):
        html(escape(say("Deploy a model")), tag="h2")
        with ui.element("div").classes("m-form"):
            inputs = {
                name: ui.input(label=label, value=getattr(form, name),
                               autocomplete=options.get(name))
                .props("outlined dense stack-label").classes(f"f-{name}")
                for name, label in labels.items()
            }  # fmt: skip
        html(escape(say("The same on the command line")), tag="b")
        line = html(command_markup(form.command_line(), say("Copy"))).classes("m-command")
        problem = with_attributes(html(""), {"role": "alert"})

        def changed() -> None:
            for name, box in inputs.items():
                setattr(form, name, box.value or "")
                box.error = None
            line.set_content(command_markup(form.command_line(), say("Copy")))
            session.keep(new="1", **asdict(form))

        async def run() -> None:
            try:
                endpoint = await session.client.endpoints.deploy(
                    form.name.strip(),
                    form.model.strip(),
                    environment=form.environment.strip(),
                    resources=form.resources(),
                    replicas=_whole_number(session, form.replicas),
                )
            except MadangError as error:
                at = (error.field or "").rpartition(".")[2]
                if at in inputs:
                    inputs[at].error = sentence(str(error))
                text = escape(sentence(str(error)))
                problem.set_content(f'<p class="m-problem">{text}</p>')
                return
            ui.navigate.to(endpoint_link(endpoint))

        for box in inputs.values():
            box.on_value_change(changed)
            box.on("keydown.enter", run)
        end_of_dialog(session, dialog, say("Deploy"), run)


def _whole_number(session: PortalSession, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(
            session.say("{text} is not a whole number.", text=repr(text)), field="replicas"
        ) from None
