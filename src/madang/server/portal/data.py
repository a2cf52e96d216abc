"""Data: the lists of folders, of datasets, and of what is in the trash."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from nicegui import ui

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.datasets import Dataset
from madang.schemas.folders import Folder, FolderAccessLevel
from madang.server.portal.components import chip, moment, note, size, tabs
from madang.server.portal.dialogs import button, form_dialog
from madang.server.portal.frame import header, page, role_note
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession
from madang.server.portal.table import Column, ServerTable


@page("/data", title="Data", section="/data")
async def data_page(session: PortalSession) -> None:
    say = session.say
    current = session.query.get("tab", "folders")
    sentence = say("Folders hold files; datasets are folders with versions that never change.")
    with header(say("Data"), sentence):
        if session.may(Permission.FOLDERS_WRITE):
            button(say("New folder"), lambda: _new_folder(session), "primary")
    role_note(session, Permission.FOLDERS_WRITE)
    kinds = (("folders", say("Folders")), ("datasets", say("Datasets")), ("trash", say("Trash")))
    tabs(
        [(key, label, session.link(tab=key, cursor=None, new=None)) for key, label in kinds],
        current,
    )
    table: ServerTable[Dataset] | ServerTable[Folder]
    if current == "datasets":
        table = _datasets(session)
    else:
        table = _trash(session) if current == "trash" else _folders(session)
    await table.build()
    changes = session.topic("datasets" if current == "datasets" else "folders")
    refresh_on(session, (changes,), table.refresh)
    if session.query.get("new") == "folder":
        _new_folder(session)


def folder_link(folder: Folder) -> str:
    return f"/data/folders/{quote(folder.id)}"


def dataset_link(dataset: Dataset) -> str:
    return f"/data/datasets/{quote(dataset.id)}"


def access_words(session: PortalSession, access: FolderAccessLevel) -> str:
    """What she may do in a folder."""
    say = session.say
    return {
        FolderAccessLevel.NONE: say("nothing"),
        FolderAccessLevel.READ_ONLY: say("read"),
        FolderAccessLevel.READ_WRITE: say("read and write"),
        FolderAccessLevel.MANAGE: say("manage"),
    }[access]


def _folders(session: PortalSession) -> ServerTable[Folder]:
    say = session.say

    async def fetch(limit: int, cursor: str | None) -> Page[Folder]:
        return await session.client.folders.list(limit=limit, cursor=cursor)

    def empty() -> None:
        note(
            say("No folders yet"),
            say("A folder keeps files beyond jobs; it is mounted in them by its name."),
            command_line="madang folder create digits\nmadang folder upload digits ./digits",
        )

    return ServerTable(
        session,
        fetch,
        [
            Column(say("Name"),
                   lambda folder: f'<a href="{folder_link(folder)}">{escape(folder.name)}</a>',
                   lambda folder: folder.name),
            Column(say("Used"), _used, lambda folder: folder.usage and folder.usage.num_bytes,
                   numeric=True),
            Column(say("You may"), lambda folder: escape(access_words(session, folder.access)),
                   lambda folder: folder.access.value),
            Column(say("Owner"), lambda folder: escape(folder.owner), lambda folder: folder.owner),
            Column(say("Created"), lambda folder: moment(folder.created_at),
                   lambda folder: folder.created_at),
        ],
        key=lambda folder: folder.id,
        name=lambda folder: folder.name,
        href=folder_link,
        empty=empty,
    )  # fmt: skip


def _trash(session: PortalSession) -> ServerTable[Folder]:
    say = session.say

    async def fetch(limit: int, cursor: str | None) -> Page[Folder]:
        return await session.client.folders.list(limit=limit, cursor=cursor, trashed=True)

    async def restore(keys: list[str]) -> None:
        for key in keys:
            await session.client.folders.restore(key)
        ui.notify(say("{count} restored.", count=len(keys)))

    def empty() -> None:
        note(
            say("The trash is empty"),
            say("A folder that is removed stays here for a while and can be restored."),
        )

    return ServerTable(
        session,
        fetch,
        [
            Column(say("Name"), lambda folder: escape(folder.name), lambda folder: folder.name),
            Column(say("Owner"), lambda folder: escape(folder.owner), lambda folder: folder.owner),
            Column(say("Removed"), lambda folder: moment(folder.trashed_at),
                   lambda folder: folder.trashed_at),
        ],
        key=lambda folder: folder.id,
        name=lambda folder: folder.name,
        href=folder_link,
        empty=empty,
        bulk=[(say("Restore chosen"), restore)]
        if session.may(Permission.FOLDERS_WRITE) else [],
    )  # fmt: skip


def _datasets(session: PortalSession) -> ServerTable[Dataset]:
    say = session.say

    async def fetch(limit: int, cursor: str | None) -> Page[Dataset]:
        return await session.client.datasets.list(limit=limit, cursor=cursor)

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
            Column(say("Name"),
                   lambda one: f'<a href="{dataset_link(one)}">{escape(one.name)}</a>',
                   lambda one: one.name),
            Column(say("Newest version"), lambda one: _latest(session, one),
                   lambda one: one.latest and one.latest.ref),
            Column(say("Folder"), lambda one: escape(one.folder), lambda one: one.folder),
            Column(say("Created"), lambda one: moment(one.created_at),
                   lambda one: one.created_at),
        ],
        key=lambda one: one.id,
        name=lambda one: one.name,
        href=dataset_link,
        empty=empty,
    )  # fmt: skip


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


def _new_folder(session: PortalSession) -> None:
    async def create(values: dict[str, str]) -> None:
        folder = await session.client.folders.create(values["name"])
        ui.navigate.to(folder_link(folder))

    form_dialog(session, session.say("New folder"), {"name": session.say("Name")}, create)
