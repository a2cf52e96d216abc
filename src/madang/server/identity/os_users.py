"""Whom tasks run as on the nodes.

Shared mode (the server is root): each person has a uid of her own, given once and never again to
anybody else, so that one person's tasks can't read another's files. Personal mode: everything
runs as the server's own user, so there can be one person only.
"""

from __future__ import annotations

import os
import pwd

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import LimitExceeded, Unsupported
from madang.server.cluster.protocol import TaskUser
from madang.server.context import ServerContext
from madang.server.identity.tables import UserRow

FIRST_UID = 200_000
LAST_UID = 299_999
"""Above ordinary users and the ranges that distributions give out; each uid is a gid too."""

_UID_LOCK = 0x6D61_7569
"""On PostgreSQL two servers give out uids one after the other."""


def is_shared() -> bool:
    """Whether tasks of different people can run under uids of their own."""
    return os.geteuid() == 0


async def task_user(context: ServerContext, session: AsyncSession, user_id: str) -> TaskUser:
    """Whom this person's tasks run as; her uid is chosen at the first one.

    Joins a transaction. Raises Unsupported in personal mode for anybody but the first person.
    """
    user = await session.get_one(UserRow, user_id)
    if not is_shared():
        await _claim_own_uid(session, user)
        return TaskUser(user.name, os.geteuid(), os.getegid(), tuple(os.getgroups()))
    if user.uid is None or not FIRST_UID <= user.uid <= LAST_UID:
        user.uid = await _next_uid(context, session)
        await session.flush()
    return TaskUser(user.name, user.uid, user.uid)


async def _claim_own_uid(session: AsyncSession, user: UserRow) -> None:
    own = os.geteuid()
    if user.uid == own:
        return
    holder = await session.scalar(select(UserRow).where(UserRow.uid == own))
    if holder is not None:
        raise Unsupported(
            f"only {holder.name} can run tasks here: the platform runs as an ordinary user "
            f"({_name_of(own)}), so that {user.name}'s tasks could read {holder.name}'s files",
            hint="Run the platform as root: then each person's tasks have a user id of their own.",
        )
    user.uid = own
    await session.flush()


async def _next_uid(context: ServerContext, session: AsyncSession) -> int:
    if context.db.dialect == "postgresql":
        await session.execute(text(f"SELECT pg_advisory_xact_lock({_UID_LOCK})"))
    highest = await session.scalar(
        select(func.max(UserRow.uid)).where(UserRow.uid.between(FIRST_UID, LAST_UID))
    )
    uid = FIRST_UID if highest is None else highest + 1
    while uid <= LAST_UID and _name_of(uid) != str(uid):
        uid += 1
    if uid > LAST_UID:
        raise LimitExceeded(f"all user ids from {FIRST_UID} to {LAST_UID} are given out")
    return uid


def _name_of(uid: int) -> str:
    """The machine's name for a uid; the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
