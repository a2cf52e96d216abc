"""The client's folders and datasets against the API in this process and a real gateway."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from madang.client import AsyncClient
from madang.client._local_files import PART_BYTES, Progress
from madang.client._workers import AsyncWorkers, Workers
from madang.client.config import ClientConfig
from madang.core.errors import Conflict, LimitExceeded, NotFound
from madang.server.api.app import create_app
from madang.server.identity.tokens import authenticate_token
from madang.server.serving.grants import Grant, Resource
from madang.server.storage import file_handlers
from madang.server.storage.access import folder_access
from tests.conftest import People


class Stopped(Exception):
    """As if somebody had pressed Ctrl-C here."""


class _Split(httpx.AsyncBaseTransport):
    """API calls stay in the process; what goes to the gateway's port goes there."""

    def __init__(self, people: People) -> None:
        self._api = httpx.ASGITransport(create_app(people.context))
        self._network = httpx.AsyncHTTPTransport()
        self.sent: list[str] = []
        self.break_at = -1

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "madang.test":
            return await self._api.handle_async_request(request)
        self.sent.append(f"{request.method} {request.url.query.decode()}")
        if len(self.sent) - 1 == self.break_at:
            raise Stopped
        return await self._network.handle_async_request(request)

    async def aclose(self) -> None:
        await self._network.aclose()


@dataclasses.dataclass
class Platform:
    people: People
    transport: _Split
    client: AsyncClient

    def root(self, folder_id: str) -> Path:
        return self.people.context.paths.volume / "folders" / folder_id / "data"


@pytest.fixture
async def platform(sqlite_people: People) -> AsyncIterator[Platform]:
    people = sqlite_people
    context = people.context

    async def authorize(request: web.Request, permission: str, resource: Resource) -> Grant:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        principal = await authenticate_token(context, token)
        async with context.db.transaction() as session:
            access = await folder_access(
                context,
                session,
                principal,
                resource.project,
                resource.name,
                permission == "folders:write",
            )
        return Grant(
            principal.user_id,
            principal.name,
            "",
            access.folder_id,
            None,
            dataclasses.asdict(access),
        )

    app = web.Application(handler_args={"handler_cancellation": True})
    app.router.add_routes(file_handlers.routes(authorize))
    server = TestServer(app)
    await server.start_server()
    url = str(server.make_url("")).rstrip("/")
    context.settings = dataclasses.replace(context.settings, gateway_url=url)
    transport = _Split(people)
    config = ClientConfig("http://madang.test", people.tokens["member"], project="vision")
    client = AsyncClient.from_config(config, transport)
    yield Platform(people, transport, client)
    await client.aclose()
    await server.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "local"
    for number in range(60):
        path = root / f"{number % 3}/한글 {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 10))
        os.utime(path, ns=(1_700_000_000_123_456_789 + number,) * 2)
    (root / "empty/dir").mkdir(parents=True)
    (root / "0/link").symlink_to("../1")
    (root / "out").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    with open(os.fsencode(root) + b"/\xff\n%", "wb") as file:
        file.write(b"nasty")
    (root / "tool.sh").write_text("#!/bin/sh")
    (root / "tool.sh").chmod(0o755)
    (root / "larger.bin").write_bytes(os.urandom(1_500_000))
    return root


def content(root: Path) -> dict[bytes, bytes]:
    """Path → bytes of each file below."""
    found = {}
    for directory, _, names in os.walk(os.fsencode(root)):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, os.fsencode(root))] = file.read()
    return found


