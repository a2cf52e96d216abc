"""Uploads that are broken off, killed, repeated, too large: whole or not there at all."""

from __future__ import annotations

import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from madang.core.errors import Conflict, NotFound
from madang.server.storage import staging, usage
from madang.server.storage.granted import FolderAccess
from madang.server.storage.place import open_place
from tests.server.storage.conftest import Files

GATEWAY = """
import asyncio, sys
from dataclasses import asdict
from aiohttp import web
from madang.server.serving.grants import Grant
from madang.server.storage.granted import FolderAccess
from madang.server.storage.file_handlers import routes

container, port = sys.argv[1], int(sys.argv[2])
access = FolderAccess("fold-1", container + "/data", container, False, False, "ann")

async def authorize(request, permission, resource):
    return Grant("user-1", "ann", "", "fold-1", None, asdict(access))

app = web.Application(handler_args={"handler_cancellation": True})
app.router.add_routes(routes(authorize))
web.run_app(app, host="127.0.0.1", port=port, print=None, handle_signals=False)
"""


def access_to(container: Path) -> FolderAccess:
    (container / "data").mkdir(parents=True, exist_ok=True)
    return FolderAccess("fold-1", f"{container}/data", str(container), False, False, "ann")


class _Gateway:
    """A gateway in a process of its own, which can be killed."""

    def __init__(self, container: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/files/vision/data"
        self._command = [sys.executable, "-c", GATEWAY, str(container), str(port)]
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self._command)
        for _ in range(600):
            try:
                httpx.get(self.url + "/?archive=no")
                return process
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the gateway did not start")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.kill()
        self.process = self._start()


@contextmanager
def gateway(container: Path) -> Iterator[_Gateway]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = _Gateway(container, port)
    try:
        yield running
    finally:
        running.kill()


def test_an_upload_survives_kills_of_the_gateway(tmp_path: Path, seed: int = 7) -> None:
    """Parts in random order, the gateway killed in the middle of some of them."""
    chance = random.Random(seed)
    content = chance.randbytes(3_000_000)
    access_to(tmp_path)
    target = tmp_path / "data/big.bin"
    target.write_bytes(b"the old one")
    parts = [(start, min(start + 500_000, len(content))) for start in range(0, 3_000_000, 500_000)]
    kills = 0

    def body(start: int, end: int, cut: bool) -> Iterator[bytes]:
        for position in range(start, end, 65_536):
            if cut and position > start + 150_000:
                running.kill()
            yield content[position : min(position + 65_536, end)]

    with gateway(tmp_path) as running:
        url = f"{running.url}/big.bin"
        while True:
            begun = httpx.post(f"{url}?upload", json={"size": len(content), "key": "k"}).json()
            have = {(part["start"], part["end"]) for part in begun["received"]}
            for part in begun["received"]:
                piece = content[part["start"] : part["end"]]
                assert part["sha256"] == hashlib.sha256(piece).hexdigest()
            missing = [part for part in parts if part not in have]
            assert target.read_bytes() == b"the old one"
            if not missing:
                break
            chance.shuffle(missing)
            start, end = missing[0]
            cut = kills < 4 and chance.random() < 0.6
            try:
                httpx.put(
                    f"{url}?upload={begun['id']}&offset={start}",
                    content=body(start, end, cut),
                    headers={"Content-Length": str(end - start)},
                )
                assert not cut
            except httpx.TransportError:
                assert cut
                kills += 1
                running.restart()
        done = httpx.post(
            f"{url}?upload={begun['id']}&complete",
            json={"sha256": hashlib.sha256(content).hexdigest()},
        )
        assert done.status_code == 200, done.text
    assert kills >= 2
    assert target.read_bytes() == content
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_gateway_killed_while_it_unpacks_shows_nothing(tmp_path: Path) -> None:
    access_to(tmp_path)
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for number in range(200):
            entry = tarfile.TarInfo(f"{number}")
            entry.size = 10_000
            archive.addfile(entry, io.BytesIO(bytes(10_000)))
    whole = sink.getvalue()

    def body() -> Iterator[bytes]:
        yield whole[: len(whole) // 2]
        time.sleep(0.2)
        running.kill()
        yield whole[len(whole) // 2 :]

    with gateway(tmp_path) as running, pytest.raises(httpx.TransportError):
        httpx.put(f"{running.url}/?extract=tar", content=body())
    assert list((tmp_path / "data").iterdir()) == []
    with open_place(access_to(tmp_path)) as place:
        assert staging.remove_stale(place, time.time() + 60) == 1
        assert staging.remove_stale(place, time.time() + 60) == 0


SIZE = 40
PIECES = st.tuples(st.integers(0, SIZE - 1), st.integers(1, 12), st.sampled_from("fskw"))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces=st.lists(PIECES, max_size=30), seed=st.integers(0, 2**16))
def test_any_order_of_parts_gives_the_file(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, int, str]], seed: int
) -> None:
    """Parts finish (f), are sent short (s), killed before they are recorded (k), or the machine
    stops while their line is written (w); parts that overlap are not sent, as the handler sees
    to; what is missing is sent at the end."""
    content = random.Random(seed).randbytes(SIZE)
    access = access_to(tmp_path_factory.mktemp("upload"))
    with open_place(access) as place:
        upload = staging.begin(place, b"dir/file", SIZE, "key", None)
        for start, length, fate in pieces:
            end = min(start + length, SIZE)
            have = staging.load(place, upload.id).parts
            if any(start < part.end and part.start < end for part in have):
                continue
            writer = staging.PartWriter(access, upload.id, start)
            writer.write(content[start:end] if fate != "s" else b"")
            if fate == "f":
                writer.finish()
            elif fate == "w":
                ledger = Path(access.service) / "staging" / upload.id / "ledger"
                with ledger.open("ab") as file:
                    file.write(f"{start} {end} abc".encode())
            writer.close()
        assert staging.begin(place, b"dir/file", SIZE, "key", None).id == upload.id
        for _ in range(3):  # a torn line can swallow the next one: sending again mends it
            have = staging.load(place, upload.id).parts
            holes = _holes([(part.start, part.end) for part in have])
            if not holes:
                break
            with pytest.raises(Conflict):
                staging.complete(place, upload.id, sha256=None, parts_sha256=None)
            assert not (Path(access.root) / "dir").exists()
            for start, end in holes:
                writer = staging.PartWriter(access, upload.id, start)
                writer.write(content[start:end])
                writer.finish()
                writer.close()
        staging.complete(
            place, upload.id, sha256=hashlib.sha256(content).hexdigest(), parts_sha256=None
        )
        assert (Path(access.root) / "dir/file").read_bytes() == content
        with pytest.raises(NotFound):
            staging.load(place, upload.id)


