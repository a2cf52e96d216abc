# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Folders and their files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from madang.client._sync._base import Resource
from madang.client._sync.transfers import Transfer
from madang.client._local_files import (
    LocalFile,
    OnProgress,
    Tally,
    Transferred,
    look_at,
    remote_path,
)
from madang.core.errors import NotFound
from madang.core.resources import parse_bytes
from madang.schemas import Page
from madang.schemas.files import Entry, EntryKind, EntrySort, TrashedEntry, to_wire
from madang.schemas.folders import Folder, Grant

T = TypeVar("T")

PARALLEL = 4


class Folders(Resource):
    """`client.folders`: named directories that people and jobs share.

    A folder is meant by its name (in `project`, else the client's), `PROJECT/NAME` or id. Paths
    are as Python's `os` functions give them: any name of a file works.
    """

    def list(
        self,
        *,
        project: str | None = None,
        trashed: bool = False,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Folder]:
        """One page of the folders that you see, newest first; `trashed`: those in the trash."""
        params = {
            "project": project or self._project,
            "trashed": trashed,
            "limit": limit,
            "cursor": cursor,
        }
        return self._transport.call(Page[Folder], "GET", "folders", params=params)

    def iterate(
        self, *, project: str | None = None, trashed: bool = False
    ) -> Iterator[Folder]:
        """All folders that you see, fetched page by page."""
        cursor = None
        while True:
            page = self.list(project=project, trashed=trashed, limit=200, cursor=cursor)
            for folder in page.items:
                yield folder
            if (cursor := page.next_cursor) is None:
                return

    def get(self, folder: str, *, project: str | None = None) -> Folder:
        """One folder, from the trash too. Raises NotFound."""
        return self._call(Folder, "GET", folder, project)

    def create(
        self,
        name: str,
        *,
        project: str | None = None,
        description: str = "",
        share: str = "read-write",
    ) -> Folder:
        """Make a folder; `share` is what the project's members may do: none, read-only or
        read-write. Raises Conflict when the name is taken."""
        body = {
            "name": name,
            "project": project or self._project,
            "description": description,
            "share": share,
        }
        return self._transport.call(Folder, "POST", "folders", json=body)

    def register(
        self,
        path: str,
        *,
        name: str | None = None,
        project: str | None = None,
        read_only: bool = True,
        identity: str = "mapped",
        share: str = "read-only",
    ) -> Folder:
        """Use a directory that exists on the nodes, where it is (administrators)."""
        body = {
            "path": path,
            "name": name,
            "project": project or self._project,
            "read_only": read_only,
            "identity": identity,
            "share": share,
        }
        return self._transport.call(Folder, "POST", "folders/register", json=body)

    def change(
        self,
        folder: str,
        *,
        name: str | None = None,
        description: str | None = None,
        project: str | None = None,
    ) -> Folder:
        """Rename it, or describe it anew. Raises Conflict when the name is taken."""
        body = {"name": name, "description": description}
        return self._call(Folder, "PATCH", folder, project, json=body)

    def trash(self, folder: str, *, project: str | None = None) -> Folder:
        """Put it into the trash. Raises Conflict while a live workload has it mounted."""
        return self._call(Folder, "DELETE", folder, project)

    def restore(
        self, folder: str, *, name: str | None = None, project: str | None = None
    ) -> Folder:
        """Take it out of the trash, under another `name` if its own is taken by now."""
        return self._call(Folder, "POST", folder, project, "restore", json={"name": name})

    def purge(self, folder: str, *, project: str | None = None) -> None:
        """Remove a folder that is in the trash for good."""
        self._send("POST", folder, project, "purge")

    def grants(self, folder: str, *, project: str | None = None) -> Page[Grant]:
        """Whom it is shared with."""
        return self._call(Page[Grant], "GET", folder, project, "grants")

    def share(
        self,
        folder: str,
        *,
        user: str | None = None,
        with_project: str | None = None,
        access: str | None = "read-only",
        project: str | None = None,
    ) -> None:
        """Share it with a person or with all members of a project: read-only or read-write.
        `access=None` stops that."""
        kind, name = ("user", user) if user is not None else ("project", with_project)
        body = {"kind": kind, "name": name, "access": access}
        self._send("PUT", folder, project, "grants", json=body)

    def set_quota(
        self, folder: str, limit: int | str | None, *, project: str | None = None
    ) -> Folder:
        """Limit it to so many bytes, e.g. `"50GiB"`; None lifts the limit (administrators)."""
        body = {"limit_bytes": None if limit is None else parse_bytes(limit, "limit")}
        return self._call(Folder, "PUT", folder, project, "quota", json=body)

    def measure(self, folder: str, *, project: str | None = None) -> Folder:
        """Count its files and bytes now; they are in `usage` of what is returned."""
        return self._call(Folder, "POST", folder, project, "usage")

    def entries(
        self,
        folder: str,
        path: str = "",
        *,
        sort: EntrySort | str = EntrySort.NAME,
        descending: bool = False,
        limit: int = 200,
        cursor: str | None = None,
        project: str | None = None,
    ) -> Page[Entry]:
        """One page of a directory, directories first. Names and paths in it are as on the wire:
        `madang.schemas.files.from_wire` gives the bytes."""
        params = {
            "path": to_wire(path),
            "sort": str(sort),
            "descending": descending,
            "limit": limit,
            "cursor": cursor,
        }
        return self._call(Page[Entry], "GET", folder, project, "entries", params=params)

    def iterate_entries(
        self, folder: str, path: str = "", *, project: str | None = None
    ) -> Iterator[Entry]:
        """All of a directory, fetched page by page."""
        cursor = None
        while True:
            page = self.entries(folder, path, limit=1000, cursor=cursor, project=project)
            for entry in page.items:
                yield entry
            if (cursor := page.next_cursor) is None:
                return

    def entry(self, folder: str, path: str, *, project: str | None = None) -> Entry:
        """One file or directory, described. Raises NotFound."""
        params = {"path": to_wire(path)}
        return self._call(Entry, "GET", folder, project, "entry", params=params)

    def make_directory(self, folder: str, path: str, *, project: str | None = None) -> Entry:
        """Make a directory, with those above it; one that exists is fine."""
        body = {"path": to_wire(path)}
        return self._call(Entry, "POST", folder, project, "directories", json=body)

    def move(
        self,
        folder: str,
        source: str,
        target: str,
        *,
        overwrite: bool = False,
        project: str | None = None,
    ) -> Entry:
        """Give something a new path. Raises Conflict when that exists."""
        body = {"source": to_wire(source), "target": to_wire(target), "overwrite": overwrite}
        return self._call(Entry, "POST", folder, project, "move", json=body)

    def remove(
        self, folder: str, path: str, *, permanent: bool = False, project: str | None = None
    ) -> None:
        """Put a file or directory into the folder's trash, or remove it for good."""
        params = {"path": to_wire(path), "permanent": permanent}
        self._send("DELETE", folder, project, "entries", params=params)

    def trashed_entries(
        self, folder: str, *, project: str | None = None
    ) -> Page[TrashedEntry]:
        """What was removed inside the folder, newest first."""
        return self._call(Page[TrashedEntry], "GET", folder, project, "trash")

    def restore_entry(
        self, folder: str, entry_id: str, *, project: str | None = None
    ) -> Entry:
        """Put something back where it was. Raises Conflict when there is something by now."""
        return self._call(Entry, "POST", folder, project, f"trash/{entry_id}/restore")

    def empty_trash(
        self, folder: str, *, entry_id: str | None = None, project: str | None = None
    ) -> None:
        """Remove all (or one thing) in the folder's trash for good."""
        params = {"entry": entry_id}
        self._send("DELETE", folder, project, "trash", params=params)

    def upload(
        self,
        folder: str,
        local: str | os.PathLike[str],
        remote: str = "",
        *,
        progress: OnProgress | None = None,
        parallel: int = PARALLEL,
        project: str | None = None,
    ) -> Transferred:
        """Send a file or everything below a directory to `remote` in the folder.

        Files that are there already with the same size and time are passed over, and an upload of
        a large file that was broken off goes on where it was: calling it again is how to resume.
        Raises NotFound, LimitExceeded (quota), OutOfSpace, Conflict when a file changes meanwhile.
        """
        found = self.get(folder, project=project)
        is_file = not os.path.isdir(local)
        target = remote_path(remote, local, is_file)
        tree = look_at(local, target)
        files = tree.files
        if not is_file:
            there = self._files_there(found.id, target, tree.directories)
            files = [file for file in tree.files if not _is_there(file, there)]
        tally = Tally(progress, sum(file.size for file in files), len(files))
        transfer = Transfer(self._transport, found.files_url, tally, parallel)
        sent = transfer.send(files, tree.links, tree.empty_directories)
        return Transferred(
            sent.files,
            sent.num_bytes,
            len(tree.files) - len(files),
            tree.left_out + sent.left_out,
        )

    def download(
        self,
        folder: str,
        remote: str = "",
        local: str | os.PathLike[str] = ".",
        *,
        progress: OnProgress | None = None,
        project: str | None = None,
    ) -> Transferred:
        """Fetch a file, or everything below a directory, to `local`.

        A file goes into `local` when that is a directory. Links that lead out of `local` are left
        out. A download of one file that was broken off goes on where it was.
        """
        found = self.get(folder, project=project)
        path = os.fsencode(remote.strip("/"))
        tally = Tally(progress)
        transfer = Transfer(self._transport, found.files_url, tally, 1)
        if path:
            entry = self.entry(found.id, remote.strip("/"))
            if entry.kind is not EntryKind.DIRECTORY:
                target = Path(local)
                if target.is_dir():
                    target = target / os.fsdecode(path.rpartition(b"/")[2])
                tally.total_files = 1
                transfer.fetch_file(path, target, entry.size)
                return Transferred(1, target.stat().st_size)
        return transfer.fetch_tree(path, Path(local))

    def _files_there(
        self, folder_id: str, top: bytes, directories: set[bytes]
    ) -> dict[str, tuple[int, int]]:
        """Size and time of the files in those directories that exist in the folder already."""
        there: dict[str, tuple[int, int]] = {}
        todo = [top]
        while todo:
            try:
                for entry in self.iterate_entries(folder_id, os.fsdecode(todo.pop())):
                    if entry.kind is EntryKind.FILE:
                        there[entry.path] = (entry.size, entry.modified_ns)
                    elif entry.kind is EntryKind.DIRECTORY:
                        todo += [path for path in directories if to_wire(path) == entry.path]
            except NotFound:
                continue
        return there

    def _call(
        self,
        target: type[T],
        method: str,
        folder: str,
        project: str | None,
        below: str = "",
        *,
        params: dict[str, Any] | None = None,
        json: Any = None,
    ) -> T:
        path, where = self._address(folder, project, below)
        return self._transport.call(
            target, method, path, params=where | (params or {}), json=json
        )

    def _send(
        self,
        method: str,
        folder: str,
        project: str | None,
        below: str,
        *,
        params: dict[str, Any] | None = None,
        json: Any = None,
    ) -> None:
        path, where = self._address(folder, project, below)
        self._transport.request(
            method, f"/api/v1/{path}", params=where | (params or {}), json=json
        )

    def _address(self, folder: str, project: str | None, below: str) -> tuple[str, dict[str, Any]]:
        if "/" in folder:
            project, _, folder = folder.partition("/")
        path = f"folders/{quote(folder, safe='')}" + (f"/{below}" if below else "")
        return path, {"project": project or self._project}


def _is_there(file: LocalFile, there: dict[str, tuple[int, int]]) -> bool:
    return there.get(to_wire(file.remote)) == (file.size, file.modified_ns)
