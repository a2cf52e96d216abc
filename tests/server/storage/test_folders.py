"""Folders: names, rights, sharing, trash, mounts, registered directories."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from madang.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from madang.schemas.folders import FolderAccessLevel, FolderRegister
from madang.server.storage import folders, grants, registered, usage
from madang.server.storage.access import folder_access
from madang.server.storage.controller import keep_house
from madang.server.storage.mounts import MountRequest, ResolvedMount, resolve_mounts
from madang.server.storage.registered import refuse_protected
from tests.conftest import People

READ, WRITE = FolderAccessLevel.READ_ONLY, FolderAccessLevel.READ_WRITE
NONE, MANAGE = FolderAccessLevel.NONE, FolderAccessLevel.MANAGE


async def access_of(people: People, name: str, folder: str = "vision/data") -> str:
    principal = await people.principal(name)
    try:
        view = await folders.get_folder(people.context, principal, None, folder)
    except NotFound:
        return "not found"
    return view.access.value


async def make(
    people: People, owner: str = "member", share: FolderAccessLevel = WRITE, name: str = "data"
) -> folders.FolderView:
    principal = await people.principal(owner)
    return await folders.create_folder(
        people.context, principal, name, project="vision", share=share
    )


async def mounts_of(people: People, who: str, *requests: MountRequest) -> list[ResolvedMount]:
    principal = await people.principal(who)
    async with people.context.db.read() as session:
        return await resolve_mounts(
            people.context, session, principal, people.project_id, requests
        )


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (WRITE, {"member": "manage", "maintainer": "manage", "viewer": "read-only"}),
        (READ, {"member": "manage", "maintainer": "manage", "viewer": "read-only"}),
        (NONE, {"member": "manage", "maintainer": "manage", "viewer": "none"}),
    ],
)
async def test_who_may_what(
    people: People, share: FolderAccessLevel, expected: dict[str, str]
) -> None:
    await make(people, share=share)
    for name, level in {**expected, "outsider": "not found", "admin": "manage"}.items():
        assert await access_of(people, name) == level, name


async def test_a_member_has_what_is_shared_with_the_project(people: People) -> None:
    await make(people, owner="maintainer", share=READ)
    assert await access_of(people, "member") == "read-only"


async def test_sharing_with_a_person_and_with_another_project(people: People) -> None:
    await make(people, share=NONE)
    owner = await people.principal("member")

    async def share(kind: grants.GranteeKind, name: str, level: FolderAccessLevel | None) -> None:
        await grants.set_grant(
            people.context, owner, "vision", "data", kind=kind, name=name, access=level
        )

    await share("user", "outsider", READ)
    assert await access_of(people, "outsider") == "read-only"
    await share("user", "outsider", WRITE)
    assert await access_of(people, "outsider") == "read-write"
    await share("user", "outsider", None)
    assert await access_of(people, "outsider") == "not found"
    await share("project", "other", WRITE)
    assert await access_of(people, "outsider") == "read-write"
    await share("user", "viewer", WRITE)
    assert await access_of(people, "viewer") == "read-only"  # her role caps it
    listed = await grants.list_grants(people.context, owner, "vision", "data")
    assert {(grant.kind, grant.name) for grant in listed} == {
        ("project", "other"),
        ("user", "viewer"),
    }
    outsider = await people.principal("outsider")
    seen = await folders.list_folders(
        people.context, outsider, project=None, trashed=False, limit=10, cursor=None
    )
    assert [view.row.name for view in seen] == ["data"]
    with pytest.raises(Forbidden):
        await grants.set_grant(
            people.context, outsider, "vision", "data", kind="user", name="admin", access=READ
        )


async def test_a_token_for_one_project_does_not_reach_others(people: People) -> None:
    from dataclasses import replace

    view = await make(people, share=NONE)
    owner = await people.principal("member")
    await grants.set_grant(
        people.context, owner, "vision", "data", kind="user", name="outsider", access=WRITE
    )
    outsider = await people.principal("outsider")
    narrowed = replace(outsider, project_id=people.other_project_id)
    with pytest.raises(NotFound):
        await folders.get_folder(people.context, narrowed, None, view.row.id)
    reading = replace(outsider, scopes=("folders:read",))
    found = await folders.get_folder(people.context, reading, None, view.row.id)
    assert found.access is READ


async def test_names_are_unique_until_trashed(people: People) -> None:
    await make(people)
    with pytest.raises(Conflict, match="already"):
        await make(people)
    with pytest.raises(InvalidInput):
        await make(people, name="Not A Name")
    owner = await people.principal("member")
    first = await folders.trash_folder(people.context, owner, "vision", "data")
    second = await make(people)
    assert second.row.id != first.row.id
    with pytest.raises(Conflict, match="by now"):
        await folders.restore_folder(people.context, owner, "vision", "data")
    restored = await folders.restore_folder(
        people.context, owner, "vision", "data", name="data-old"
    )
    assert restored.row.id == first.row.id
    with pytest.raises(Conflict):
        await folders.change_folder(people.context, owner, "vision", "data-old", name="data")


async def test_making_many_at_once_gives_each_a_group_of_its_own(people: People) -> None:
    views = await asyncio.gather(*(make(people, name=f"data-{number}") for number in range(8)))
    gids = [view.row.gid for view in views]
    if os.geteuid() == 0:
        assert len(set(gids)) == 8
    else:
        assert set(gids) == {None}


async def test_trash_is_refused_while_in_use(people: People) -> None:
    view = await make(people)
    owner = await people.principal("member")

    async def users(session: object, folder_id: str) -> list[str]:
        return ["job train"] if folder_id == view.row.id else []

    people.context.folder_users = users
    with pytest.raises(Conflict, match="in use by job train"):
        await folders.trash_folder(people.context, owner, "vision", "data")


async def test_trash_is_emptied_after_its_days(people: People) -> None:
    view = await make(people)
    context, owner = people.context, await people.principal("member")
    root = folders.folder_path(context, view.row)
    (root / "file").write_text("x")
    await folders.trash_folder(context, owner, "vision", "data")
    with pytest.raises(NotFound):
        await mounts_of(people, "member", MountRequest("data"))
    context.clock.advance(29 * 86_400)  # type: ignore[attr-defined]
    await keep_house(context)
    assert (root / "file").exists()
    context.clock.advance(2 * 86_400)  # type: ignore[attr-defined]
    await keep_house(context)
    assert not root.parent.exists()
    with pytest.raises(NotFound):
        await folders.restore_folder(context, owner, "vision", "data")
    again = await make(people)
    assert again.row.gid is None or again.row.gid != view.row.gid


async def test_purging_asks_for_the_trash_first(people: People) -> None:
    view = await make(people)
    context, owner = people.context, await people.principal("member")
    with pytest.raises(NotFound):
        await folders.purge_folder(context, owner, "vision", "data")
    await folders.trash_folder(context, owner, "vision", "data")
    with pytest.raises(Forbidden):
        await folders.purge_folder(context, await people.principal("viewer"), "vision", "data")
    await folders.purge_folder(context, owner, "vision", "data")
    assert not folders.folder_path(context, view.row).exists()


async def test_housekeeping_mends_a_directory_that_a_crash_left_out(people: People) -> None:
    view = await make(people)
    root = folders.folder_path(people.context, view.row)
    root.rmdir()
    root.parent.rmdir()
    await keep_house(people.context)
    assert root.is_dir()


async def test_mounts(people: People) -> None:
    view = await make(people)
    await make(people, owner="maintainer", share=READ, name="shared")
    found = await mounts_of(
        people,
        "member",
        MountRequest("data"),
        MountRequest("vision/data", "/data/", read_only=True),
        MountRequest("shared", read_only=True),
    )
    assert [(mount.target, mount.read_only) for mount in found] == [
        ("/mnt/data", False),
        ("/data", True),
        ("/mnt/shared", True),
    ]
    assert found[0].source == str(folders.folder_path(people.context, view.row))
    assert found[0].gid == view.row.gid
    with pytest.raises(Forbidden, match="only read"):
        await mounts_of(people, "member", MountRequest("shared"))
    with pytest.raises(InvalidInput, match="would be at"):
        await mounts_of(people, "member", MountRequest("data"), MountRequest("data"))
    for targets in (("/mnt/a", "/mnt/a/x/deep"), ("/mnt/a/x", "/mnt/a/"), ("/mnt/a", "/mnt/a")):
        wanted = [MountRequest("data", target) for target in targets]
        with pytest.raises(InvalidInput, match="can't lie in each other"):
            await mounts_of(people, "member", *wanted)
    await mounts_of(people, "member", *(MountRequest("data", f"/mnt/a{n}") for n in ("", "a")))
    with pytest.raises(NotFound):
        await mounts_of(people, "outsider", MountRequest("vision/data"))


@pytest.mark.parametrize(
    "target",
    [
        *("/", "//", "relative", "/mnt/../etc", "/mnt/a\nb", "/mnt/a\x7f"),
        *("/etc", "/usr/lib", "/proc/self", "/dev/shm", "/lib32", "/libx32/a", "//etc/./x"),
        *("/home", "/home/mina/x", "/tmp/x", "/run/task", "/root", "/oldroot/x"),
    ],
)
async def test_a_mount_does_not_hide_the_system(sqlite_people: People, target: str) -> None:
    await make(sqlite_people)
    with pytest.raises(InvalidInput):
        await mounts_of(sqlite_people, "member", MountRequest("data", target))


async def test_platform_folders_are_made_once(people: People) -> None:
    context = people.context
    owner = people.user_ids["member"]

    async def ensure() -> str:
        async with context.db.transaction() as session:
            row = await folders.ensure_folder(
                session, context, people.project_id, "artifacts", owner
            )
            return row.id

    found = await asyncio.gather(*(ensure() for _ in range(4)))
    assert len(set(found)) == 1
    assert await access_of(people, "member", "vision/artifacts") == "manage"


async def register(people: People, path: Path | str, **options: object) -> folders.FolderView:
    admin = await people.principal("admin")
    wanted = FolderRegister(path=str(path), project="vision", **options)  # type: ignore[arg-type]
    return await registered.register_folder(people.context, admin, wanted)


async def test_a_directory_is_used_in_place(people: People, tmp_path: Path) -> None:
    nas = tmp_path / "My Data"
    nas.mkdir()
    (nas / "file").write_text("x")
    before = nas.stat()
    view = await register(people, nas)
    assert view.row.name == "my-data"
    assert await access_of(people, "member", "vision/my-data") == "read-only"
    with pytest.raises(Forbidden, match="read-only"):
        member = await people.principal("member")
        async with people.context.db.transaction() as session:
            await folder_access(people.context, session, member, None, view.row.id, True)
    mounts = await mounts_of(people, "member", MountRequest("my-data", read_only=True))
    assert mounts[0].source == str(nas)
    with pytest.raises(Conflict):
        await register(people, nas, name="again")
    admin = await people.principal("admin")
    await folders.trash_folder(people.context, admin, "vision", "my-data")
    await folders.purge_folder(people.context, admin, "vision", "my-data")
    assert (nas / "file").read_text() == "x"
    assert nas.stat().st_mode == before.st_mode
    assert os.listdir(nas) == ["file"]


async def test_only_administrators_register(people: People, tmp_path: Path) -> None:
    maintainer = await people.principal("maintainer")
    with pytest.raises(Forbidden):
        await registered.register_folder(
            people.context, maintainer, FolderRegister(path=str(tmp_path), project="vision")
        )


@pytest.mark.parametrize("what", ["state", "above", "link", "missing", "file", "relative"])
async def test_what_can_not_be_registered(
    sqlite_people: People, tmp_path: Path, what: str
) -> None:
    state = sqlite_people.context.paths.state_dir
    (tmp_path / "link").symlink_to(state)
    (tmp_path / "file").write_text("")
    places: dict[str, Path | str] = {
        "state": state / "volumes",
        "above": state.parent,
        "link": tmp_path / "link",
        "missing": tmp_path / "none",
        "file": tmp_path / "file",
        "relative": "data",
    }
    with pytest.raises(InvalidInput):
        await register(sqlite_people, places[what])


@pytest.mark.parametrize(
    "path",
    ["/", "/etc", "/etc/ssl", "/usr/share", "/proc", "/root", "/home", "/mnt", "/var", "/run"],
)
def test_the_system_is_not_data(path: str) -> None:
    with pytest.raises(InvalidInput, match="system"):
        refuse_protected(Path(path), Path("/var/lib/madang"))


@pytest.mark.parametrize("path", ["/mnt/nas", "/home/ann/data", "/srv/data", "/data", "/tmp/x"])
def test_data_is_data(path: str) -> None:
    refuse_protected(Path(path), Path("/var/lib/madang"))


async def test_quota_is_labelled_and_measured(people: People) -> None:
    view = await make(people)
    context = people.context
    admin, member = await people.principal("admin"), await people.principal("member")
    (folders.folder_path(context, view.row) / "file").write_bytes(b"x" * 600)
    with pytest.raises(Forbidden):
        await usage.set_quota(context, member, "vision", "data", 1000)
    limited = await usage.set_quota(context, admin, "vision", "data", 1000)
    assert (limited.row.quota_bytes, limited.row.quota_enforced) == (1000, False)
    assert (limited.row.usage_bytes, limited.row.usage_files) == (600, 1)
    async with context.db.transaction() as session:
        access = await folder_access(context, session, member, "vision", "data", True)
    assert access.quota_left_bytes == 400
    lifted = await usage.set_quota(context, admin, "vision", "data", None)
    assert lifted.row.quota_bytes is None


def test_usage_without_the_native_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from madang.core.errors import Unsupported

    def missing(root: object) -> object:
        raise Unsupported("not installed")

    (tmp_path / "a").mkdir()
    (tmp_path / "a/f").write_bytes(b"123")
    (tmp_path / "g").write_bytes(b"4567")
    native = usage.count_usage(tmp_path)
    monkeypatch.setattr(usage, "scan", missing)
    assert usage.count_usage(tmp_path) == native == (7, 2)
