"""Making, listing and revoking one's API tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from madang.core.errors import Conflict, InvalidInput, NotFound
from madang.core.permissions import Permission, scopes_allow
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.identity.sessions import check_password
from madang.server.identity.tables import ProjectRow, TokenRow
from madang.server.identity.tokens import issue_token, revoke
from madang.server.identity.users import require_whole_login


@dataclass(frozen=True, slots=True)
class OwnToken:
    row: TokenRow
    project: str | None


def check_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """Raises InvalidInput for a scope that covers no permission at all: a misspelt one."""
    for scope in scopes:
        if not any(scopes_allow((scope,), permission) for permission in Permission):
            raise InvalidInput(
                f"scope {scope!r} covers no permission",
                field="scopes",
                hint="Use patterns such as 'jobs:*', '*:read' or '*'. Permissions: "
                + ", ".join(Permission),
            )
    return tuple(scopes)


async def create_token(
    context: ServerContext,
    principal: Principal,
    name: str,
    *,
    scopes: Sequence[str] = ("*",),
    project: str | None = None,
    days: float | None = None,
) -> tuple[OwnToken, str]:
    """Make a token of one's own; the word is returned this once.

    It ends no later than the token that it is made with. Raises Forbidden for narrowed tokens,
    InvalidInput for scopes that mean nothing, Conflict when the name is taken.
    """
    principal.require(Permission.ACCOUNT_WRITE)
    require_whole_login(principal, "make tokens")
    wanted = check_scopes(scopes)
    try:
        async with context.db.transaction() as session:
            found = await resolve_project(session, principal, project) if project else None
            row, word = await issue_token(
                session,
                user_id=principal.user_id,
                name=name,
                now=context.clock.now(),
                scopes=wanted,
                project_id=found.id if found else None,
                expires_at=_expiry(context, principal, days),
            )
    except IntegrityError:
        raise Conflict(
            f"you have a token {name!r} already",
            field="name",
            hint="Revoke it, or choose another.",
        ) from None
    return OwnToken(row, found.name if found else None), word


async def log_in_for_token(
    context: ServerContext, name: str, password: str, token_name: str, address: str
) -> tuple[OwnToken, str]:
    """A token for name and password, good as long as a login; it replaces one of its name.

    Raises as `sessions.check_password`.
    """
    user_id = await check_password(context, name, password, address)
    now = context.clock.now()
    async with context.db.transaction() as session:
        old = await session.scalar(
            select(TokenRow).where(TokenRow.user_id == user_id, TokenRow.name == token_name)
        )
        if old is not None:
            await session.delete(old)
            await session.flush()
        row, word = await issue_token(
            session,
            user_id=user_id,
            name=token_name,
            now=now,
            expires_at=now + timedelta(hours=context.settings.login_hours),
        )
    return OwnToken(row, None), word


async def list_tokens(
    context: ServerContext, principal: Principal, *, limit: int, cursor: str | None
) -> list[OwnToken]:
    """One's own tokens, newest first; one more than `limit` when there are more."""
    principal.require(Permission.ACCOUNT_READ)
    query = (
        select(TokenRow, ProjectRow.name)
        .join(ProjectRow, ProjectRow.id == TokenRow.project_id, isouter=True)
        .where(TokenRow.user_id == principal.user_id)
        .order_by(TokenRow.id.desc())
        .limit(limit + 1)
    )
    if cursor:
        query = query.where(TokenRow.id < cursor)
    async with context.db.read() as session:
        return [OwnToken(row, project) for row, project in await session.execute(query)]


async def revoke_token(context: ServerContext, principal: Principal, token: str) -> None:
    """End a token of one's own, by name or id; safe to repeat. Its name is free again."""
    principal.require(Permission.ACCOUNT_WRITE)
    async with context.db.transaction() as session:
        row = await session.scalar(
            select(TokenRow).where(
                TokenRow.user_id == principal.user_id,
                or_(TokenRow.id == token, TokenRow.name == token),
            )
        )
        if row is None:
            raise NotFound(f"you have no token {token!r}", hint="`madang token list` shows yours.")
        revoke(row, context.clock.now())


def _expiry(context: ServerContext, principal: Principal, days: float | None) -> datetime | None:
    asked = context.clock.now() + timedelta(days=days) if days else None
    limit = None if principal.session_id else principal.expires_at
    limits = [moment for moment in (asked, limit) if moment is not None]
    return min(limits) if limits else None
