"""Artifacts: files of runs and logged models, in the project's folder `artifacts`.

    EXPERIMENT/RUN/artifacts/…              what a run logged
    EXPERIMENT/models/MODEL/artifacts/…     a logged model

The first part says which project a path belongs to; it is checked before the disk is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput, NotFound
from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.storage.folders import ensure_folder, folder_path
from madang.server.storage.paths import (
    DIRECTORY,
    check_relative,
    open_beneath,
    open_file,
    opened,
    opened_parent,
    opened_root,
    translated,
)
from madang.server.storage.tables import FolderRow
from madang.server.tracking.tables import ExperimentRow, LoggedModelRow, RunRow

FOLDER_NAME = "artifacts"
_PART_PREFIX = b".madang-upload-"
_CHUNK_BYTES = 2**20
_FILE_MODE, _FOLDER_MODE = 0o640, 0o750
"""What the folder's group may do with an artifact: read it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path in a project's artifact folder; `top` is None until anything was logged."""

    project_id: str
    relative: bytes
    top: Path | None


@dataclass(frozen=True, slots=True)
class ArtifactEntry:
    """A file or folder right below the place that was listed."""

    name: str
    is_folder: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class OpenArtifact:
    """A file to read from; whoever gets it must use `chunks` to the end or close `descriptor`."""

    descriptor: int
    size_bytes: int

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await asyncio.to_thread(os.read, self.descriptor, _CHUNK_BYTES):
                yield chunk
        finally:
            os.close(self.descriptor)


async def project_folder(
    context: ServerContext, session: AsyncSession, project_id: str
) -> tuple[FolderRow, Path]:
    """The project's artifact folder and where it is on disk. Raises NotFound before the first
    artifact was logged."""
    found = await session.scalar(
        select(FolderRow).where(
            FolderRow.project_id == project_id,
            FolderRow.name == FOLDER_NAME,
            FolderRow.trashed_at.is_(None),
        )
    )
    if found is None:
        raise NotFound(
            f"the project has no folder {FOLDER_NAME!r}",
            hint="It is made when the first artifact is logged; look in the trash if it was.",
        )
    return found, folder_path(context, found)


async def list_artifacts(
    context: ServerContext, principal: Principal, path: str
) -> list[ArtifactEntry]:
    """What is right below `path`, by name; nothing for a file and for what does not exist."""
    place = await _find(context, principal, path, Permission.TRACKING_READ)
    if place.top is None:
        return []
    return await asyncio.to_thread(_list, place.top, place.relative)


async def open_artifact(context: ServerContext, principal: Principal, path: str) -> OpenArtifact:
    """Open a file for reading. Raises NotFound, InvalidInput for a folder."""
    place = await _find(context, principal, path, Permission.TRACKING_READ)
    if place.top is None:
        raise NotFound(f"no such artifact: {path!r}")
    return await asyncio.to_thread(_open, place.top, place.relative)


async def write_artifact(
    context: ServerContext, principal: Principal, path: str, content: AsyncIterator[bytes]
) -> int:
    """Store a file, whole or not at all; what was there is replaced. Its size in bytes."""
    place = await _find(context, principal, path, Permission.TRACKING_WRITE)
    async with context.db.read() as session:
        await _check_owner(session, place.relative)
    top = place.top or await _make_folder(context, principal, place.project_id)
    part = await asyncio.to_thread(_PartFile.create, top, place.relative)
    try:
        pending = bytearray()
        async for chunk in content:
            pending += chunk
            if len(pending) >= _CHUNK_BYTES:
                await asyncio.to_thread(part.write, bytes(pending))
                pending.clear()
        return await asyncio.to_thread(part.finish, bytes(pending))
    finally:
        await asyncio.to_thread(part.discard)


async def delete_artifact(context: ServerContext, principal: Principal, path: str) -> None:
    """Remove a file or a whole folder of artifacts; does nothing when it is not there."""
    place = await _find(context, principal, path, Permission.TRACKING_WRITE)
    async with context.db.read() as session:
        await _check_owner(session, place.relative)
    if place.top is not None:
        await asyncio.to_thread(_remove, place.top, place.relative)


async def _find(
    context: ServerContext, principal: Principal, path: str, permission: Permission
) -> Place:
    relative = check_relative(os.fsencode(path))
    experiment_id = os.fsdecode(relative.partition(b"/")[0])
    async with context.db.read() as session:
        experiment = await session.get(ExperimentRow, experiment_id)
        if experiment is None or not principal.sees(experiment.project_id):
            raise NotFound(
                f"there are no artifacts at {path!r}, or none that you may see",
                hint="A path begins with the experiment's id.",
            )
        principal.require(permission, experiment.project_id)
        try:
            _, top = await project_folder(context, session, experiment.project_id)
        except NotFound:
            return Place(experiment.project_id, relative, None)
    return Place(experiment.project_id, relative, top)


async def _check_owner(session: AsyncSession, relative: bytes) -> None:
    """Only below a run or a logged model of that very experiment may be written."""
    parts = os.fsdecode(relative).split("/")
    owner: RunRow | LoggedModelRow | None = None
    if len(parts) >= 4 and parts[1] == "models" and parts[3] == "artifacts":
        owner = await session.get(LoggedModelRow, parts[2])
    elif len(parts) >= 3 and parts[2] == "artifacts":
        owner = await session.get(RunRow, parts[1])
    if owner is None or owner.experiment_id != parts[0]:
        raise InvalidInput(
            f"artifacts can't be written to {os.fsdecode(relative)!r}",
            hint="Log them to a run, or log a model; `mlflow.log_artifact` does.",
        )


async def _make_folder(context: ServerContext, principal: Principal, project_id: str) -> Path:
    async with context.db.transaction() as session:
        folder = await ensure_folder(session, context, project_id, FOLDER_NAME, principal.user_id)
        return folder_path(context, folder)


class _PartFile:
    """A file under a name that nobody sees, until `finish` gives it its own."""

    def __init__(self, directory: int, name: bytes) -> None:
        self._directory = directory
        self._name = name
        self._part = _PART_PREFIX + secrets.token_hex(8).encode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._part, flags, 0o600, dir_fd=directory)
        os.fchmod(self._descriptor, _FILE_MODE)
        self._finished = False

    @classmethod
    def create(cls, top: Path, relative: bytes) -> _PartFile:
        parent, _, name = relative.rpartition(b"/")
        with translated(relative), opened_root(top) as root:
            return cls(_make_directories(root, parent), name)

    def write(self, data: bytes) -> None:
        with translated(self._name):
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def finish(self, data: bytes) -> int:
        self.write(data)
        with translated(self._name):
            os.fsync(self._descriptor)
            os.rename(
                self._part, self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory
            )
        self._finished = True
        return os.fstat(self._descriptor).st_size

    def discard(self) -> None:
        if not self._finished:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._part, dir_fd=self._directory)
        os.close(self._descriptor)
        os.close(self._directory)


def _make_directories(root: int, path: bytes) -> int:
    """`mkdir -p` beneath `root`; a descriptor of the last one."""
    done = b""
    for name in path.split(b"/"):
        with opened(root, done, DIRECTORY) as parent, contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            mode = stat.S_IMODE(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
            os.chmod(name, mode | _FOLDER_MODE, dir_fd=parent)  # with the setgid bit it inherited
        done = done + b"/" + name if done else name
    return open_beneath(root, path, DIRECTORY)


def _list(top: Path, relative: bytes) -> list[ArtifactEntry]:
    entries = []
    try:
        with (
            translated(relative),
            opened_root(top) as root,
            opened(root, relative, DIRECTORY) as directory,
        ):
            for name in os.listdir(directory):
                if os.fsencode(name).startswith(_PART_PREFIX):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    is_folder = stat.S_ISDIR(found.st_mode)
                    size_bytes = 0 if is_folder else found.st_size
                    entries.append(ArtifactEntry(name, is_folder, size_bytes))
    except (NotFound, InvalidInput):  # not there, or not a folder
        return []
    return sorted(entries, key=lambda entry: entry.name)


def _open(top: Path, relative: bytes) -> OpenArtifact:
    with translated(relative), opened_root(top) as root:
        descriptor = open_file(root, relative)
    return OpenArtifact(descriptor, os.fstat(descriptor).st_size)


def _remove(top: Path, relative: bytes) -> None:
    with (
        contextlib.suppress(NotFound),
        translated(relative),
        opened_root(top) as root,
        opened_parent(root, relative) as (parent, name),
    ):
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            shutil.rmtree(os.fsdecode(name), dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)
