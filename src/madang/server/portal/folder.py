"""A folder: what is in it, uploading, downloading, its trash."""

from __future__ import annotations

import json
import os
import shlex
from html import escape
from urllib.parse import quote

from nicegui import events, ui

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.files import Entry, EntryKind, TrashedEntry, from_wire, to_wire
from madang.schemas.folders import Folder, FolderAccessLevel
from madang.server.portal.components import (
    command,
    html,
    js,
    link_button,
    moment,
    note,
    sentence,
    size,
    with_attributes,
)
from madang.server.portal.data import dataset_link
from madang.server.portal.dialogs import button, confirm_by_name, form_dialog
from madang.server.portal.folder_jobs import file_actions
from madang.server.portal.frame import header, page
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession
from madang.server.portal.table import Column, ServerTable

ROWS = 200


@page("/data/folders/{folder}", title="Folder", section="/data")
async def folder_page(session: PortalSession) -> None:
    say = session.say
    folder = await session.client.folders.get(session.path_values["folder"])
    path = session.query.get("path", "")
    in_trash = "trash" in session.query
    writes = folder.access.includes(FolderAccessLevel.READ_WRITE) and not folder.read_only
    writes = writes and folder.trashed_at is None
    with header(folder.name, _sentence(session, folder)):
        _actions(session, folder, path, writes)
    html(_crumbs(session, folder, path, in_trash)).classes("m-bar m-crumbs")
    if in_trash:
        await _trashed(session, folder, writes).build()
        return
    table = _entries(session, folder, path, writes)
    if writes:
        _drop_zone(session, folder, path).on("uploaded", table.refresh)
    await table.build()
    html(f"<h2>{escape(say('The same on the command line'))}</h2>")
    command(f"madang folder ls {_on_command_line(folder, path)}", say("Copy"))
    refresh_on(session, (f"folder:{folder.id}",), table.refresh)
    ui.on("problem", lambda event: ui.notify(sentence(str(event.args)), type="negative"))


def _actions(session: PortalSession, folder: Folder, path: str, writes: bool) -> None:
    say = session.say
    if writes:
        button(say("New directory"), lambda: _new_directory(session, folder, path))
    if folder.access.includes(FolderAccessLevel.READ_ONLY) and folder.trashed_at is None:
        download = (
            f"madangFiles.download({_text(_file_url(folder, path))}, {_text(folder.id)}, true)"
        )
        with_attributes(
            html(escape(say("Download all")), tag="button").classes("m-button"),
            {"type": "button", "onclick": download},
        )
    if session.may(Permission.DATASETS_WRITE) and folder.trashed_at is None:
        button(say("Make a dataset"), lambda: _make_dataset(session, folder, path))
    if writes:
        link_button(say("Trash"), session.link(trash="1", path=None, cursor=None))
    if folder.access.includes(FolderAccessLevel.MANAGE) and writes and not folder.in_place:
        button(say("Remove"), lambda: _remove(session, folder), "danger")


def _entries(
    session: PortalSession, folder: Folder, path: str, writes: bool
) -> ServerTable[Entry]:
    say, client = session.say, session.client

    async def fetch(limit: int, cursor: str | None) -> Page[Entry]:
        return await client.folders.entries(folder.id, _native(path), limit=limit, cursor=cursor)

    def empty() -> None:
        upload = ["madang", "folder", "upload", folder.name, "FILES", *([path] if path else [])]
        note(
            say("Nothing is in here"),
            say("Drop files above, or upload them from the command line.")
            if writes
            else say("You may read here, not write."),
            command_line=shlex.join(upload) if writes else "",
        )

    async def remove(keys: list[str]) -> None:
        for key in keys:
            await client.folders.remove(folder.id, _native(key))
        ui.notify(say("{count} removed; the folder's trash has them.", count=len(keys)))

    may_run = session.may(Permission.JOBS_WRITE)
    work = file_actions(session, folder.name, path) if may_run else []
    return ServerTable(
        session,
        fetch,
        [
            Column(say("Name"), lambda entry: _name(session, folder, entry),
                   lambda entry: entry.name),
            Column(say("Size"), lambda entry: size(entry.size)
                   if entry.kind is EntryKind.FILE else "", lambda entry: entry.size,
                   numeric=True),
            Column(say("Changed"), lambda entry: moment(entry.modified_at),
                   lambda entry: entry.modified_at),
        ],
        key=lambda entry: entry.path,
        name=lambda entry: entry.name,
        href=lambda entry: _entry_link(session, entry),
        empty=empty,
        bulk=[(say("Remove chosen"), remove), *work] if writes else [],
        page_size=ROWS,
    )  # fmt: skip


def _trashed(session: PortalSession, folder: Folder, writes: bool) -> ServerTable[TrashedEntry]:
    say, client = session.say, session.client

    async def fetch(limit: int, cursor: str | None) -> Page[TrashedEntry]:
        return await client.folders.trashed_entries(folder.id)

    async def restore(keys: list[str]) -> None:
        for key in keys:
            await client.folders.restore_entry(folder.id, key)
        ui.notify(say("{count} restored.", count=len(keys)))

    return ServerTable(
        session,
        fetch,
        [
            Column(say("Name"), lambda entry: escape(entry.path), lambda entry: entry.path),
            Column(say("Size"), lambda entry: size(entry.size)
                   if entry.kind is EntryKind.FILE else "", lambda entry: entry.size,
                   numeric=True),
            Column(say("By"), lambda entry: escape(entry.removed_by),
                   lambda entry: entry.removed_by),
            Column(say("Removed"), lambda entry: moment(entry.removed_at),
                   lambda entry: entry.removed_at),
        ],
        key=lambda entry: entry.id,
        name=lambda entry: entry.path,
        href=lambda entry: "",
        empty=lambda: note(say("The trash is empty"), say("What is removed in here waits here.")),
        bulk=[(say("Restore chosen"), restore)] if writes else [],
    )  # fmt: skip


