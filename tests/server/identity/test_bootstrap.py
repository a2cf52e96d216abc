"""What an installation has after its first start."""

from __future__ import annotations

import getpass
import os
import stat
import tomllib

import pytest

from madang.server.context import ServerContext
from madang.server.identity import bootstrap
from madang.server.identity.api_tokens import revoke_token
from madang.server.identity.tokens import authenticate_token


async def written_token(context: ServerContext) -> str:
    return str(tomllib.loads(context.paths.client_config.read_text())["token"])


async def test_first_start(context: ServerContext) -> None:
    await bootstrap.prepare_installation(context)
    mode = stat.S_IMODE(context.paths.client_config.stat().st_mode)
    assert mode == 0o600
    principal = await authenticate_token(context, await written_token(context))
    assert principal.is_admin
    assert list(principal.roles.values()) == ["maintainer"]


async def test_later_starts_keep_the_token(context: ServerContext) -> None:
    await bootstrap.prepare_installation(context)
    first = await written_token(context)
    await bootstrap.prepare_installation(context)
    assert await written_token(context) == first


async def test_a_revoked_or_damaged_token_is_replaced(sqlite_context: ServerContext) -> None:
    context = sqlite_context
    await bootstrap.prepare_installation(context)
    first = await written_token(context)
    principal = await authenticate_token(context, first)
    await revoke_token(context, principal, bootstrap.LOCAL_TOKEN)
    await bootstrap.prepare_installation(context)
    second = await written_token(context)
    assert second != first
    context.paths.client_config.write_text("token = ")
    await bootstrap.prepare_installation(context)
    assert (await authenticate_token(context, await written_token(context))).is_admin


@pytest.mark.parametrize(
    ("os_name", "expected"),
    [
        ("kim", "kim"),
        ("Kim Minji", "kim-minji"),
        ("김민지", "admin"),
        ("DOMAIN\\lee", "domain-lee"),
    ],
)
def test_admin_is_named_after_who_runs_it(
    monkeypatch: pytest.MonkeyPatch, os_name: str, expected: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(getpass, "getuser", lambda: os_name)
    assert bootstrap.first_admin_name() == expected