async def test_a_tree_there_and_back(platform: Platform, tree: Path, tmp_path: Path) -> None:
    folders = platform.client.folders
    folder = await folders.create("data")
    seen: list[Progress] = []
    sent = await folders.upload("data", tree, "in", progress=seen.append)
    assert (sent.files, sent.skipped, sent.left_out) == (63, 0, 2)
    assert seen[-1].done_bytes == seen[-1].total_bytes == sent.num_bytes
    assert seen[-1].done_files == 63
    stored = platform.root(folder.id) / "in"
    assert content(stored) == content(tree)
    assert (stored / "empty/dir").is_dir()
    assert (stored / "0/link").readlink() == Path("../1")
    assert (stored / "tool.sh").stat().st_mode & 0o777 == 0o770
    some = "1/한글 1.png"
    assert (stored / some).stat().st_mtime_ns == (tree / some).stat().st_mtime_ns
    got = await folders.download("data", "in", tmp_path / "back")
    assert content(tmp_path / "back") == content(tree)
    assert got.files == 63
    assert (tmp_path / "back" / some).stat().st_mtime_ns == (tree / some).stat().st_mtime_ns


async def test_what_is_there_is_not_sent_again(platform: Platform, tree: Path) -> None:
    folders = platform.client.folders
    await folders.create("data")
    await folders.upload("data", tree)
    (tree / "0/new.png").write_bytes(b"new")
    (tree / "larger.bin").write_bytes(b"changed")
    again = await folders.upload("vision/data", tree)
    assert (again.files, again.skipped) == (2, 62)
    entries = [entry.name async for entry in folders.iterate_entries("data", "0")]
    assert "new.png" in entries


async def test_an_upload_that_was_broken_off_goes_on(platform: Platform, tmp_path: Path) -> None:
    folders = platform.client.folders
    folder = await folders.create("data")
    local = tmp_path / "big.bin"
    local.write_bytes(os.urandom(5 * PART_BYTES + 12_345))
    platform.transport.break_at = 4
    with pytest.raises(Stopped):
        await folders.upload("data", local, parallel=1)
    assert list(platform.root(folder.id).iterdir()) == []
    platform.transport.break_at, before = -1, len(platform.transport.sent)
    seen: list[Progress] = []
    await folders.upload("data", local, progress=seen.append)
    parts = [line for line in platform.transport.sent[before:] if "offset=" in line]
    assert len(parts) == 3  # of six, three had arrived
    assert seen[-1].done_bytes == seen[-1].total_bytes
    assert (platform.root(folder.id) / "big.bin").read_bytes() == local.read_bytes()


async def test_a_file_that_changed_since_is_not_mixed(platform: Platform, tmp_path: Path) -> None:
    """Same size and time, other bytes: what had arrived is not used."""
    folders = platform.client.folders
    folder = await folders.create("data")
    local = tmp_path / "big.bin"
    local.write_bytes(os.urandom(2 * PART_BYTES))
    os.utime(local, (1, 1))
    platform.transport.break_at = 2
    with pytest.raises(Stopped):
        await folders.upload("data", local, parallel=1)
    local.write_bytes(os.urandom(2 * PART_BYTES))
    os.utime(local, (1, 1))
    platform.transport.break_at = -1
    await folders.upload("data", local)
    assert (platform.root(folder.id) / "big.bin").read_bytes() == local.read_bytes()


async def test_a_download_that_was_broken_off_goes_on(platform: Platform, tmp_path: Path) -> None:
    folders = platform.client.folders
    folder = await folders.create("data")
    whole = os.urandom(300_000)
    stored = platform.root(folder.id) / "f.bin"
    stored.write_bytes(whole)
    target = tmp_path / "f.bin"
    await folders.download("data", "f.bin", target)
    assert target.read_bytes() == whole
    from madang.client._async.transfers import AsyncTransfer
    from madang.client._local_files import Tally

    url = (await folders.get("data")).files_url
    transfer = AsyncTransfer(platform.client.transport, url, Tally(None), 1)
    part = tmp_path / "part"
    await transfer._fetch_rest(b"f.bin", part)
    part.write_bytes(whole[:100_000])
    tally = Tally(None)
    await AsyncTransfer(platform.client.transport, url, tally, 1)._fetch_rest(b"f.bin", part)
    assert part.read_bytes() == whole
    stored.write_bytes(whole[::-1])
    part.write_bytes(whole[:100_000])
    await transfer._fetch_rest(b"f.bin", part)
    assert part.read_bytes() == whole[::-1]