def _drop_zone(session: PortalSession, folder: Folder, path: str) -> ui.html:
    """Where files are dropped or chosen; files.js sends them to the gateway."""
    say = session.say
    later = {name: f"{{{name}}}" for name in ("done", "all", "sent", "total", "left")}
    words = {  # the browser fills the numbers in
        "under_way": say("{done} of {all} files, {sent} of {total}", **later),
        "all": say("{done} uploaded.", **later),
        "some": say("{done} uploaded, {left} not.", **later),
        "exists": say("A file of this name is there already."),
        "replace": say("Replace it"),
        "skip": say("Leave it"),
        "again": say("Try again"),
        "unreachable": say("The gateway does not answer."),
    }
    zone = html(
        f"<p>{escape(say('Drop files or folders here, or'))} "
        f'<label class="m-button" tabindex="0">{escape(say("choose files"))}'
        f'<input type="file" multiple aria-label="{escape(say("choose files"))}"></label></p>'
        '<div class="m-muted" role="status"></div><div class="m-uploads"></div>'
    ).classes("m-drop")
    return with_attributes(
        zone,
        {
            "data-upload": _file_url(folder, path),
            "data-folder": folder.id,
            "data-words": json.dumps(words),
        },
    )


def _sentence(session: PortalSession, folder: Folder) -> str:
    say = session.say
    if folder.trashed_at is not None:
        return say("In the trash; restore it to use it.")
    if folder.quota and folder.usage:
        return say(
            "{used} of {limit} used, {mode}; owned by {owner}.",
            used=size(folder.usage.num_bytes),
            limit=size(folder.quota.limit_bytes),
            mode=say("enforced") if folder.quota.mode == "enforced" else say("measured"),
            owner=folder.owner,
        )
    if folder.in_place:
        return say("A directory that was there before, used in place.")
    return say("Owned by {owner}.", owner=folder.owner)


def _name(session: PortalSession, folder: Folder, entry: Entry) -> str:
    name = escape(entry.name)
    if entry.kind is EntryKind.DIRECTORY:
        return f'<a href="{escape(_entry_link(session, entry))}">{name}/</a>'
    if entry.kind is EntryKind.FILE:
        address = js(_file_url(folder, entry.path))
        return (
            f'<a href="#" class="file" onclick="madangFiles.download({address}, '
            f'{js(folder.id)}, false); return false">{name}</a>'
        )
    kind = {EntryKind.SYMLINK: f"→ {entry.link_target}"}.get(entry.kind, session.say("special"))
    return f'{name} <span class="m-muted">{escape(kind)}</span>'


def _crumbs(session: PortalSession, folder: Folder, path: str, in_trash: bool) -> str:
    def link(text: str, path: str | None) -> str:
        address = escape(session.link(path=path, cursor=None, trash=None))
        return f'<a href="{address}">{escape(text)}</a>'

    parts = [part for part in path.split("/") if part]
    links = [f'<a href="/data">{escape(session.say("Data"))}</a>', link(folder.name, None)]
    links += [link(part, "/".join(parts[: number + 1])) for number, part in enumerate(parts)]
    if in_trash:
        links.append(escape(session.say("Trash")))
    return "<span>/</span>".join(links)


def _entry_link(session: PortalSession, entry: Entry) -> str:
    is_directory = entry.kind is EntryKind.DIRECTORY
    return session.link(path=entry.path, cursor=None) if is_directory else ""


def _file_url(folder: Folder, path: str) -> str:
    return f"{folder.files_url}/{quote(from_wire(path))}" if path else folder.files_url


def _on_command_line(folder: Folder, path: str) -> str:
    """Folder and path as words of a command."""
    return shlex.join([folder.name, *([path] if path else [])])


def _native(path: str) -> str:
    return os.fsdecode(from_wire(path))


def _text(text: str) -> str:
    return json.dumps(text)


def _new_directory(session: PortalSession, folder: Folder, path: str) -> None:
    async def create(values: dict[str, str]) -> None:
        below = f"{_native(path)}/{values['name']}" if path else values["name"]
        await session.client.folders.make_directory(folder.id, below)
        ui.navigate.to(session.link(path=to_wire(below), cursor=None))

    form_dialog(session, session.say("New directory"), {"name": session.say("Name")}, create)


def _make_dataset(session: PortalSession, folder: Folder, path: str) -> None:
    async def create(values: dict[str, str]) -> None:
        dataset = await session.client.datasets.create(values["name"], folder.id, _native(path))
        ui.navigate.to(dataset_link(dataset))

    form_dialog(
        session,
        session.say("Make a dataset"),
        {"name": session.say("Name")},
        create,
        values={"name": folder.name},
    )


def _remove(session: PortalSession, folder: Folder) -> None:
    async def trash(_: events.ClickEventArguments | None = None) -> None:
        await session.client.folders.trash(folder.id)
        ui.navigate.to("/data?tab=trash")

    lost = session.say("The folder goes to the trash and can be restored from there for a while.")
    confirm_by_name(session, folder.name, lost, trash)
