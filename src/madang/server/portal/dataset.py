"""A dataset: its versions and views, what is in a version."""

from __future__ import annotations

from html import escape

from nicegui import ui

from madang.core.errors import InvalidInput, MadangError
from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.datasets import Dataset, DatasetClass, DatasetItem, DatasetVersion
from madang.server.portal.components import (
    bars,
    command,
    facts,
    html,
    moment,
    note,
    sentence,
    size,
    tabs,
)
from madang.server.portal.dialogs import button, form_dialog
from madang.server.portal.frame import header, page
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession
from madang.server.portal.table import Column, ServerTable

CLASSES = 40
VERSIONS = 200


@page("/data/datasets/{dataset}", title="Dataset", section="/data")
async def dataset_page(session: PortalSession) -> None:
    say, client = session.say, session.client
    dataset = await client.datasets.get(session.path_values["dataset"])
    versions = (await client.datasets.versions(dataset.id, limit=VERSIONS)).items
    about = dataset.description or say("From the folder {folder}.", folder=_source(dataset))
    with header(dataset.name, about):
        if session.may(Permission.DATASETS_WRITE):
            button(say("Hold out a part"), lambda: _hold_out(session, dataset))
            button(say("Save a version"), lambda: _save(session, dataset), "primary")
    if not versions:
        note(
            say("No version yet"),
            say("A version lists all files as they are now; jobs read versions."),
            command_line=f"madang dataset version {dataset.name}",
        )
        return
    wanted = session.query.get("version")
    version = next((one for one in versions if str(one.number) == wanted), versions[0])
    if len(versions) > 1:
        tabs(
            [
                (
                    str(one.number),
                    say("Version {number}", number=one.number),
                    session.link(version=str(one.number), view=None, cursor=None),
                )
                for one in versions
            ],
            str(version.number),
        )
    _report(session, dataset, version)
    await _items(session, dataset, version)
    html(f"<h2>{escape(say('In a job'))}</h2>")
    command(f"madang job run --dataset {version.ref} -- python train.py", say("Copy"))
    refresh_on(session, (f"dataset:{dataset.id}",), lambda: _reload(session))


def _report(session: PortalSession, dataset: Dataset, version: DatasetVersion) -> None:
    say, report = session.say, version.report
    formats = ", ".join(f"{name or '–'}: {count:,}" for name, count in report.formats.items())
    problems = sum(report.skipped.values())
    with ui.element("div").classes("m-two"):
        with ui.element("div").classes("m-card"):
            facts(
                [
                    (say("Reference"), f'<code class="m-mono">{escape(version.ref)}</code>'),
                    (say("Items"), f"{version.num_items:,}"),
                    (say("Size"), size(version.total_bytes)),
                    (say("Classes"), str(len(report.classes)) if report.classes else ""),
                    (say("Largest class to smallest"),
                     f"{report.imbalance:.2f}" if report.imbalance else ""),
                    (say("File sizes"), f"{size(report.sizes.min)} – {size(report.sizes.max)}"),
                    (say("Formats"), escape(formats)),
                    (say("Passed over"), f"{problems:,}" if problems else ""),
                    (say("Views"), escape(", ".join(_view_words(dataset)))),
                    (say("Saved"), moment(version.created_at)),
                    (say("By"), escape(version.created_by)),
                ]
            )  # fmt: skip
        with ui.element("div").classes("m-card"):
            html(f"<b>{escape(say('Items of each class'))}</b>")
            _class_bars(session, report.classes)


def _class_bars(session: PortalSession, classes: list[DatasetClass]) -> None:
    if not classes:
        html(f'<p class="m-muted">{escape(session.say("Its files are in no class folders."))}</p>')
        return
    bars([(one.name, one.count, f"{one.count:,}") for one in classes[:CLASSES]])
    if len(classes) > CLASSES:
        more = session.say("and {count} more", count=len(classes) - CLASSES)
        html(f'<p class="m-muted">{escape(more)}</p>')


async def _items(session: PortalSession, dataset: Dataset, version: DatasetVersion) -> None:
    say = session.say
    view = session.query.get("view")
    html(f"<h2>{escape(say('Items'))}</h2>")
    if dataset.views:
        choices = [("", say("All"), session.link(view=None, cursor=None))]
        choices += [(one.name, one.name, session.link(view=one.name, cursor=None))
                    for one in dataset.views]  # fmt: skip
        tabs(choices, view or "")

    async def fetch(limit: int, cursor: str | None) -> Page[DatasetItem]:
        return await session.client.datasets.items(
            dataset.id, version.number, view=view, limit=limit, cursor=cursor
        )

    table = ServerTable(
        session,
        fetch,
        [
            Column(say("Path"), lambda item: escape(item.path), lambda item: item.path),
            Column(say("Class"), lambda item: escape(item.label or "–"), lambda item: item.label),
            Column(say("Size"), lambda item: size(item.size), lambda item: item.size,
                   numeric=True),
        ],
        key=lambda item: item.path,
        name=lambda item: item.path,
        href=lambda item: "",
        empty=lambda: note(say("Nothing is in here"), say("No file is in this view.")),
        page_size=20,
    )  # fmt: skip
    await table.build()


def _view_words(dataset: Dataset) -> list[str]:
    return [f"{view.name} ({100 * (view.end - view.start):.0f} %)" for view in dataset.views]


def _source(dataset: Dataset) -> str:
    return f"{dataset.folder}/{dataset.path}" if dataset.path else dataset.folder


async def _reload(session: PortalSession) -> None:
    ui.navigate.to(session.link())


async def _save(session: PortalSession, dataset: Dataset) -> None:
    ui.notify(session.say("Listing its files…"))
    try:
        version = await session.client.datasets.create_version(dataset.id)
    except MadangError as error:
        ui.notify(sentence(str(error)), type="negative", multi_line=True)
        return
    ui.notify(session.say("Version {number} holds what the folder has.", number=version.number))
    ui.navigate.to(session.link(version=str(version.number)))


def _hold_out(session: PortalSession, dataset: Dataset) -> None:
    say = session.say

    async def hold_out(values: dict[str, str]) -> None:
        try:
            percent = float(values["percent"])
        except ValueError:
            raise InvalidInput(say("The part is a number of percent.")) from None
        await session.client.datasets.hold_out(
            dataset.id, percent / 100, name=values["name"], rest=values["rest"]
        )

    form_dialog(
        session,
        say("Hold out a part"),
        {"name": say("Name of the part"), "percent": say("Percent of the items"),
         "rest": say("Name of the rest")},
        hold_out,
        values={"name": "test", "percent": "20", "rest": "train"},
    )  # fmt: skip
