"""Models: what is registered, its versions, where they come from."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from nicegui import ui

from madang.core.errors import MadangError
from madang.schemas import Page
from madang.schemas.lineage import Lineage, LineageKind
from madang.schemas.models import Model, ModelVersion
from madang.server.portal.components import chip, command, facts, html, moment, note
from madang.server.portal.dialogs import button, confirm_by_name, form_dialog
from madang.server.portal.frame import header, page
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession
from madang.server.portal.table import Column, ServerTable


@page("/models", title="Models", section="/models")
async def models_page(session: PortalSession) -> None:
    say = session.say
    with header(say("Models"), say("Registered models; a version never changes.")):
        pass

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
        href=_link,
        empty=empty,
    )  # fmt: skip
    await table.build()
    refresh_on(session.context.bus, ("model:",), table.refresh)


@page("/models/{model}", title="Model", section="/models")
async def model_page(session: PortalSession) -> None:
    say, client = session.say, session.client
    model = await client.models.get(session.path_values["model"])
    versions = await client.models.versions(model.id, limit=200)
    with header(model.name, model.description):
        if versions.items:
            newest = versions.items[0]
            link = f"/endpoints?new=1&model={quote(newest.ref)}"
            html(escape(say("Deploy")), tag="a").classes("m-button primary").props(
                f'href="{escape(link)}"'
            )
        button(say("Remove"), lambda: _remove(session, model), "danger")
    if not versions.items:
        note(say("No version yet"), say("A job registers one with the ordinary MLflow client."))
        return
    head = "".join(
        f"<th>{escape(title)}</th>"
        for title in (
            say("Version"),
            say("Aliases"),
            say("Made by run"),
            say("By"),
            say("Created"),
        )
    )
    rows = "".join(_version_row(session, version) for version in versions.items)
    html(
        f'<table class="m-table stack"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    ).classes("m-tablebox")
    with ui.element("div").classes("m-bar").style("margin-top:12px"):
        button(say("Set an alias"), lambda: _set_alias(session, model))
    wanted = session.query.get("version", str(versions.items[0].version))
    version = next(
        (one for one in versions.items if str(one.version) == wanted), versions.items[0]
    )
    html(f"<h2>{escape(say('Where {ref} comes from', ref=version.ref))}</h2>")
    lineage_list(session, await client.lineage.get(model_version=version.id))
    html(f"<h2>{escape(say('Load it'))}</h2>")
    command(f'mlflow.pyfunc.load_model("models:/{version.ref}")', say("Copy"))


def lineage_list(session: PortalSession, lineage: Lineage) -> None:
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
    for node in lineage.nodes:
        name = escape(node.name)
        if node.kind in pages:
            name = f'<a href="{pages[node.kind]}{quote(node.id)}">{name}</a>'
        state = chip(node.state, say(node.state)) if node.state else ""
        environment = f' <span class="m-muted">{escape(node.environment)}</span>'
        rows.append((labels[node.kind], f"{name} {state}{environment} {moment(node.at)}"))
    with ui.element("div").classes("m-card"):
        facts(rows)


def _version_row(session: PortalSession, version: ModelVersion) -> str:
    say = session.say
    run = f'<code class="m-mono">{escape(version.run_id)}</code>' if version.run_id else "–"
    link = escape(session.link(version=str(version.version)))
    return (
        f'<tr><td data-title="{escape(say("Version"))}"><a href="{link}">{version.version}</a></td>'
        f'<td data-title="{escape(say("Aliases"))}">{escape(", ".join(version.aliases))}</td>'
        f'<td data-title="{escape(say("Made by run"))}">{run}</td>'
        f'<td data-title="{escape(say("By"))}">{escape(version.user)}</td>'
        f'<td data-title="{escape(say("Created"))}">{moment(version.created_at)}</td></tr>'
    )


def _set_alias(session: PortalSession, model: Model) -> None:
    say = session.say

    async def save(values: dict[str, str]) -> None:
        try:
            number = int(values["version"])
        except ValueError:
            raise MadangError(say("The version is a number.")) from None
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