def _holes(have: list[tuple[int, int]]) -> list[tuple[int, int]]:
    holes, position = [], 0
    for start, end in [*have, (SIZE, SIZE)]:
        if position < start:
            holes.append((position, start))
        position = end
    return holes


def test_completing_again_after_the_answer_was_lost(tmp_path: Path) -> None:
    """The gateway died between moving the file into its place and cleaning up."""
    access = access_to(tmp_path)
    with open_place(access) as place:
        upload = staging.begin(place, b"f", 3, "", None)
        writer = staging.PartWriter(access, upload.id, 0)
        writer.write(b"abc")
        writer.finish()
        writer.close()
        (tmp_path / "staging" / upload.id / "data").rename(tmp_path / "data/f")
        staging.complete(place, upload.id, sha256=None, parts_sha256=None)
    assert (tmp_path / "data/f").read_bytes() == b"abc"
    assert list((tmp_path / "staging").iterdir()) == []


async def test_a_measured_quota_stops_uploads(files: Files) -> None:
    admin = await files.people.principal("admin")
    await usage.set_quota(files.people.context, admin, "vision", "data", 1000)
    async with files.client() as client:
        assert (await client.put("/a", content=b"x" * 600)).status_code == 201
        over = await client.put("/b", content=b"x" * 600)
        assert (over.status_code, over.json()["code"]) == (413, "limit_exceeded")
        assert "quota leaves room for 400B" in over.json()["title"]
        assert (await client.post("/b?upload", json={"size": 500})).status_code == 413
        assert (await client.post("/b?upload", json={"size": 300})).status_code == 201
        promised = await client.post("/c?upload", json={"size": 300})
        assert promised.status_code == 413

        async def unknown() -> object:
            for _ in range(20):
                yield b"x" * 100

        assert (await client.put("/b", content=unknown())).status_code == 413  # type: ignore[arg-type]
    assert os.listdir(files.root) == ["a"]


@pytest.mark.root
async def test_a_full_disk_is_said_in_words(files: Files) -> None:
    """A disk of 1 MiB: nothing that did not fit is visible, and what is there stays."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(files.service)], check=True
    )
    try:
        files.root.mkdir()
        async with files.client() as client:
            assert (await client.put("/old", content=b"x" * 300_000)).status_code == 201
            declared = await client.put("/new", content=b"x" * 2_000_000)
            assert (declared.status_code, declared.json()["code"]) == (507, "out_of_space")
            upload = await client.post("/new?upload", json={"size": 2_000_000})
            assert upload.status_code == 507

            async def unknown() -> object:
                for _ in range(40):
                    yield b"x" * 50_000

            streamed = await client.put("/new", content=unknown())  # type: ignore[arg-type]
            assert streamed.status_code == 507
            assert "disk is full" in streamed.json()["title"]
            sink = io.BytesIO()
            with tarfile.open(fileobj=sink, mode="w") as archive:
                for number in range(20):
                    entry = tarfile.TarInfo(f"{number}")
                    entry.size = 100_000
                    archive.addfile(entry, io.BytesIO(bytes(100_000)))
            unpacked = await client.put("/?extract=tar", content=sink.getvalue())
            assert unpacked.status_code == 507, unpacked.text
            begun = await client.post("/part?upload", json={"size": 600_000})
            assert (await client.put("/old2", content=b"x" * 300_000)).status_code == 201
            part = await client.put(
                f"/part?upload={begun.json()['id']}&offset=0", content=b"x" * 600_000
            )
            assert part.status_code == 507
            assert (await client.get("/old")).content == b"x" * 300_000
        assert sorted(os.listdir(files.root)) == ["old", "old2"]
    finally:
        subprocess.run(["umount", str(files.service)], check=True)
