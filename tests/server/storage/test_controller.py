"""Housekeeping: what happens by itself, and when."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from madang.core.clock import ManualClock
from madang.server.storage import browse, controller, folders, staging, usage
from madang.server.storage.access import folder_access
from madang.server.storage.controller import HOUSEKEEPING_S, MEASURE_DELAY_S, UPLOAD_DAYS
from madang.server.storage.place import open_place
from madang.server.storage.tables import FolderRow
from tests.conftest import People


async def eventually(condition: object) -> None:
    for _ in range(500):
        if await condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


async def test_usage_follows_writes_and_trash_goes_by_itself(sqlite_people: People) -> None:
    people, context = sqlite_people, sqlite_people.context
    clock = context.clock
    assert isinstance(clock, ManualClock)
    member = await people.principal("member")
    view = await folders.create_folder(context, member, "data", project="vision")
    old = await folders.create_folder(context, member, "old", project="vision")
    root = folders.folder_path(context, view.row)
    await folders.trash_folder(context, member, "vision", "old")

    async def row() -> FolderRow:
        async with context.db.read() as session:
            return await session.get_one(FolderRow, view.row.id)

    async def is_measured() -> bool:
        context.bus.publish([f"folder-usage:{view.row.id}"])  # it looks at the clock again
        return (await row()).usage_bytes == 5

    async def is_purged() -> bool:
        context.bus.publish(["folder-usage:none"])
        return not folders.folder_path(context, old.row).parent.exists()

    running = asyncio.create_task(controller.run(context))
    try:
        (root / "f").write_bytes(b"12345")
        async with context.db.transaction() as session:
            await folder_access(context, session, member, "vision", "data", True)
        await asyncio.sleep(0.05)
        assert (await row()).usage_bytes is None
        clock.advance(MEASURE_DELAY_S + 1)
        await eventually(is_measured)
        assert not running.done()
        clock.advance(31 * 86_400 + HOUSEKEEPING_S)
        await eventually(is_purged)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_old_uploads_and_old_trash_inside_are_dropped(sqlite_people: People) -> None:
    people, context = sqlite_people, sqlite_people.context
    member = await people.principal("member")
    view = await folders.create_folder(context, member, "data", project="vision")
    root = folders.folder_path(context, view.row)
    async with context.db.transaction() as session:
        access = await folder_access(context, session, member, "vision", "data", True)
    with open_place(access) as place:
        stale = staging.begin(place, b"stale", 10, "", None).id
        fresh = staging.begin(place, b"fresh", 10, "", None).id
    long_ago = time.time() - (UPLOAD_DAYS + 1) * 86_400
    slot = root.parent / "staging" / stale
    for path in (slot / "data", slot / "ledger", slot / "meta", slot):
        os.utime(path, (long_ago, long_ago))
    (root / "f").write_text("x")
    await browse.remove_entry(context, member, "vision", "data", "f")
    await controller.keep_house(context)
    assert os.listdir(root.parent / "staging") == [fresh]
    assert len(await browse.list_trash(context, member, "vision", "data")) == 1
    context.clock.advance(31 * 86_400)  # type: ignore[attr-defined]
    await controller.keep_house(context)
    assert await browse.list_trash(context, member, "vision", "data") == []


async def test_a_folder_that_fails_does_not_hinder_the_others(
    sqlite_people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, context = sqlite_people, sqlite_people.context
    member = await people.principal("member")
    for name in ("bad", "good"):
        await folders.create_folder(context, member, name, project="vision")
        await usage.set_quota(context, await people.principal("admin"), "vision", name, 100)
    good = await folders.get_folder(context, member, "vision", "good")
    root = folders.folder_path(context, good.row)
    (root / "f").write_bytes(b"123")
    real = usage.count_usage

    def count(path: Path) -> tuple[int, int]:
        if path != root:
            raise PermissionError(13, "no")
        return real(path)

    monkeypatch.setattr(usage, "count_usage", count)
    await controller.keep_house(context)
    good = await folders.get_folder(context, member, "vision", "good")
    assert good.row.usage_bytes == 3
