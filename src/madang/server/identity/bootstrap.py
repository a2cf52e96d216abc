"""What an installation has from its first start on: an administrator and a project.

At each start the administrator's token is made sure of and written, with the addresses, to
`client.toml` in the state folder: whoever may read that is in charge anyway and needs no login.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import tomllib
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Unauthenticated
from madang.core.ids import new_id
from madang.core.permissions import Role
from madang.server.context import ServerContext
from madang.server.identity.tables import MembershipRow, ProjectRow, TokenRow, UserRow
from madang.server.identity.tokens import authenticate_token, issue_token
from madang.server.settings import gateway_url, portal_url

FIRST_PROJECT = "default"
LOCAL_TOKEN = "this machine"


async def prepare_installation(context: ServerContext) -> None:
    """Make what is missing; safe to repeat at each start."""
    async with context.db.transaction() as session:
        if await session.scalar(select(UserRow.id).limit(1)) is None:
            await _make_first(context, session)
    settings = context.settings
    entries = {
        "url": portal_url(settings),
        "token": await _local_token(context),
        "gateway_url": gateway_url(settings),
    }
    if settings.tls == "self-signed":
        entries["ca_file"] = settings.tls_cert
    _write_login_file(context.paths.client_config, entries)


async def _make_first(context: ServerContext, session: AsyncSession) -> None:
    now = context.clock.now()
    admin = UserRow(id=new_id("user"), name=first_admin_name(), created_at=now, is_admin=True)
    project = ProjectRow(
        id=new_id("proj"),
        name=FIRST_PROJECT,
        created_at=now,
        description="The project that every installation begins with",
    )
    session.add_all([admin, project])
    await session.flush()
    session.add(MembershipRow(project_id=project.id, user_id=admin.id, role=Role.MAINTAINER))


def first_admin_name() -> str:
    """The OS user's name as far as it can name an account; `admin` for root."""
    if os.geteuid() == 0:
        return "admin"
    name = re.sub(r"[^a-z0-9._-]+", "-", getpass.getuser().lower()).strip("._-")
    return name[:63].rstrip("._-") or "admin"


async def _local_token(context: ServerContext) -> str:
    """The token in `client.toml` while it is good, else a new one in its place."""
    stored = _stored_token(context.paths.client_config)
    if stored:
        try:
            principal = await authenticate_token(context, stored)
            if principal.is_admin and not principal.is_narrowed:
                return stored
        except Unauthenticated:
            pass  # revoked, or of another database: a new one takes its place
    async with context.db.transaction() as session:
        admin = await session.scalar(
            select(UserRow)
            .where(UserRow.is_admin, UserRow.disabled_at.is_(None))
            .order_by(UserRow.id)
            .limit(1)
        )
        assert admin is not None, "the last administrator can't be disabled"
        old = await session.scalar(
            select(TokenRow).where(TokenRow.user_id == admin.id, TokenRow.name == LOCAL_TOKEN)
        )
        if old is not None:
            await session.delete(old)
            await session.flush()
        _, word = await issue_token(
            session, user_id=admin.id, name=LOCAL_TOKEN, now=context.clock.now()
        )
    return word


def _stored_token(path: Path) -> str:
    try:
        return str(tomllib.loads(path.read_text()).get("token", ""))
    except (FileNotFoundError, tomllib.TOMLDecodeError):
        return ""


def _write_login_file(path: Path, entries: dict[str, str]) -> None:
    """Whole or not at all, readable by the server's user alone. JSON strings are TOML strings."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{key} = {json.dumps(value)}\n" for key, value in entries.items())
    temporary.replace(path)
