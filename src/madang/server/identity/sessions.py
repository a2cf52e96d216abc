"""Logins: by name and password, by a link that works once; and the portal's sessions.

A session is a random word in an HttpOnly cookie; the database has its hash. Another page can make
a browser send the cookie, but can read neither the session's CSRF word nor forge our Origin:
requests that change something need both (see api/deps.py).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from madang.core.errors import Unauthenticated
from madang.core.ids import new_id
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.tables import LoginLinkRow, LoginSessionRow, TokenRow, UserRow
from madang.server.identity.tokens import hash_token, load_principal, revoke

SESSION_COOKIE = "madang_session"
SESSION_PREFIX = "mds_"
LINK_MINUTES = 15


@dataclass(frozen=True, slots=True)
class Login:
    """A fresh session: `word` goes into the cookie and is kept nowhere else."""

    principal: Principal
    word: str
    expires_at: datetime


async def check_password(context: ServerContext, name: str, password: str, address: str) -> str:
    """The id of the person with this name and password.

    Raises Unauthenticated, in the same words and time whether the name exists or not, and
    RateLimited after too many failures for the name or from the address.
    """
    keys = (f"name:{name}", f"address:{address}")
    context.logins.count(*keys)
    async with context.db.read() as session:
        user = await session.scalar(select(UserRow).where(UserRow.name == name))
    good = await context.passwords.verify(user.password_hash if user else None, password)
    if user is None or not good or user.disabled_at is not None:
        raise Unauthenticated(
            "name or password is wrong", hint="An administrator can make a new login link."
        )
    context.logins.forgive(*keys)
    return user.id


async def log_in(context: ServerContext, name: str, password: str, address: str) -> Login:
    """Begin a session by name and password. Raises as `check_password`."""
    return await _begin(context, await check_password(context, name, password, address))


async def log_in_by_link(context: ServerContext, word: str, address: str) -> Login:
    """Begin a session by a one-time link, which is used up by it. Raises Unauthenticated."""
    key = f"address:{address}"
    context.logins.count(key)
    async with context.db.transaction() as session:
        user_id = await session.scalar(
            delete(LoginLinkRow)
            .where(
                LoginLinkRow.hash == hash_token(word),
                LoginLinkRow.expires_at > context.clock.now(),
            )
            .returning(LoginLinkRow.user_id)
        )
    if user_id is None:
        raise Unauthenticated(
            "this link was used already or is too old",
            hint="`madang user link NAME` makes a new one.",
        )
    context.logins.forgive(key)
    return await _begin(context, user_id)


async def make_link(context: ServerContext, user_id: str) -> tuple[str, datetime]:
    """A word that logs the person in once, and until when."""
    word = secrets.token_urlsafe(24)
    expires_at = context.clock.now() + timedelta(minutes=LINK_MINUTES)
    async with context.db.transaction() as session:
        session.add(LoginLinkRow(hash=hash_token(word), user_id=user_id, expires_at=expires_at))
    return word, expires_at


async def authenticate_session(context: ServerContext, word: str) -> Principal:
    """The person whose session it is. Raises Unauthenticated."""
    async with context.db.read() as session:
        row = await session.scalar(
            select(LoginSessionRow).where(LoginSessionRow.hash == hash_token(word))
        )
        if row is None or row.expires_at <= context.clock.now():
            raise Unauthenticated("your login has ended", hint="Log in again.")
        return await load_principal(
            session, row.user_id, session_id=row.id, expires_at=row.expires_at
        )


async def log_out(context: ServerContext, principal: Principal) -> None:
    """End what the request came with: the portal's session, or the token."""
    async with context.db.transaction() as session:
        await session.execute(
            delete(LoginSessionRow).where(LoginSessionRow.id == principal.session_id)
        )
        token = await session.get(TokenRow, principal.token_id) if principal.token_id else None
        if token is not None:
            revoke(token, context.clock.now())


def csrf_word(context: ServerContext, session_id: str) -> str:
    """What requests of this session that change something must carry as `X-Madang-CSRF`."""
    key = context.paths.secret("csrf")
    return hmac.new(key, session_id.encode(), hashlib.sha256).hexdigest()


async def _begin(context: ServerContext, user_id: str) -> Login:
    word = SESSION_PREFIX + secrets.token_urlsafe(32)
    now = context.clock.now()
    row = LoginSessionRow(
        id=new_id("login"),
        user_id=user_id,
        hash=hash_token(word),
        created_at=now,
        expires_at=now + timedelta(hours=context.settings.login_hours),
    )
    async with context.db.transaction() as session:
        principal = await load_principal(
            session, user_id, session_id=row.id, expires_at=row.expires_at
        )
        session.add(row)
    return Login(principal, word, row.expires_at)
