"""Files through the gateway's routes, against a real server and real files."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import stat
import tarfile
import zlib
from typing import Any

import httpx
import pytest

from madang.server.storage import archives
from tests.server.storage.conftest import Files

NASTY_NAMES = [
    b"with space.txt",
    "한글 이름.png".encode(),
    "한글".encode(),  # decomposed (NFD)
    b"new\nline",
    b"tab\tand\rreturn",
    b"50%25 off?#&.txt",
    b"\xff\xfe not utf-8",
    b"n" * 255,
    b"-rf",
    b"...",
    b"a\\b",
    b"'quoted\" $(x)",
]


def url_of(path: bytes) -> str:
    """Percent-encoded, slashes kept."""
    from urllib.parse import quote

    return "/" + quote(path, safe="/")


async def begin(client: httpx.AsyncClient, path: str, size: int, **body: Any) -> str:
    answer = await client.post(f"{path}?upload", json={"size": size, **body})
    assert answer.status_code == 201, answer.text
    upload_id: str = answer.json()["id"]
    return upload_id


@pytest.mark.parametrize("name", NASTY_NAMES)
async def test_any_name_goes_in_and_comes_out(files: Files, name: bytes) -> None:
    async with files.client() as client:
        path = url_of(b"dir/" + name)
        stored = await client.put(path, content=b"content")
        assert stored.status_code == 201, stored.text
        assert (await client.get(path)).content == b"content"
    assert os.listdir(os.fsencode(files.root) + b"/dir") == [name]


async def test_files_belong_to_who_sent_them_and_to_the_folder(files: Files) -> None:
    async with files.client() as client:
        await client.put(
            "/a/b.txt", content=b"x", headers={"X-Modified-Ns": "1700000000000000000"}
        )
    status = (files.root / "a/b.txt").stat()
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert stat.S_IMODE((files.root / "a").stat().st_mode) == 0o2770
    assert status.st_mtime_ns == 1700000000000000000
    if os.geteuid() == 0:
        async with files.people.context.db.read() as session:
            from madang.server.identity.tables import UserRow

            user = await session.get_one(UserRow, files.people.user_ids["member"])
        assert (status.st_uid, status.st_gid) == (user.uid, files.view.row.gid)
        assert user.uid and files.view.row.gid


async def test_ranges_and_conditions(files: Files) -> None:
    (files.root / "f.bin").write_bytes(bytes(range(256)))
    async with files.client() as client:
        whole = await client.get("/f.bin")
        etag = whole.headers["ETag"]
        assert whole.headers["Accept-Ranges"] == "bytes"
        part = await client.get("/f.bin", headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
        assert part.headers["Content-Range"] == "bytes 10-19/256"
        tail = await client.get("/f.bin", headers={"Range": "bytes=-5"})
        assert tail.content == bytes(range(251, 256))
        same = await client.get("/f.bin", headers={"Range": "bytes=0-0", "If-Range": etag})
        assert same.status_code == 206
        other = await client.get("/f.bin", headers={"Range": "bytes=0-0", "If-Range": '"x-y"'})
        assert (other.status_code, len(other.content)) == (200, 256)
        beyond = await client.get("/f.bin", headers={"Range": "bytes=999-"})
        assert beyond.status_code == 416
        unchanged = await client.get("/f.bin", headers={"If-None-Match": etag})
        assert unchanged.status_code == 304
        head = await client.head("/f.bin")
        assert (head.headers["Content-Length"], head.content) == ("256", b"")


async def test_what_people_upload_can_not_act_in_a_browser(files: Files) -> None:
    (files.root / "page.html").write_text("<script>alert(1)</script>")
    async with files.client() as client:
        answer = await client.get("/page.html?inline")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_parts_in_any_order_and_at_once(files: Files) -> None:
    content = os.urandom(1_000_000)
    async with files.client() as client:
        upload = await begin(client, "/big.bin", len(content))

        async def send(start: int) -> httpx.Response:
            part = content[start : start + 300_000]
            return await client.put(
                f"/big.bin?upload={upload}&offset={start}",
                content=part,
                headers={"X-Checksum-SHA256": hashlib.sha256(part).hexdigest()},
            )

        answers = await asyncio.gather(*(send(start) for start in (900_000, 300_000, 0, 600_000)))
        assert [answer.status_code for answer in answers] == [200] * 4
        assert not (files.root / "big.bin").exists()
        state = (await client.get(f"/big.bin?upload={upload}")).json()
        assert [part["start"] for part in state["received"]] == [0, 300_000, 600_000, 900_000]
        digests = b"".join(bytes.fromhex(part["sha256"]) for part in state["received"])
        done = await client.post(
            f"/big.bin?upload={upload}&complete",
            json={
                "sha256": hashlib.sha256(content).hexdigest(),
                "parts_sha256": hashlib.sha256(digests).hexdigest(),
            },
        )
        assert done.status_code == 200, done.text
    assert (files.root / "big.bin").read_bytes() == content
    assert files.leftovers() == []


async def test_resuming_finds_what_has_arrived(files: Files) -> None:
    async with files.client() as client:
        first = await begin(client, "/f", 10, key="me")
        await client.put(f"/f?upload={first}&offset=0", content=b"01234")
        again = await client.post("/f?upload", json={"size": 10, "key": "me"})
        assert again.json()["id"] == first
        assert [part["end"] for part in again.json()["received"]] == [5]
        assert await begin(client, "/f", 10, key="other") != first
        assert await begin(client, "/g", 10, key="me") != first
        assert await begin(client, "/f", 11, key="me") != first


async def test_a_wrong_checksum_keeps_nothing(files: Files) -> None:
    async with files.client() as client:
        upload = await begin(client, "/f", 4)
        wrong = await client.put(
            f"/f?upload={upload}&offset=0", content=b"abcd", headers={"X-Checksum-CRC32": "0"}
        )
        assert wrong.status_code == 422
        assert (await client.get(f"/f?upload={upload}")).json()["received"] == []
        early = await client.post(f"/f?upload={upload}&complete")
        assert early.status_code == 409
        good = await client.put(
            f"/f?upload={upload}&offset=0",
            content=b"abcd",
            headers={"X-Checksum-CRC32": f"{zlib.crc32(b'abcd'):08x}"},
        )
        assert good.status_code == 200
        refused = await client.post(f"/f?upload={upload}&complete", json={"sha256": "00" * 32})
        assert refused.status_code == 422
        assert not (files.root / "f").exists()
        small = await client.put("/f", content=b"abcd", headers={"X-Checksum-SHA256": "00" * 32})
        assert small.status_code == 422
        assert not (files.root / "f").exists()
        assert (await client.delete(f"/f?upload={upload}")).status_code == 204
    assert files.leftovers() == []


async def test_parts_that_overlap_are_refused_and_repeats_are_fine(files: Files) -> None:
    async with files.client() as client:
        upload = await begin(client, "/f", 10)
        url = f"/f?upload={upload}&offset="
        assert (await client.put(url + "2", content=b"2345")).status_code == 200
        assert (await client.put(url + "2", content=b"2345")).status_code == 200
        assert (await client.put(url + "2", content=b"xxxx")).status_code == 409
        assert (await client.put(url + "0", content=b"0123")).status_code == 409
        assert (await client.put(url + "8", content=b"xxxx")).status_code == 422
        assert (await client.put(url + "-1", content=b"x")).status_code == 422
        assert (await client.put(url + "0", content=b"01")).status_code == 200
        assert (await client.put(url + "6", content=b"6789")).status_code == 200
        assert (await client.post(f"/f?upload={upload}&complete")).status_code == 200
        gone = await client.put(url + "0", content=b"01")
        assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert (files.root / "f").read_bytes() == b"0123456789"


async def test_of_two_uploads_of_one_path_the_last_complete_wins(files: Files) -> None:
    async with files.client() as client:
        one, two = await begin(client, "/f", 4), await begin(client, "/f", 4)
        for upload, content in ((one, b"1111"), (two, b"2222")):
            await client.put(f"/f?upload={upload}&offset=0", content=content)
        await client.post(f"/f?upload={two}&complete")
        assert (files.root / "f").read_bytes() == b"2222"
        await client.post(f"/f?upload={one}&complete")
    assert (files.root / "f").read_bytes() == b"1111"


async def test_a_connection_that_breaks_leaves_nothing(files: Files) -> None:
    async def half() -> Any:
        yield b"half of it"
        raise RuntimeError("the sender dies")

    async with files.client() as client:
        for url in ("/f", "/?extract=tar"):
            with pytest.raises(RuntimeError):
                await client.put(url, content=half(), headers={"Content-Length": "1000"})
        for _ in range(200):
            if not files.leftovers():
                break
            await asyncio.sleep(0.01)
    assert files.leftovers() == []
    assert list(files.root.iterdir()) == []


async def test_not_replacing_when_asked(files: Files) -> None:
    async with files.client() as client:
        header = {"If-None-Match": "*"}
        assert (await client.put("/f", content=b"1", headers=header)).status_code == 201
        assert (await client.put("/f", content=b"2", headers=header)).status_code == 409
        assert (await client.put("/f", content=b"3")).status_code == 201
        (files.root / "dir").mkdir()
        assert (await client.put("/dir", content=b"3")).status_code == 409
    assert (files.root / "f").read_bytes() == b"3"


def tar_of(entries: dict[str, bytes], **links: str) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), 1_700_000_000
            archive.addfile(entry, io.BytesIO(content))
        for name, target in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return sink.getvalue()


async def test_tar_in_and_out_again(files: Files) -> None:
    entries = {f"{label}/{number}.png": os.urandom(100) for label in "ab" for number in range(50)}
    entries["한글\nname \udcff.txt"] = b"nasty"
    entries["l" * 200 + "/" + "m" * 200] = b"long"
    async with files.client() as client:
        stored = await client.put("/in?extract=tar", content=tar_of(entries, link="a/1.png"))
        assert stored.status_code == 201, stored.text
        assert stored.json()["files"] == 102
        archive = (await client.get("/in?archive=tar")).content
    assert (files.root / "in/link").readlink().as_posix() == "a/1.png"
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        members = {entry.name: entry for entry in found}
        got = {n: found.extractfile(e).read() for n, e in members.items() if e.isreg()}  # type: ignore[union-attr]
    assert got == entries
    assert members["link"].linkname == "a/1.png"
    assert members["a/1.png"].mtime == 1_700_000_000
    assert files.leftovers() == []


@pytest.mark.parametrize(
    ("entries", "links"),
    [
        ({"ok": b"1", "../evil": b"x"}, {}),
        ({"ok": b"1", "/etc/evil": b"x"}, {}),
        ({"ok": b"1", "a/../../evil": b"x"}, {}),
        ({"ok": b"1"}, {"out": "/etc/passwd"}),
        ({"ok": b"1"}, {"out": "../../secret"}),
        ({"ok": b"1", "n" * 256: b"x"}, {}),
    ],
)
async def test_a_bad_archive_leaves_nothing(
    files: Files, entries: dict[str, bytes], links: dict[str, str]
) -> None:
    async with files.client() as client:
        answer = await client.put("/?extract=tar", content=tar_of(entries, **links))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert list(files.root.iterdir()) == []
    assert files.leftovers() == []


async def test_an_archive_that_is_cut_leaves_nothing(files: Files) -> None:
    whole = tar_of({f"{number}": b"x" * 700 for number in range(5)})
    async with files.client() as client:
        for length in (0, 100, 512, 600, 1536, 2048, 5000):
            answer = await client.put("/?extract=tar", content=whole[:length])
            assert answer.status_code == 422, length
    assert list(files.root.iterdir()) == []


async def test_a_tar_with_a_large_header_or_too_many_members_is_refused(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, 2 * 2**20
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    async with files.client() as client:
        large = await client.put("/?extract=tar", content=header.tobuf() + bytes(header.size))
        many = await client.put("/?extract=tar", content=tar_of(dict.fromkeys("abcd", b"")))
        few = await client.put("/?extract=tar", content=tar_of(dict.fromkeys("abc", b"")))
    assert (large.status_code, many.status_code, few.status_code) == (413, 413, 201)
    assert "extended headers" in large.json()["title"]
    assert "more than 3 files" in many.json()["title"]


async def test_a_tar_can_not_write_through_a_link(files: Files, tmp_path: Any) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (files.root / "way").symlink_to(outside)
    async with files.client() as client:
        for answer in (
            await client.put("/?extract=tar", content=tar_of({"way/f": b"x"})),
            await client.put("/way/f", content=b"x"),
            await client.get("/way/f"),
            await client.get("/way?archive=tar"),
        ):
            assert answer.status_code == 403, answer.text
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["/../state", "/a/../../b", "/%2e%2e/b", "/a/%2E%2E/%2e%2e/b", "//etc/passwd", "/%00"]
)
async def test_paths_that_lead_out_are_refused(files: Files, path: str) -> None:
    request = f"GET /files/vision/data{path} HTTP/1.1\r\nHost: x\r\nX-User: member\r\n\r\n"
    host, port = files.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.encode())
    status = (await reader.readline()).split()[1]
    writer.close()
    await writer.wait_closed()
    assert status in (b"422", b"404")


async def test_pipes_and_directories_are_no_files(files: Files) -> None:
    os.mkfifo(files.root / "pipe")
    (files.root / "dir").mkdir()
    async with files.client() as client:
        assert (await client.get("/pipe")).status_code == 422
        assert (await client.get("/dir")).status_code == 422
        assert (await client.get("/")).status_code == 422
        assert (await client.get("/none")).status_code == 404
        assert (await client.get("/none?archive=tar")).status_code == 404
        archive = await client.get("/?archive=tar")
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as found:
        assert found.getnames() == ["dir"]


async def test_rights_decide(files: Files) -> None:
    async with files.client("viewer") as viewer:
        assert (await viewer.put("/f", content=b"x")).status_code == 403
        (files.root / "f").write_bytes(b"y")
        assert (await viewer.get("/f")).content == b"y"
        assert (await viewer.get("/f?upload=upload-1")).status_code == 403
    async with files.client("outsider") as outsider:
        assert (await outsider.get("/f")).status_code == 404
