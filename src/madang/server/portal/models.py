"""Models: what is registered, its versions, where they come from."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from nicegui import ui

from madang.core.errors import InvalidInput
from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.lineage import LineageChain, LineageKind
from madang.schemas.models import Model, ModelVersion
from madang.server.portal.components import (
    chip,
    command,
    facts,
    html,
    link_button,
    moment,
    note,
    plain_table,
)
from madang.server.portal.dialogs import button, confirm_by_name, form_dialog
from madang.server.portal.frame import header, page, role_note
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession
from madang.server.portal.table import Column, ServerTable

LINKS = 30
"""How many links of a chain are shown."""


@page("/models", title="Models", section="/models")
async def models_page(session: PortalSession) -> None:
    say = session.say
    with header(say("Models"), say("Registered models; a version never changes.")):
        pass
    role_note(session, Permission.MODELS_WRITE)

    async def fetch(limit: int, cursor: str | None) -> Page[Model]:
        return await session.client.models.list(limit=limit, cursor=cursor)

    def empty() -> None:
        note(
            say("No models yet"),
            say("A job registers one with the ordinary MLflow client."),
            command_line='mlflow.pytorch.log_model(model, name="model", '
            'registered_model_name="digits")',
        )

    table = ServerTable(
        session,
        fetch,
        [
            Column(say("Name"),
                   lambda model: f'<a href="{_link(model)}">{escape(model.name)}</a>',
                   lambda model: model.name),
            Column(say("Newest version"), lambda model: str(model.latest_version or "–"),
                   lambda model: model.latest_version, numeric=True),
            Column(say("Aliases"), lambda model: escape(_aliases(model.aliases)),
                   lambda model: _aliases(model.aliases)),
            Column(say("By"), lambda model: escape(model.user), lambda model: model.user),
            Column(say("Changed"), lambda model: moment(model.updated_at),
                   lambda model: model.updated_at),
        ],
        key=lambda model: model.id,
        name=lambda model: model.name,
        href=_link,
        empty=empty,
    )  # fmt: skip
    await table.build()
    refresh_on(session, (session.topic("models"),), table.refresh)


@page("/models/{model}", title="Model", section="/models")
async def model_page(session: PortalSession) -> None:
    say, client = session.say, session.client
    model = await client.models.get(session.path_values["model"])
    versions = await client.models.versions(model.id, limit=200)
    with header(model.name, model.description):
        if versions.items:
            newest = versions.items[0]
            link = f"/endpoints?new=1&model={quote(newest.ref)}"
            if session.may(Permission.ENDPOINTS_WRITE):
                link_button(say("Deploy"), link, "primary")
        if session.may(Permission.MODELS_WRITE):
            button(say("Set an alias"), lambda: _set_alias(session, model))
            button(say("Remove"), lambda: _remove(session, model), "danger")
    if not versions.items:
        note(say("No version yet"), say("A job registers one with the ordinary MLflow client."))
        return
    plain_table(
        [say("Version"), say("Aliases"), say("Made by run"), say("By"), say("Created")],
        [_version_row(session, version) for version in versions.items],
    )
    wanted = session.query.get("version", str(versions.items[0].version))
    version = next(
        (one for one in versions.items if str(one.version) == wanted), versions.items[0]
    )
    html(f"<h2>{escape(say('Where {ref} comes from', ref=version.ref))}</h2>")
    lineage_list(session, await client.lineage.get(model_version=version.id))
    html(f"<h2>{escape(say('Load it'))}</h2>")
    command(f'mlflow.pyfunc.load_model("models:/{version.ref}")', say("Copy"))


def lineage_list(session: PortalSession, lineage: LineageChain) -> None:
    """The chain from dataset version to endpoint, in its order."""
    say = session.say
    labels = {
        LineageKind.DATASET_VERSION: say("Dataset version"),
        LineageKind.JOB: say("Job"),
        LineageKind.RUN: say("Run"),
        LineageKind.MODEL_VERSION: say("Model version"),
        LineageKind.ENDPOINT: say("Endpoint"),
    }
    pages = {LineageKind.JOB: "/jobs/", LineageKind.ENDPOINT: "/endpoints/"}
    rows = []
    for node in lineage.nodes[:LINKS]:
        name = escape(node.name)
        if node.kind in pages:
            name = f'<a href="{pages[node.kind]}{quote(node.id)}">{name}</a>'
        state = node.state.lower()
        parts = [
            name,
            chip(state, say(state)) if state else "",
            f'<span class="m-muted">{escape(node.environment)}</span>' if node.environment else "",
            f'<span class="m-muted">{moment(node.at)}</span>',
        ]
        rows.append((labels[node.kind], f'<span class="m-state">{" ".join(parts)}</span>'))
    if len(lineage.nodes) > LINKS:
        rows.append(("…", say("and {count} more", count=len(lineage.nodes) - LINKS)))
    with ui.element("div").classes("m-card"):
        facts(rows)


def _version_row(session: PortalSession, version: ModelVersion) -> tuple[str, ...]:
    link = escape(session.link(version=str(version.version)))
    return (
        f'<a href="{link}">{version.version}</a>',
        escape(", ".join(version.aliases)) or "–",
        f'<code class="m-mono">{escape(version.run_id)}</code>' if version.run_id else "–",
        escape(version.user),
        moment(version.created_at),
    )


def _set_alias(session: PortalSession, model: Model) -> None:
    say = session.say

    async def save(values: dict[str, str]) -> None:
        try:
            number = int(values["version"])
        except ValueError:
            raise InvalidInput(say("The version is a number.")) from None
        await session.client.models.set_alias(model.id, values["alias"], number)
        ui.navigate.reload()

    fields = {"alias": say("Alias, e.g. champion"), "version": say("Version")}
    form_dialog(session, say("Set an alias"), fields, save)


def _remove(session: PortalSession, model: Model) -> None:
    async def remove() -> None:
        await session.client.models.delete(model.id)
        ui.navigate.to("/models")

    lost = session.say("All its versions are removed; this can't be undone.")
    confirm_by_name(session, model.name, lost, remove)


def _link(model: Model) -> str:
    return f"/models/{quote(model.id)}"


def _aliases(aliases: dict[str, int]) -> str:
    return ", ".join(f"{alias} → {version}" for alias, version in sorted(aliases.items()))
