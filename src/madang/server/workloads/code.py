"""Code that comes with a job: a tar sent through the API, kept once by its content.

A bundle is unpacked below the state folder and mounted read-only; nothing in it can point
outside, and nothing in it is run here.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import os
import re
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import IO, cast

from madang.core.errors import InvalidInput, LimitExceeded, NotFound
from madang.core.ids import random_word
from madang.core.resources import format_bytes
from madang.server.context import ServerContext
from madang.server.paths import make_folder
from madang.server.tars import SafeTarInfo
from madang.server.workloads.places import task_data

MAX_TAR_BYTES = 32 * 2**20
MAX_UNPACKED_BYTES = 256 * 2**20
MAX_FILES = 10_000
MAX_DEPTH = 64

_MAX_STREAM_BYTES = MAX_UNPACKED_BYTES + MAX_FILES * 4 * tarfile.BLOCKSIZE
"""Of the tar once it is no longer compressed: what is in it, and its headers."""

_GZIP_MARK = b"\x1f\x8b"

_DIGEST = re.compile(r"[0-9a-f]{64}")


def bundle_path(context: ServerContext, digest: str) -> Path:
    """Where a bundle lies. Raises NotFound when it was not uploaded."""
    path = _folder(context) / digest
    if not _DIGEST.fullmatch(digest) or not path.is_dir():
        raise NotFound(
            f"there is no code {digest[:64]!r}", field="code", hint="Upload it first: POST /code."
        )
    return path


async def store(context: ServerContext, tar: bytes) -> str:
    """Keep a tar (plain or gzip) and return its digest; safe to repeat.

    Raises LimitExceeded when it is too large, InvalidInput when it is no tar or has anything in it
    but files and folders below it.
    """
    return await asyncio.to_thread(_store, _folder(context), tar)


def _folder(context: ServerContext) -> Path:
    return task_data(context) / "code"


def _store(folder: Path, tar: bytes) -> str:
    if len(tar) > MAX_TAR_BYTES:
        raise LimitExceeded(
            f"this code has {format_bytes(len(tar))}, the limit is {format_bytes(MAX_TAR_BYTES)}",
            hint="Put data into a folder and mount it: `madang folder upload`, --mount.",
        )
    digest = hashlib.sha256(tar).hexdigest()
    path = folder / digest
    if path.is_dir():
        return digest
    make_folder(folder, 0o711)
    unpacked = folder / f".{digest[:16]}.{random_word()}"
    unpacked.mkdir()
    try:
        _unpack(tar, unpacked)
        for directory, _, _ in os.walk(unpacked):
            os.chmod(directory, 0o755)
        try:
            unpacked.rename(path)
        except OSError:
            if not path.is_dir():  # else somebody stored the same at the same time
                raise
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return digest


def _unpack(tar: bytes, target: Path) -> None:
    source: IO[bytes] = io.BytesIO(tar)
    try:
        if tar.startswith(_GZIP_MARK):
            source = cast(IO[bytes], _Limited(gzip.GzipFile(fileobj=source)))
        with tarfile.open(fileobj=source, mode="r|", tarinfo=SafeTarInfo) as archive:
            size = 0
            for number, member in enumerate(archive, start=1):
                size += member.size
                deep = member.name.count("/") > MAX_DEPTH
                if number > MAX_FILES or deep or size > MAX_UNPACKED_BYTES:
                    raise _too_much()
                _unpack_member(archive, member, target)
        while source.read(2**20):  # to the end, where gzip has its checksum
            pass
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise InvalidInput(
            f"this is not a tar, plain or gzip, that can be unpacked: {error}"
        ) from None


class _Limited:
    """A stream that ends with LimitExceeded where a bundle has to have ended."""

    def __init__(self, source: gzip.GzipFile) -> None:
        self._source = source
        self._left = _MAX_STREAM_BYTES

    def read(self, size: int) -> bytes:
        found = self._source.read(size)
        self._left -= len(found)
        if self._left < 0:
            raise _too_much()
        return found


def _too_much() -> LimitExceeded:
    return LimitExceeded(
        f"this code has more than {MAX_FILES} files or {format_bytes(MAX_UNPACKED_BYTES)}, or "
        f"folders nested {MAX_DEPTH} deep",
        hint="Put data into a folder and mount it.",
    )


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if ".." in parts or not (member.isreg() or member.isdir()):
        raise InvalidInput(
            f"{member.name!r} can't be sent: only files and folders below the one given can",
            hint="Links and special files stay behind.",
        )
    path = target.joinpath(*parts)
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    assert source is not None
    with source, path.open("wb") as file:
        shutil.copyfileobj(source, file)
    os.chmod(path, 0o755 if member.mode & 0o111 else 0o644)
