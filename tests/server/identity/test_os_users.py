"""Whom tasks run as."""

from __future__ import annotations

import os

import pytest

from madang.core.errors import Unsupported
from madang.server.identity import os_users
from tests.conftest import People


async def uid_of(people: People, name: str) -> int:
    async with people.context.db.transaction() as session:
        user = await os_users.task_user(people.context, session, people.user_ids[name])
    return user.uid


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os_users, "is_shared", lambda: True)


@pytest.fixture
def personal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os_users, "is_shared", lambda: False)


async def test_shared_mode_gives_each_a_uid_for_good(people: People, shared: None) -> None:
    first, second = await uid_of(people, "member"), await uid_of(people, "viewer")
    assert first != second
    assert {first, second} <= set(range(os_users.FIRST_UID, os_users.LAST_UID + 1))
    assert await uid_of(people, "member") == first


async def test_uids_of_the_machine_are_passed_over(
    sqlite_people: People, shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {os_users.FIRST_UID: "ldap-user"}
    monkeypatch.setattr(os_users, "_name_of", lambda uid: known.get(uid, str(uid)))
    assert await uid_of(sqlite_people, "member") == os_users.FIRST_UID + 1


async def test_personal_mode_is_for_one_person(people: People, personal: None) -> None:
    assert await uid_of(people, "member") == os.geteuid()
    assert await uid_of(people, "member") == os.geteuid()
    with pytest.raises(Unsupported, match="only member can run tasks here"):
        await uid_of(people, "viewer")


async def test_moving_from_personal_to_shared_mode(
    sqlite_people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os_users, "is_shared", lambda: False)
    await uid_of(sqlite_people, "member")
    monkeypatch.setattr(os_users, "is_shared", lambda: True)
    assert await uid_of(sqlite_people, "member") >= os_users.FIRST_UID