async def test_errors_are_the_servers(platform: Platform, tree: Path, tmp_path: Path) -> None:
    folders = platform.client.folders
    await folders.create("data")
    with pytest.raises(NotFound, match="no local file"):
        await folders.upload("data", tmp_path / "none")
    with pytest.raises(NotFound):
        await folders.download("data", "none", tmp_path)
    with pytest.raises(NotFound):
        await folders.upload("nothing", tree)
    with pytest.raises(Conflict):
        await folders.create("data")
    admin = AsyncClient.from_config(
        ClientConfig("http://madang.test", platform.people.tokens["admin"], project="vision"),
        platform.transport,
    )
    await admin.folders.set_quota("data", "1KiB")
    with pytest.raises(LimitExceeded, match="quota"):
        await folders.upload("data", tree)


async def test_folder_calls(platform: Platform) -> None:
    folders = platform.client.folders
    folder = await folders.create("data", description="digits", share="none")
    assert folder.files_url.endswith("/files/vision/data")
    await folders.share("data", user="viewer", access="read-only")
    grants = (await folders.grants("data")).items
    assert [(grant.kind, grant.name, grant.access) for grant in grants] == [
        ("user", "viewer", "read-only")
    ]
    await folders.make_directory("data", "50% \udcff/x")
    moved = await folders.move("data", "50% \udcff/x", "y")
    assert moved.path == "y"
    await folders.remove("data", "y")
    (trashed,) = (await folders.trashed_entries("data")).items
    await folders.restore_entry("data", trashed.id)
    await folders.remove("data", "y")
    await folders.empty_trash("data")
    assert (await folders.trashed_entries("data")).items == []
    assert (await folders.measure("data")).usage is not None
    await folders.change("data", name="renamed")
    await folders.trash("renamed")
    assert [item.name async for item in folders.iterate(trashed=True)] == ["renamed"]
    assert [item.name async for item in folders.iterate()] == []
    await folders.restore("renamed", name="data")
    assert (await folders.get("data")).id == folder.id
    volumes = (await platform.client.volumes.list()).items
    assert [volume.name for volume in volumes] == ["main"]


async def test_dataset_calls(platform: Platform, tree: Path) -> None:
    await platform.client.folders.create("data")
    await platform.client.folders.upload("data", tree, "train")
    datasets = platform.client.datasets
    created = await datasets.create("digits", "data", "train")
    assert created.latest is not None
    assert (created.latest.ref, created.latest.num_items) == ("digits@1", 63)
    classes = {entry.name: entry.count for entry in created.latest.report.classes}
    assert classes == {"0": 20, "1": 20, "2": 20}
    assert created.latest.report.unlabelled == 3
    same = await datasets.create_version("digits")
    assert same.id == created.latest.id
    views = (await datasets.hold_out("digits", 0.25)).items
    assert sorted(view.name for view in views) == ["test", "train"]
    test = await datasets.items("digits", 1, view="test", limit=1000)
    train = await datasets.items("digits", view="train", limit=1000)
    assert len(test.items) + len(train.items) == 63
    assert "%FF\n%25" in {item.path for item in [*test.items, *train.items]}
    assert [item.number for item in (await datasets.versions("digits")).items] == [1]
    assert (await datasets.version("vision/digits", 1)).digest == same.digest
    assert [item.name async for item in datasets.iterate()] == ["digits"]


async def test_workers_stop_at_the_first_error() -> None:
    started: list[int] = []

    async def work(number: int) -> None:
        started.append(number)
        if number == 3:
            raise ValueError("three")
        await asyncio.sleep(0 if number < 3 else 60)

    with pytest.raises(ValueError, match="three"):
        await AsyncWorkers(2).run(lambda n=n: work(n) for n in range(100))  # type: ignore[misc]
    assert len(started) < 10


def test_threads_stop_at_the_first_error() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        with lock:
            started.append(number)
        if number == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        Workers(2).run(lambda n=n: work(n) for n in range(100))  # type: ignore[misc]
    assert len(started) < 20
