"""Sending a file: ranges, conditions and sendfile are aiohttp's, the open descriptor is ours."""

from __future__ import annotations

import asyncio
import mimetypes
import os
from collections.abc import Mapping
from urllib.parse import quote

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest
from multidict import CIMultiDict

from madang.server.storage.granted import FolderAccess
from madang.server.storage.paths import open_file, translated
from madang.server.storage.place import open_place

_INLINE_TYPES = ("image/", "audio/", "video/", "text/plain", "application/json", "application/pdf")


async def send_file(request: web.Request, access: FolderAccess, path: bytes) -> web.StreamResponse:
    """Answer with a file. Raises NotFound, InvalidInput for what is no file, Forbidden."""
    descriptor = await asyncio.to_thread(_open, access, path)
    try:
        status = os.fstat(descriptor)
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        headers = _headers(path, inline="inline" in request.query)
        response = _OpenFileResponse(descriptor, headers, _drop_range(request, etag))
        await response.prepare(request)
        return response
    finally:
        os.close(descriptor)


class _OpenFileResponse(web.FileResponse):
    """A FileResponse for a descriptor: its name in /proc leads to the open file and no other."""

    def __init__(self, descriptor: int, headers: Mapping[str, str], whole: bool) -> None:
        super().__init__(f"/proc/self/fd/{descriptor}", headers=headers, chunk_size=2**18)
        self._whole = whole
        self._sent = False

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        if self._sent:  # the application prepares what a handler returns once more
            return self._payload_writer
        self._sent = True
        if self._whole and "Range" in request.headers:
            headers = CIMultiDict(request.headers)
            del headers["Range"]
            request = request.clone(headers=headers)
        return await super().prepare(request)


def _drop_range(request: web.Request, etag: str) -> bool:
    """Whether If-Range names another state of the file (aiohttp looks at dates alone)."""
    condition = request.headers.get("If-Range", "")
    return condition.startswith(('"', "W/")) and condition != etag


def _open(access: FolderAccess, path: bytes) -> int:
    with translated(path), open_place(access) as place:
        return open_file(place.root, place.check(path))


def _headers(path: bytes, *, inline: bool) -> dict[str, str]:
    name = os.fsdecode(path.rpartition(b"/")[2])
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    shown = inline and kind.startswith(_INLINE_TYPES)
    disposition = "inline" if shown else "attachment"
    return {
        "Content-Type": kind,
        "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(os.fsencode(name))}",
        # People's own pages must not act for whoever looks at them.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
