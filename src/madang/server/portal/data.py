"""Data: folders and datasets, and what is in a folder."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from nicegui import events, ui

from madang.core.errors import MadangError
from madang.schemas import Page
from madang.schemas.datasets import Dataset
from madang.schemas.files import Entry, EntryKind, from_wire
from madang.schemas.folders import Folder, FolderAccessLevel
from madang.server.portal.components import (
    bars,
    chip,
    command,
    facts,
    html,
    js,
    moment,
    note,
    size,
    tabs,
)
from madang.server.portal.dialogs import button, confirm_by_name, form_dialog
from madang.server.portal.frame import header, page
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession
from madang.server.portal.table import Column, Filter, ServerTable


@page("/data", title="Data", section="/data")
async def data_page(session: PortalSession) -> None:
    say = session.say
    current = session.query.get("tab", "folders")
    sentence = say("Folders hold files; datasets are folders with versions that never change.")
    with header(say("Data"), sentence):
        button(say("New folder"), lambda: _new_folder(session), "primary")
    kinds = (("folders", say("Folders")), ("datasets", say("Datasets")))
    tabs(
        [(key, label, session.link(tab=key, cursor=None, name=None)) for key, label in kinds],
        current,
    )
    table = _datasets(session) if current == "datasets" else _folders(session)
    await table.build()
    refresh_on(session.context.bus, ("folder:", "dataset:"), table.refresh)
    if session.query.get("new") == "folder":
        _new_folder(session)


def _folders(session: PortalSession) -> ServerTable[Folder]:
    say = session.say

    async def fetch(limit: int, cursor: str | None, **filters: str) -> Page[Folder]:
        return await session.client.folders.list(limit=limit, cursor=cursor, **filters)

    def empty() -> None:
        note(
            say("No folders yet"),
            say("A folder keeps files beyond jobs; it is mounted in them by its name."),
            command_line="madang folder create digits\nmadang folder upload ./digits digits:/",
        )

    return ServerTable(
        session,
        fetch,
        [
            Column(
                say("Name"),
                lambda folder: f'<a href="{_folder_link(folder)}">{escape(folder.name)}</a>',
                lambda folder: folder.name,
            ),
            Column(say("Used"), _used, lambda folder: folder.usage and folder.usage.num_bytes),
            Column(say("You may"), lambda folder: escape(say(folder.access.value)),
                   lambda folder: folder.access.value),
            Column(say("Owner"), lambda folder: escape(folder.owner), lambda folder: folder.owner),
            Column(say("Created"), lambda folder: moment(folder.created_at),
                   lambda folder: folder.created_at),
        ],
        key=lambda folder: folder.id,
        href=_folder_link,
        empty=empty,
        filters=[Filter("name", say("Search by name"))],
    )  # fmt: skip


def _datasets(session: PortalSession) -> ServerTable[Dataset]:
    say = session.say

    async def fetch(limit: int, cursor: str | None, **filters: str) -> Page[Dataset]:
        return await session.client.datasets.list(limit=limit, cursor=cursor, **filters)

    def empty() -> None:
        note(
            say("No datasets yet"),
            say("A dataset is a folder whose content is saved as numbered versions."),
            command_line="madang dataset create digits --from folder:digits",
        )

    return ServerTable(
        session,
        fetch,
        [
            Column(
                say("Name"),
                lambda one: f'<a href="/data/datasets/{quote(one.id)}">{escape(one.name)}</a>',
                lambda one: one.name,
            ),
            Column(say("Newest version"), lambda one: _latest(session, one),
                   lambda one: one.latest and one.latest.ref),
            Column(say("Folder"), lambda one: escape(one.folder), lambda one: one.folder),
            Column(say("Created"), lambda one: moment(one.created_at),
                   lambda one: one.created_at),
        ],
        key=lambda one: one.id,
        href=lambda one: f"/data/datasets/{quote(one.id)}",
        empty=empty,
        filters=[Filter("name", say("Search by name"))],
    )  # fmt: skip


@page("/data/folders/{folder}", title="Folder", section="/data")
async def folder_page(session: PortalSession) -> None:
    say, client = session.say, session.client
    folder = await client.folders.get(session.path_values["folder"])
    path = session.query.get("path", "")
    writes = folder.access.includes(FolderAccessLevel.READ_WRITE) and not folder.read_only
    with header(folder.name, _folder_sentence(session, folder)):
        if writes:
            button(say("New directory"), lambda: _new_directory(session, folder, path))
        archive = _file_link(folder, path)
        html(escape(say("Download all")), tag="button").classes("m-button").props(
            f'onclick="madang.download({js(archive)}, {js(folder.id)}, true)"'
        )
        if folder.access.includes(FolderAccessLevel.MANAGE) and not folder.in_place:
            button(say("To the trash"), lambda: _trash(session, folder), "danger")
    html(_crumbs(session, folder, path)).classes("m-bar")

    async def fetch(limit: int, cursor: str | None, **filters: str) -> Page[Entry]:
        return await client.folders.browse(folder.id, path, limit=limit, cursor=cursor, **filters)

    def empty() -> None:
        note(
            say("Nothing is in here"),
            say("Drop files above, or upload them from the command line."),
            command_line=f"madang folder upload ./FILES {folder.name}:/{path}",
        )

    async def remove(keys: list[str]) -> None:
        for key in keys:
            await client.folders.remove(folder.id, key)
        ui.notify(say("{count} removed; they can be restored.", count=len(keys)))

    table = ServerTable(
        session,
        fetch,
        [
            Column(say("Name"), lambda entry: _entry_name(session, folder, entry),
                   lambda entry: entry.name),
            Column(say("Size"), lambda entry: "" if entry.kind is EntryKind.DIRECTORY
                   else size(entry.size), lambda entry: entry.size, numeric=True),
            Column(say("Changed"), lambda entry: moment(entry.modified_at),
                   lambda entry: entry.modified_at),
        ],
        key=lambda entry: entry.path,
        href=lambda entry: _entry_link(session, entry),
        empty=empty,
        bulk=[(say("Remove chosen"), remove)] if writes else [],
        page_size=200,
    )  # fmt: skip
    if writes:
        drop = html(
            f"{escape(say('Drop files here, or'))} "
            f'<label class="m-button">{escape(say("choose files"))}'
            '<input type="file" multiple hidden></label>'
            '<div class="m-muted" role="status"></div>'
        ).classes("m-drop")
        target = _file_link(folder, path)
        drop.props(f'data-upload="{escape(target)}" data-folder="{escape(folder.id)}"')
        drop.style("margin-bottom:12px").on("uploaded", table.refresh)
    await table.build()
    html(f"<h2>{escape(say('The same on the command line'))}</h2>")
    command(f"madang folder ls {folder.name}:/{path}", say("Copy"))
    refresh_on(session.context.bus, (f"folder:{folder.id}",), table.refresh)


@page("/data/datasets/{dataset}", title="Dataset", section="/data")
async def dataset_page(session: PortalSession) -> None:
    say, client = session.say, session.client
    dataset = await client.datasets.get(session.path_values["dataset"])
    versions = await client.datasets.versions(dataset.id)

    async def save() -> None:
        try:
            version = await client.datasets.create_version(dataset.id)
            ui.notify(say("Version {number} holds what the folder has.", number=version.number))
            ui.navigate.reload()
        except MadangError as error:
            ui.notify(str(error), type="negative")

    with header(dataset.name, dataset.description or say("From folder {folder}",
                                                         folder=dataset.folder)):  # fmt: skip
        button(say("Save a version"), save, "primary")
    wanted = session.query.get("version")
    version = next(
        (one for one in versions.items if str(one.number) == wanted),
        versions.items[0] if versions.items else None,
    )
    if version is None:
        note(
            say("No version yet"),
            say("A version lists all files as they are now; jobs read versions."),
            command_line=f"madang dataset version {dataset.name}",
        )
        return
    tabs(
        [
            (str(one.number), say("Version {number}", number=one.number),
             session.link(version=str(one.number)))
            for one in versions.items
        ],
        str(version.number),
    )  # fmt: skip
    report = version.report
    with ui.element("div").classes("m-two"):
        with ui.element("div").classes("m-card"):
            facts(
                [
                    (say("Items"), f"{version.num_items:,}"),
                    (say("Size"), size(version.total_bytes)),
                    (say("Classes"), str(len(report.classes))),
                    (say("Imbalance"), f"{report.imbalance:.2f}" if report.imbalance else ""),
                    (say("File sizes"), f"{size(report.sizes.min)} – {size(report.sizes.max)}"),
                    (say("Formats"), escape(", ".join(
                        f"{name or '–'}: {count:,}" for name, count in report.formats.items()))),
                    (say("Views"), escape(", ".join(view.name for view in dataset.views))),
                    (say("Saved"), moment(version.created_at)),
                    (say("By"), escape(version.created_by)),
                    (say("In a job"), f'<code class="m-mono">{escape(version.ref)}</code>'),
                ]
            )  # fmt: skip
        with ui.element("div").classes("m-card"):
            html(f"<b>{escape(say('Items of each class'))}</b>")
            _class_bars(session, [(one.name, one.count) for one in report.classes])


def _class_bars(session: PortalSession, classes: list[tuple[str, int]]) -> None:
    shown = classes[:40]
    bars([(name, count, f"{count:,}") for name, count in shown])
    if len(classes) > len(shown):
        more = session.say("and {count} more", count=len(classes) - len(shown))
        html(f'<p class="m-muted">{escape(more)}</p>')


def _folder_sentence(session: PortalSession, folder: Folder) -> str:
    say = session.say
    if folder.quota and folder.usage:
        return say(
            "{used} of {limit} used, {mode}; owned by {owner}.",
            used=size(folder.usage.num_bytes),
            limit=size(folder.quota.limit_bytes),
            mode=say(folder.quota.mode),
            owner=folder.owner,
        )
    if folder.in_place:
        return say("A directory that was there before, used in place.")
    return say("Owned by {owner}.", owner=folder.owner)


def _used(folder: Folder) -> str:
    if folder.usage is None:
        return "–"
    limit = f" / {size(folder.quota.limit_bytes)}" if folder.quota else ""
    return f"{size(folder.usage.num_bytes)}{limit}"


def _latest(session: PortalSession, dataset: Dataset) -> str:
    if dataset.latest is None:
        return chip("pending", session.say("No version yet"))
    return escape(
        session.say(
            "{ref}: {items} items, {size}",
            ref=dataset.latest.ref,
            items=f"{dataset.latest.num_items:,}",
            size=size(dataset.latest.total_bytes),
        )
    )


def _folder_link(folder: Folder) -> str:
    return f"/data/folders/{quote(folder.id)}"


def _file_link(folder: Folder, path: str) -> str:
    return f"{folder.files_url}/{quote(from_wire(path))}" if path else folder.files_url


def _entry_link(session: PortalSession, entry: Entry) -> str:
    return session.link(path=entry.path) if entry.kind is EntryKind.DIRECTORY else ""


def _entry_name(session: PortalSession, folder: Folder, entry: Entry) -> str:
    name = escape(entry.name)
    if entry.kind is EntryKind.DIRECTORY:
        return f'<a href="{escape(session.link(path=entry.path, cursor=None))}">{name}/</a>'
    if entry.kind is EntryKind.FILE:
        address = js(_file_link(folder, entry.path))
        return (
            f'<a href="#" onclick="madang.download({address}, {js(folder.id)}, false);'
            f'return false">{name}</a>'
        )
    return f'{name} <span class="m-muted">→ {escape(entry.link_target or entry.kind)}</span>'


def _crumbs(session: PortalSession, folder: Folder, path: str) -> str:
    parts = [part for part in path.split("/") if part]
    links = [f'<a href="{escape(session.link(path=None, cursor=None))}">{escape(folder.name)}</a>']
    for position, part in enumerate(parts):
        link = session.link(path="/".join(parts[: position + 1]), cursor=None)
        links.append(f'<a href="{escape(link)}">{escape(part)}</a>')
    return " / ".join(links)


def _new_folder(session: PortalSession) -> None:
    async def create(values: dict[str, str]) -> None:
        folder = await session.client.folders.create(values["name"])
        ui.navigate.to(_folder_link(folder))

    form_dialog(session, session.say("New folder"), {"name": session.say("Name")}, create)


def _new_directory(session: PortalSession, folder: Folder, path: str) -> None:
    async def create(values: dict[str, str]) -> None:
        below = f"{path}/{values['path']}" if path else values["path"]
        await session.client.folders.make_directory(folder.id, below)
        ui.navigate.reload()

    form_dialog(session, session.say("New directory"), {"path": session.say("Name")}, create)


def _trash(session: PortalSession, folder: Folder) -> None:
    async def trash(_: events.ClickEventArguments | None = None) -> None:
        await session.client.folders.trash(folder.id)
        ui.navigate.to("/data")

    lost = session.say("The folder can be restored from the trash for a while.")
    confirm_by_name(session, folder.name, lost, trash)
