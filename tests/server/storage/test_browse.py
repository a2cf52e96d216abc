"""Looking into folders and tidying them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from madang.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from madang.schemas.files import Entry, EntryKind, EntrySort
from madang.schemas.folders import FolderRegister
from madang.server.identity.principal import Principal
from madang.server.storage import browse, folders, registered
from madang.server.storage.access import folder_access
from madang.server.storage.place import STAGING, open_place
from tests.conftest import People


@pytest.fixture
async def member(sqlite_people: People) -> Principal:
    return await sqlite_people.principal("member")


@pytest.fixture
async def root(sqlite_people: People, member: Principal) -> Path:
    view = await folders.create_folder(sqlite_people.context, member, "data", project="vision")
    return folders.folder_path(sqlite_people.context, view.row)


async def list_all(
    people: People,
    principal: Principal,
    path: str = "",
    *,
    sort: EntrySort = EntrySort.NAME,
    descending: bool = False,
    limit: int = 1000,
) -> list[Entry]:
    entries: list[Entry] = []
    cursor = None
    while True:
        page = await browse.list_entries(
            people.context,
            principal,
            "vision",
            "data",
            path,
            sort=sort,
            descending=descending,
            limit=limit,
            cursor=cursor,
        )
        entries += page.entries
        assert len(page.entries) <= limit
        if (cursor := page.next_cursor) is None:
            return entries


async def test_kinds_sizes_and_names(sqlite_people: People, member: Principal, root: Path) -> None:
    (root / "dir").mkdir()
    (root / "50%.txt").write_bytes(b"12345")
    (root / "link").symlink_to("dir")
    os.mkfifo(root / "pipe")
    with open(os.fsencode(root) + b"/\xff\n.bin", "wb"):
        pass
    found = {entry.name: entry for entry in await list_all(sqlite_people, member)}
    assert {name: entry.kind for name, entry in found.items()} == {
        "dir": EntryKind.DIRECTORY,
        "50%25.txt": EntryKind.FILE,
        "link": EntryKind.SYMLINK,
        "pipe": EntryKind.OTHER,
        "%FF\n.bin": EntryKind.FILE,
    }
    assert found["50%25.txt"].size == 5
    assert found["link"].link_target == "dir"
    one = await browse.get_entry(sqlite_people.context, member, "vision", "data", "%FF\n.bin")
    assert one == found["%FF\n.bin"]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", list(EntrySort))
@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_pages_hold_everything_once_in_order(
    sqlite_people: People,
    member: Principal,
    root: Path,
    sort: EntrySort,
    descending: bool,
    limit: int,
) -> None:
    for number in range(12):
        path = root / f"file {number % 5} {number}"
        path.write_bytes(b"x" * (number % 4))
        os.utime(path, ns=(number % 3 * 10**9, number % 3 * 10**9))
        if number < 4:
            (root / f"dir{number}").mkdir()
    found = await list_all(sqlite_people, member, sort=sort, descending=descending, limit=limit)
    assert len({entry.name for entry in found}) == len(found) == 16
    kinds = [entry.kind for entry in found]
    assert kinds == [EntryKind.DIRECTORY] * 4 + [EntryKind.FILE] * 12
    files = found[4:]
    keys = {
        EntrySort.NAME: [(0, entry.name) for entry in files],
        EntrySort.SIZE: [(entry.size, entry.name) for entry in files],
        EntrySort.MODIFIED: [(entry.modified_ns, entry.name) for entry in files],
    }[sort]
    assert keys == sorted(keys, reverse=descending)


async def test_a_directory_of_a_hundred_thousand(
    sqlite_people: People, member: Principal, root: Path
) -> None:
    for number in range(100_000):
        os.close(os.open(root / f"{number:06}", os.O_CREAT | os.O_WRONLY))
    page = await browse.list_entries(
        sqlite_people.context, member, "vision", "data", "", limit=1000
    )
    last = await browse.list_entries(
        sqlite_people.context,
        member,
        "vision",
        "data",
        "",
        sort=EntrySort.NAME,
        descending=True,
        limit=2,
    )
    assert [entry.name for entry in page.entries[:2]] == ["000000", "000001"]
    assert [entry.name for entry in last.entries] == ["099999", "099998"]
    assert page.next_cursor


async def test_making_moving_removing_restoring(
    sqlite_people: People, member: Principal, root: Path
) -> None:
    context = sqlite_people.context
    made = await browse.make_directory(context, member, "vision", "data", "a/b/c")
    assert (made.path, made.kind) == ("a/b/c", EntryKind.DIRECTORY)
    await browse.make_directory(context, member, "vision", "data", "a/b")
    (root / "a/b/f").write_text("1")
    moved = await browse.move_entry(context, member, "vision", "data", "a/b/f", "x/y/g")
    assert (moved.path, (root / "x/y/g").read_text()) == ("x/y/g", "1")
    (root / "other").write_text("2")
    with pytest.raises(Conflict):
        await browse.move_entry(context, member, "vision", "data", "other", "x/y/g")
    await browse.move_entry(context, member, "vision", "data", "other", "x/y/g", overwrite=True)
    assert (root / "x/y/g").read_text() == "2"
    with pytest.raises(InvalidInput, match="into itself"):
        await browse.move_entry(context, member, "vision", "data", "a", "a/b/a")
    with pytest.raises(NotFound):
        await browse.move_entry(context, member, "vision", "data", "none", "n")
    await browse.remove_entry(context, member, "vision", "data", "x")
    assert not (root / "x").exists()
    (trashed,) = await browse.list_trash(context, member, "vision", "data")
    assert (trashed.path, trashed.removed_by) == ("x", "member")
    (root / "x").mkdir()
    with pytest.raises(Conflict, match="by now"):
        await browse.restore_entry(context, member, "vision", "data", trashed.id)
    (root / "x").rmdir()
    await browse.restore_entry(context, member, "vision", "data", trashed.id)
    assert (root / "x/y/g").read_text() == "2"
    assert await browse.list_trash(context, member, "vision", "data") == []
    await browse.remove_entry(context, member, "vision", "data", "x", permanent=True)
    assert await browse.list_trash(context, member, "vision", "data") == []
    assert os.listdir(root.parent / "trash") == []


async def test_removing_a_link_keeps_what_it_leads_to(
    sqlite_people: People, member: Principal, root: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    (root / "dir").mkdir()
    (root / "dir/link").symlink_to(precious)
    (root / "link").symlink_to(precious)
    for path in ("dir", "link"):
        await browse.remove_entry(
            sqlite_people.context, member, "vision", "data", path, permanent=True
        )
    assert (precious / "file").exists()
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("out", Forbidden),
        ("out/x", Forbidden),
        ("../x", InvalidInput),
        ("/etc", InvalidInput),
        ("file", InvalidInput),
        ("none", NotFound),
        ("%zz", InvalidInput),
    ],
)
async def test_listing_what_can_not_be(
    sqlite_people: People,
    member: Principal,
    root: Path,
    tmp_path: Path,
    path: str,
    error: type[Exception],
) -> None:
    (tmp_path / "secret").mkdir()
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "file").write_text("x")
    with pytest.raises(error):
        await list_all(sqlite_people, member, path)
    if error is NotFound:
        return  # what is missing is made
    with pytest.raises(error):
        await browse.make_directory(
            sqlite_people.context, member, "vision", "data", f"{path}/made"
        )
    assert list((tmp_path / "secret").iterdir()) == []


async def test_the_top_itself_stays(sqlite_people: People, member: Principal, root: Path) -> None:
    for path in ("", ".", "/".join(["."] * 3)):
        with pytest.raises(InvalidInput):
            await browse.remove_entry(sqlite_people.context, member, "vision", "data", path)


async def test_a_cursor_that_no_listing_gave(
    sqlite_people: People, member: Principal, root: Path
) -> None:
    for cursor in ("x", "bm9uZQ==", "WzEsMl0=", "%%%", "é"):
        with pytest.raises(InvalidInput, match="cursor"):
            await browse.list_entries(
                sqlite_people.context, member, "vision", "data", "", cursor=cursor
            )


async def test_rights(sqlite_people: People, root: Path) -> None:
    context, viewer = sqlite_people.context, await sqlite_people.principal("viewer")
    (root / "f").write_text("x")
    assert len(await list_all(sqlite_people, viewer)) == 1
    for attempt in (
        browse.make_directory(context, viewer, "vision", "data", "d"),
        browse.move_entry(context, viewer, "vision", "data", "f", "g"),
        browse.remove_entry(context, viewer, "vision", "data", "f"),
        browse.purge_trashed(context, viewer, "vision", "data", None),
    ):
        with pytest.raises(Forbidden):
            await attempt


@pytest.fixture
async def nas(sqlite_people: People, tmp_path: Path) -> Path:
    """A registered directory that may be written to, called `nas`."""
    path = tmp_path / "nas"
    path.mkdir(mode=0o775)
    path.chmod(0o2775)
    admin = await sqlite_people.principal("admin")
    await registered.register_folder(
        sqlite_people.context,
        admin,
        FolderRegister(
            path=str(path), project="vision", read_only=False, share="read-write", name="nas"
        ),
    )
    return path


async def test_in_place_the_service_directory_is_out_of_sight(
    sqlite_people: People, member: Principal, nas: Path
) -> None:
    context = sqlite_people.context
    (nas / "f").write_text("x")
    await browse.remove_entry(context, member, "vision", "nas", "f")
    assert os.listdir(nas) == [".madang"]
    listed = await browse.list_entries(context, member, "vision", "nas", "")
    assert listed.entries == []
    for path in (".madang", ".madang/trash", "./.madang"):
        with pytest.raises(NotFound):
            await browse.list_entries(context, member, "vision", "nas", path)
    (trashed,) = await browse.list_trash(context, member, "vision", "nas")
    await browse.restore_entry(context, member, "vision", "nas", trashed.id)
    assert (nas / "f").read_text() == "x"
    made = await browse.make_directory(context, member, "vision", "nas", "dir")
    assert (nas / made.path).stat().st_mode & 0o7777 == 0o2775


async def test_a_planted_service_directory_is_not_used(
    sqlite_people: People, member: Principal, nas: Path, tmp_path: Path
) -> None:
    """In place, tasks can write beside it: a link there must not lead the server elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (nas / "f").write_text("x")
    (nas / ".madang").symlink_to(elsewhere)
    with pytest.raises(InvalidInput):
        await browse.remove_entry(sqlite_people.context, member, "vision", "nas", "f")
    (nas / ".madang").unlink()
    (nas / ".madang").mkdir()
    (nas / ".madang").chmod(0o777)
    async with sqlite_people.context.db.transaction() as session:
        access = await folder_access(sqlite_people.context, session, member, "vision", "nas", True)

    def use() -> None:
        with open_place(access) as place, place.service(STAGING):
            raise AssertionError("it was used")

    from madang.core.errors import Unavailable

    with pytest.raises(Unavailable):
        await asyncio.to_thread(use)
    assert list(elsewhere.iterdir()) == []
