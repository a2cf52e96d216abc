"""Receiving files: whole in one request, or a part of a resumable upload."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from madang.core.errors import Conflict, InvalidInput, LimitExceeded
from madang.core.resources import format_bytes
from madang.schemas.files import Stored, to_wire
from madang.server.storage import staging
from madang.server.storage.granted import FolderAccess
from madang.server.storage.place import open_place
from madang.server.storage.streams import run_to_end

_BUFFER_BYTES = 2**20

SHA256_HEADER = "X-Checksum-SHA256"
CRC32_HEADER = "X-Checksum-CRC32"
MODIFIED_HEADER = "X-Modified-Ns"


class _Checksum:
    """What the sender says the bytes are, against what arrives."""

    def __init__(self, request: web.Request) -> None:
        self._sha256 = request.headers.get(SHA256_HEADER, "").lower()
        self._crc32 = request.headers.get(CRC32_HEADER, "").lower()
        self._hash = hashlib.sha256() if self._sha256 else None
        self._crc = 0

    def update(self, chunk: bytes) -> None:
        if self._hash:
            self._hash.update(chunk)
        if self._crc32:
            self._crc = zlib.crc32(chunk, self._crc)

    def check(self) -> None:
        """Raises InvalidInput when it differs; nothing of it is kept then."""
        wrong_hash = self._hash is not None and self._hash.hexdigest() != self._sha256
        wrong_crc = bool(self._crc32) and f"{self._crc:08x}" != self._crc32
        if wrong_hash or wrong_crc:
            raise InvalidInput(
                "the checksum differs: what arrived is not what was sent",
                field="checksum",
                hint="Send it again.",
            )


async def receive_file(request: web.Request, access: FolderAccess, path: bytes) -> Stored:
    """Take a whole file and put it in place, replacing what is there; or leave no trace.

    `If-None-Match: *` refuses to replace. Raises InvalidInput, LimitExceeded, OutOfSpace and
    Conflict.
    """
    replace = request.headers.get("If-None-Match") != "*"
    modified_ns = _modified_ns(request)
    checksum = _Checksum(request)
    file = await run_to_end(staging.NewFile, access, path, request.content_length or 0)
    size = 0
    try:
        async for chunk in _buffered(request):
            size += len(chunk)
            _require_quota(access, size)
            await run_to_end(_update_and_write, checksum, file.write, chunk)
        checksum.check()
        await run_to_end(file.publish, modified_ns, replace)
    finally:
        file.close()
    return Stored(to_wire(path), size)


async def receive_part(
    request: web.Request,
    access: FolderAccess,
    upload_id: str,
    arriving: list[tuple[int, int]],
) -> staging.Part:
    """Take one part of an upload. The same part again is answered as the first time.

    `arriving` are the places of the parts of this upload that other requests are sending now.
    Raises Conflict for a part that overlaps others, InvalidInput when it lies outside of the file
    or its checksum differs, LimitExceeded for one without a length.
    """
    start = _offset(request)
    length = request.content_length
    if length is None:
        raise LimitExceeded("a part needs a Content-Length", hint="Send it as one piece.")
    end = start + length
    if _overlaps((start, end), arriving):
        raise _overlap(start, end)
    # Ours is noted before we look at what has arrived: a part can't slip in between.
    arriving.append((start, end))
    try:
        state = await asyncio.to_thread(_load, access, upload_id)
        if not length > 0 or end > state.size:
            raise InvalidInput(
                f"bytes {start} to {end} are not a part of a file of {state.size} bytes",
                field="offset",
            )
        for part in state.parts:
            if (part.start, part.end) == (start, end):
                await _require_same(request, part)
                return part
        if _overlaps((start, end), [(part.start, part.end) for part in state.parts]):
            raise _overlap(start, end)
        return await _receive_part(request, access, upload_id, start, end)
    finally:
        arriving.remove((start, end))


def _overlaps(wanted: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    return any(wanted[0] < end and start < wanted[1] for start, end in others)


def _overlap(start: int, end: int) -> Conflict:
    return Conflict(
        f"bytes {start} to {end} overlap a part that has arrived or is arriving",
        hint="Ask what has arrived (GET ?upload=ID), then send what is missing.",
    )


async def _receive_part(
    request: web.Request, access: FolderAccess, upload_id: str, start: int, end: int
) -> staging.Part:
    checksum = _Checksum(request)
    writer = await run_to_end(staging.PartWriter, access, upload_id, start)
    try:
        async for chunk in _buffered(request):
            await run_to_end(_update_and_write, checksum, writer.write, chunk)
        if writer.end != end:
            raise InvalidInput("the part ended too early", hint="Send it again.")
        checksum.check()
        return await run_to_end(writer.finish)
    finally:
        writer.close()


async def _require_same(request: web.Request, part: staging.Part) -> None:
    """Read a part that has arrived already. Raises Conflict when it is another one."""
    hashed = hashlib.sha256()
    async for chunk in _buffered(request):
        hashed.update(chunk)
    if hashed.hexdigest() != part.sha256:
        raise Conflict(
            f"bytes {part.start} to {part.end} have arrived already, with other content",
            hint="The file has changed: remove this upload and begin again.",
        )


async def _buffered(request: web.Request) -> AsyncIterator[bytes]:
    """The body in pieces that are worth a system call."""
    pieces: list[bytes] = []
    held = 0
    async for piece in request.content.iter_any():
        pieces.append(piece)
        held += len(piece)
        if held >= _BUFFER_BYTES:
            yield b"".join(pieces)
            pieces, held = [], 0
    if pieces:
        yield b"".join(pieces)


def _update_and_write(checksum: _Checksum, write: Callable[[bytes], None], chunk: bytes) -> None:
    checksum.update(chunk)
    write(chunk)


def _require_quota(access: FolderAccess, size: int) -> None:
    left = access.quota_left_bytes
    if left is not None and size > left:
        raise LimitExceeded(
            f"the folder's quota leaves room for {format_bytes(left)}",
            hint="Remove files, or ask an administrator for a larger quota.",
        )


def _load(access: FolderAccess, upload_id: str) -> staging.UploadState:
    with open_place(access) as place:
        return staging.load(place, upload_id)


def _offset(request: web.Request) -> int:
    given = request.query.get("offset", "")
    if not given.isascii() or not given.isdigit() or len(given) > 19 or int(given) >= 2**63:
        raise InvalidInput(f"offset can't be {given!r}", field="offset")
    return int(given)


def _modified_ns(request: web.Request) -> int | None:
    given = request.headers.get(MODIFIED_HEADER)
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 19 or int(given) >= 2**63:
        raise InvalidInput(f"{MODIFIED_HEADER} can't be {given!r}", field=MODIFIED_HEADER)
    return int(given)
