"""Files over HTTP, for the gateway: `/files/PROJECT/FOLDER/PATH`.

    GET     a file; ranges, ETag, HEAD           GET ?archive=tar     a directory as a tar stream
    PUT     a file in one go                     PUT ?extract=tar     a tar stream, unpacked there
    POST ?upload                  begin a resumable upload (JSON: size, key, modified_ns)
    PUT ?upload=ID&offset=N       one of its parts; several at once; checksum in a header
    GET ?upload=ID                what has arrived
    POST ?upload=ID&complete      check it and move it into place (JSON: sha256, parts_sha256)
    DELETE ?upload=ID             forget it

The path is percent-encoded bytes, whatever they are. Errors are problem+json, as the API's.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar
from urllib.parse import unquote, unquote_to_bytes

from aiohttp import web

from madang.core.errors import InvalidInput, MadangError, NotFound, RateLimited, Unauthenticated
from madang.core.permissions import Permission
from madang.schemas.files import Stored, Upload, UploadPart, to_wire
from madang.server.serving.grants import Grant, Resource
from madang.server.storage import staging
from madang.server.storage.archives import extract_tar, write_tar
from madang.server.storage.downloads import send_file
from madang.server.storage.granted import FolderAccess
from madang.server.storage.paths import translated
from madang.server.storage.place import Place, open_place
from madang.server.storage.quota_left import QuotaLeft
from madang.server.storage.streams import drain, feed
from madang.server.storage.uploads import receive_file, receive_part

Authorize = Callable[[web.Request, Permission, Resource], Awaitable[Grant]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T")

PATTERNS = ("/files/{project}/{folder}", r"/files/{project}/{folder}/{path:[\s\S]*}")
_BODY_BYTES = 2**16


def routes(authorize: Authorize) -> list[web.RouteDef]:
    """The routes for an aiohttp application. `authorize` says who may do what with a folder."""
    handlers = _Handlers(authorize)
    made = []
    for pattern in PATTERNS:
        made += [
            web.get(pattern, _answering_errors(handlers.get)),
            web.put(pattern, _answering_errors(handlers.put)),
            web.post(pattern, _answering_errors(handlers.post)),
            web.delete(pattern, _answering_errors(handlers.delete)),
        ]
    return made


class _Handlers:
    def __init__(self, authorize: Authorize) -> None:
        self._authorize = authorize
        self._quotas = QuotaLeft()
        self._writing: dict[str, list[tuple[int, int]]] = {}
        """Parts that are arriving now, by upload."""

    async def get(self, request: web.Request) -> web.StreamResponse:
        upload_id = request.query.get("upload")
        access = await self._access(request, write=upload_id is not None)
        path = _path(request)
        if upload_id is not None:
            return _json(_upload(await _in_thread(access, lambda p: staging.load(p, upload_id))))
        if "archive" in request.query:
            _require_tar(request.query["archive"], "archive")
            return await self._send_tar(request, access, path)
        return await send_file(request, access, path)

    async def put(self, request: web.Request) -> web.StreamResponse:
        access = await self._access(request, write=True)
        path = _path(request)
        if upload_id := request.query.get("upload"):
            writing = self._writing.setdefault(upload_id, [])
            try:
                part = await receive_part(request, access, upload_id, writing)
            finally:
                if not writing:
                    self._writing.pop(upload_id, None)
            self._quotas.note(access, part.end - part.start)
            return _json(UploadPart(part.start, part.end, part.sha256))
        if "extract" in request.query:
            _require_tar(request.query["extract"], "extract")
            stored = await feed(_chunks(request), lambda source: _extract(access, path, source))
        else:
            stored = await receive_file(request, access, path)
        self._quotas.note(access, stored.size)
        return _json(stored, status=201)

    async def post(self, request: web.Request) -> web.StreamResponse:
        if "upload" not in request.query:
            raise InvalidInput(
                "POST begins or completes an upload", hint="Add ?upload, or use PUT."
            )
        access = await self._access(request, write=True)
        path = _path(request)
        upload_id = request.query["upload"]
        body = await _read_json(request)
        if not upload_id:
            size = _number(body, "size")
            assert size is not None
            key, modified_ns = str(body.get("key") or ""), _number(body, "modified_ns", None)
            begun = await _in_thread(
                access, lambda p: staging.begin(p, path, size, key, modified_ns), path
            )
            return _json(_upload(begun), status=201)
        if "complete" not in request.query:
            raise InvalidInput(f"what to do with upload {upload_id!r}?", hint="Add &complete.")
        done = await _in_thread(
            access,
            lambda p: staging.complete(
                p,
                upload_id,
                sha256=_digest(body, "sha256"),
                parts_sha256=_digest(body, "parts_sha256"),
            ),
        )
        return _json(Stored(to_wire(done.path), done.size))

    async def delete(self, request: web.Request) -> web.StreamResponse:
        access = await self._access(request, write=True)
        upload_id = request.query.get("upload")
        if not upload_id:
            raise InvalidInput(
                "only uploads are removed here",
                hint="Files are removed through the API: DELETE /api/v1/folders/…/entries.",
            )
        await _in_thread(access, lambda place: staging.abort(place, upload_id))
        return web.Response(status=204)

    async def _access(self, request: web.Request, *, write: bool) -> FolderAccess:
        permission = Permission.FOLDERS_WRITE if write else Permission.FOLDERS_READ
        project, folder = (unquote(part) for part in _raw_parts(request)[:2])
        grant = await self._authorize(request, permission, Resource("folder", folder, project))
        return self._quotas.adjusted(FolderAccess(**grant.details))

    async def _send_tar(
        self, request: web.Request, access: FolderAccess, path: bytes
    ) -> web.StreamResponse:
        def check(place: Place) -> None:
            with place.opened(path):
                pass

        await _in_thread(access, check, path)
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/x-tar",
                "Content-Disposition": 'attachment; filename="files.tar"',
                "Cache-Control": "no-store",
            }
        )

        def work(sink: Any) -> None:
            with open_place(access) as place:
                write_tar(place, path, sink)

        await response.prepare(request)
        if request.method != "HEAD":
            async for chunk in drain(work):
                await response.write(chunk)
        await response.write_eof()
        return response


def _extract(access: FolderAccess, path: bytes, source: Any) -> Stored:
    with open_place(access) as place:
        return extract_tar(place, path, source)


async def _in_thread(
    access: FolderAccess, work: Callable[[Place], T], path: bytes = b"this upload"
) -> T:
    def run() -> T:
        with translated(path), open_place(access) as place:
            return work(place)

    return await asyncio.to_thread(run)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_chunked(2**18):
        yield chunk


def _raw_parts(request: web.Request) -> list[str]:
    """Project, folder and the rest of the path as they were sent, not decoded."""
    path = request.raw_path.partition("?")[0].partition("#")[0]
    parts = path.split("/", 4)[2:]
    return [*parts, *[""] * (3 - len(parts))]


def _path(request: web.Request) -> bytes:
    return unquote_to_bytes(_raw_parts(request)[2])


def _upload(state: staging.UploadState) -> Upload:
    received = [UploadPart(part.start, part.end, part.sha256) for part in state.parts]
    return Upload(state.id, to_wire(state.path), state.size, received)


async def _read_json(request: web.Request) -> dict[str, Any]:
    raw = await request.content.read(_BODY_BYTES)
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        raise InvalidInput("the body is not JSON", field="body") from None
    if not isinstance(body, dict):
        raise InvalidInput("the body is not a JSON object", field="body")
    return body


_MISSING = object()


def _number(body: dict[str, Any], name: str, default: Any = _MISSING) -> int | None:
    value = body.get(name, default)
    if value is None and default is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**62) < value < 2**63:
        raise InvalidInput(f"{name} must be a whole number", field=name)
    return value


def _digest(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"{name} must be hexadecimal digits", field=name)
    return value or None


def _require_tar(value: str, name: str) -> None:
    if value != "tar":
        raise InvalidInput(f"{name} can't be {value!r}", field=name, hint=f"Use {name}=tar.")


def _json(value: Any, status: int = 200) -> web.Response:
    return web.json_response(asdict(value), status=status, headers={"Cache-Control": "no-store"})


def _answering_errors(handler: Handler) -> Handler:
    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except MadangError as error:
            return _problem(error)
        except FileNotFoundError:
            return _problem(NotFound("there is no such file in this folder", field="path"))

    return answer


def _problem(error: MadangError) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return web.Response(
        status=error.status,
        body=json.dumps(error.to_problem()).encode(),
        content_type="application/problem+json",
        headers=headers,
    )
