"""API tokens: random words of which only a hash is kept, and the signed tokens of tasks."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Unauthenticated
from madang.core.ids import new_id
from madang.core.permissions import Role
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.tables import MembershipRow, TokenRow, UserRow

TOKEN_PREFIX = "mdt_"
TASK_TOKEN_PREFIX = "mdk_"


def hash_token(token: str) -> str:
    """Tokens are long and random: a fast hash is enough, there is nothing to guess."""
    return hashlib.sha256(token.encode()).hexdigest()


async def issue_token(
    session: AsyncSession,
    *,
    user_id: str,
    name: str,
    now: datetime,
    scopes: tuple[str, ...] = ("*",),
    project_id: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[TokenRow, str]:
    """Make a token; the word itself is returned once and kept nowhere."""
    word = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = TokenRow(
        id=new_id("tok"),
        user_id=user_id,
        name=name,
        hash=hash_token(word),
        created_at=now,
        scopes=list(scopes),
        project_id=project_id,
        expires_at=expires_at,
    )
    session.add(row)
    return row, word


def revoke(token: TokenRow, now: datetime) -> None:
    """End a token; its name is free again. Safe to repeat."""
    if token.revoked_at is None:
        token.revoked_at = now
        token.name = f"{token.name} ({token.id})"


def task_token(context: ServerContext, task_id: str, user_id: str, project_id: str) -> str:
    """The token of a task: signed, not stored, so that it can be made again after a restart."""
    claim = f"{task_id}.{user_id}.{project_id}"
    return f"{TASK_TOKEN_PREFIX}{claim}.{_sign(context, claim)}"


async def authenticate_token(context: ServerContext, token: str) -> Principal:
    """The principal that a bearer token stands for. Raises Unauthenticated."""
    if token.startswith(TASK_TOKEN_PREFIX):
        return await _authenticate_task(context, token.removeprefix(TASK_TOKEN_PREFIX))
    if not token.isascii():
        raise Unauthenticated("this token is not known")
    async with context.db.read() as session:
        row = await session.scalar(select(TokenRow).where(TokenRow.hash == hash_token(token)))
        now = context.clock.now()
        if row is None:
            raise Unauthenticated(
                "this token is not known", hint="`madang login` makes a new one."
            )
        if row.revoked_at is not None:
            raise Unauthenticated("this token was revoked", hint="`madang login` makes a new one.")
        if row.expires_at is not None and row.expires_at <= now:
            raise Unauthenticated("this token has expired", hint="`madang login` makes a new one.")
        principal = await load_principal(
            session,
            row.user_id,
            scopes=tuple(row.scopes),
            project_id=row.project_id,
            token_id=row.id,
            expires_at=row.expires_at,
        )
    context.token_uses[row.id] = now
    return principal


async def load_principal(
    session: AsyncSession,
    user_id: str,
    *,
    scopes: tuple[str, ...] = ("*",),
    project_id: str | None = None,
    task_id: str | None = None,
    session_id: str | None = None,
    token_id: str | None = None,
    expires_at: datetime | None = None,
) -> Principal:
    """The person with her roles as of now. Raises Unauthenticated when she was disabled."""
    user = await session.get(UserRow, user_id)
    if user is None or user.disabled_at is not None:
        raise Unauthenticated("this account was disabled", hint="Ask an administrator.")
    memberships = await session.execute(
        select(MembershipRow.project_id, MembershipRow.role).where(
            MembershipRow.user_id == user_id
        )
    )
    roles = {project: Role(role) for project, role in memberships}
    if user.is_admin and task_id is not None and project_id is not None:
        # Her task is no administrator, but may in its own project what she may without a role.
        roles[project_id] = Role.MAINTAINER
    return Principal(
        user_id=user.id,
        name=user.name,
        is_admin=user.is_admin and task_id is None,
        roles=roles,
        scopes=scopes,
        project_id=project_id,
        task_id=task_id,
        session_id=session_id,
        token_id=token_id,
        expires_at=expires_at,
    )


async def _authenticate_task(context: ServerContext, claim_and_signature: str) -> Principal:
    claim, _, signature = claim_and_signature.rpartition(".")
    expected = _sign(context, claim)
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        raise Unauthenticated("this task token is not valid")
    task_id, user_id, project_id = claim.split(".")
    async with context.db.read() as session:
        if not await context.task_is_live(session, task_id):
            raise Unauthenticated("the task of this token has ended")
        return await load_principal(session, user_id, project_id=project_id, task_id=task_id)


def _sign(context: ServerContext, claim: str) -> str:
    key = context.paths.secret("task-tokens")
    return hmac.new(key, claim.encode(), hashlib.sha256).hexdigest()
