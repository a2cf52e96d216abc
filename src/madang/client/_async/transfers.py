"""Moving files between here and a folder: `client.folders.upload` and `download` use it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from madang.client._async._base import AsyncTransport
from madang.client._convert import from_json
from madang.client._local_files import (
    SMALL_BYTES,
    LocalFile,
    Tally,
    Transferred,
    batches,
    links_inside,
    pack,
    unpack,
)
from madang.client._workers import AsyncWorkers
from madang.core.errors import Conflict, ConnectionFailed, Unavailable
from madang.schemas.files import Upload

_RETRIES = 5
_FIRST_PAUSE_S = 0.2


class AsyncTransfer:
    """Sends and fetches files of one folder, whose files are at `url`."""

    def __init__(self, transport: AsyncTransport, url: str, tally: Tally, parallel: int) -> None:
        self._transport = transport
        self._url = url
        self._tally = tally
        self._parallel = parallel

    async def send(
        self, files: list[LocalFile], links: list[tuple[bytes, str]], directories: list[bytes]
    ) -> Transferred:
        """Send everything: small files packed together, large ones in parts, several at once."""
        small = [file for file in files if file.size < SMALL_BYTES]
        large = [file for file in files if file.size >= SMALL_BYTES]
        kept_links, left_out = links_inside(links)
        if len(small) == 1 and not kept_links and not directories:
            large, small = [*large, *small], []
        calls: list[Any] = [partial(self._send_batch, batch) for batch in batches(small)]
        if kept_links or directories:
            calls.append(partial(self._send_batch, [], kept_links, directories))
        await AsyncWorkers(self._parallel).run(calls)
        for file in large:
            await self.send_file(file)
        return Transferred(len(files), sum(file.size for file in files), left_out=left_out)

    async def send_file(self, file: LocalFile) -> None:
        """Send one file: in one request, or in parts that can be gone on with later."""
        parts = list(file.parts())
        if len(parts) < 2:
            content = file.read(0, file.size)
            headers = {"X-Modified-Ns": str(file.modified_ns), **_checksum(content)}
            await self._retried("PUT", file.remote, {}, content=content, headers=headers)
            self._tally.add(file.size, 1)
            return
        upload = await self._begin(file)
        digests = {(part.start, part.end): part.sha256 for part in upload.received}
        self._tally.add(sum(end - start for start, end in digests))
        missing = [part for part in parts if part not in digests]
        await AsyncWorkers(self._parallel).run(
            partial(self._send_part, file, upload.id, start, end, digests)
            for start, end in missing
        )
        joined = b"".join(bytes.fromhex(digests[part]) for part in sorted(digests))
        await self._retried(
            "POST",
            file.remote,
            {"upload": upload.id, "complete": ""},
            json={"parts_sha256": hashlib.sha256(joined).hexdigest()},
        )
        self._tally.add(0, 1)

    async def fetch_file(self, remote: bytes, target: Path, expected_bytes: int) -> None:
        """Fetch one file into `target`, which appears when it is whole. What a broken attempt has
        left is gone on with, unless the file has changed meanwhile."""
        self._tally.total_bytes = self._tally.total_bytes or expected_bytes
        name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
        partial_path = target.with_name(f".madang-{name}.part")
        for attempt in range(_RETRIES):
            try:
                await self._fetch_rest(remote, partial_path)
                break
            except Unavailable:
                if attempt == _RETRIES - 1:
                    raise
                await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
        partial_path.replace(target)
        _etag_path(partial_path).unlink(missing_ok=True)
        self._tally.add(0, 1)

    async def fetch_tree(self, remote: bytes, target: Path) -> Transferred:
        """Fetch a directory into `target`, which is made when missing."""
        target.mkdir(parents=True, exist_ok=True)
        archive = target / f".madang-{os.getpid()}.tar"
        try:
            with archive.open("wb") as file:
                async with self._transport.stream(
                    "GET", self._address(remote, {"archive": "tar"})
                ) as response:
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)
                        self._tally.add(len(chunk))
            return unpack(archive, target)
        finally:
            archive.unlink(missing_ok=True)

    async def _fetch_rest(self, remote: bytes, partial_path: Path) -> None:
        etag_path = _etag_path(partial_path)
        have = partial_path.stat().st_size if partial_path.exists() else 0
        headers = {}
        if have and etag_path.exists():
            headers = {"Range": f"bytes={have - 1}-", "If-Range": etag_path.read_text()}
        async with self._transport.stream(
            "GET", self._address(remote, {}), headers=headers
        ) as response:
            goes_on = response.status_code == 206
            etag_path.write_text(response.headers.get("ETag", ""))
            with partial_path.open("r+b" if goes_on else "wb") as file:
                if goes_on:
                    # One byte is asked for again: a range at the very end would be an error.
                    file.seek(have - 1)
                    self._tally.add(have - 1)
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
                    self._tally.add(len(chunk))
                file.truncate()

    async def _send_batch(
        self,
        files: list[LocalFile],
        links: list[tuple[bytes, str]] | None = None,
        directories: list[bytes] | None = None,
    ) -> None:
        content = pack(files, links or [], directories or [])
        await self._retried("PUT", b"", {"extract": "tar"}, content=content)
        self._tally.add(sum(file.size for file in files), len(files))

    async def _begin(self, file: LocalFile) -> Upload:
        """A new upload, or the one that was broken off, if its parts are still what is here."""
        body = {
            "size": file.size,
            "key": f"{file.modified_ns}",
            "modified_ns": file.modified_ns,
        }
        while True:
            answer = await self._retried("POST", file.remote, {"upload": ""}, json=body)
            upload = from_json(Upload, answer)
            if all(file.has(part.start, part.end, part.sha256) for part in upload.received):
                return upload
            await self._retried("DELETE", file.remote, {"upload": upload.id})

    async def _send_part(
        self,
        file: LocalFile,
        upload_id: str,
        start: int,
        end: int,
        digests: dict[tuple[int, int], str],
    ) -> None:
        content = file.read(start, end - start)
        checksum = _checksum(content)
        query = {"upload": upload_id, "offset": str(start)}
        await self._retried("PUT", file.remote, query, content=content, headers=checksum)
        digests[(start, end)] = checksum["X-Checksum-SHA256"]
        self._tally.add(end - start)

    async def _retried(
        self, method: str, remote: bytes, query: dict[str, str], **options: Any
    ) -> Any:
        """Every request here may be repeated; a part that still counts as arriving too."""
        for attempt in range(_RETRIES):
            try:
                response = await self._transport.request(
                    method, self._address(remote, query), **options
                )
                return response.json() if response.content else None
            except (ConnectionFailed, Unavailable, Conflict) as error:
                is_arriving = isinstance(error, Conflict) and "offset" in query
                if attempt == _RETRIES - 1 or (isinstance(error, Conflict) and not is_arriving):
                    raise
                await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
        raise AssertionError("the loop returns or raises")

    def _address(self, remote: bytes, query: dict[str, str]) -> str:
        return f"{self._url}/{quote(remote)}" + (f"?{urlencode(query)}" if query else "")


def _checksum(content: bytes) -> dict[str, str]:
    return {"X-Checksum-SHA256": hashlib.sha256(content).hexdigest()}


def _etag_path(partial_path: Path) -> Path:
    return partial_path.with_name(f"{partial_path.name}.etag")
