"""Accounts: making, changing, disabling them, and passwords."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.identity import sessions
from madang.server.identity.principal import Principal
from madang.server.identity.tables import LoginLinkRow, LoginSessionRow, UserRow
from madang.server.settings import portal_url


async def resolve_user(session: AsyncSession, user: str) -> UserRow:
    """The person who is meant, by name or id. Raises NotFound."""
    found = await session.scalar(
        select(UserRow).where(or_(UserRow.id == user, UserRow.name == user))
    )
    if found is None:
        raise NotFound(
            f"there is no user {user!r}", field="user", hint="`madang user list` shows all."
        )
    return found


async def create_user(
    context: ServerContext,
    principal: Principal,
    name: str,
    *,
    password: str | None = None,
    is_admin: bool = False,
) -> UserRow:
    """Make an account. Raises Forbidden, InvalidInput, Conflict when the name is taken."""
    principal.require(Permission.USERS_WRITE)
    user = UserRow(
        id=new_id("user"),
        name=check_name(name, "user"),
        created_at=context.clock.now(),
        is_admin=is_admin,
        password_hash=await context.passwords.hash(password) if password else None,
    )
    try:
        async with context.db.transaction() as session:
            session.add(user)
    except IntegrityError:
        raise Conflict(f"there is a user {name!r} already", field="name") from None
    return user


async def list_users(
    context: ServerContext, principal: Principal, *, limit: int, cursor: str | None
) -> list[UserRow]:
    """Everybody with an account, newest first; one more than `limit` when there are more."""
    principal.require(Permission.USERS_READ)
    query = select(UserRow).order_by(UserRow.id.desc()).limit(limit + 1)
    if cursor:
        query = query.where(UserRow.id < cursor)
    async with context.db.read() as session:
        return list(await session.scalars(query))


async def get_user(context: ServerContext, principal: Principal, user: str) -> UserRow:
    principal.require(Permission.USERS_READ)
    async with context.db.read() as session:
        return await resolve_user(session, user)


async def change_user(
    context: ServerContext,
    principal: Principal,
    user: str,
    *,
    is_admin: bool | None = None,
    disabled: bool | None = None,
    password: str | None = None,
) -> UserRow:
    """Change an account; None leaves things as they are. Whoever is disabled, or gets a new
    password, is logged out. Raises Conflict for what would leave no administrator."""
    principal.require(Permission.USERS_WRITE)
    password_hash = await context.passwords.hash(password) if password else None
    async with context.db.transaction() as session:
        row = await resolve_user(session, user)
        if row.is_admin and (is_admin is False or disabled):
            await _check_not_last_admin(session, row)
        if is_admin is not None:
            row.is_admin = is_admin
        if disabled is not None:
            row.disabled_at = context.clock.now() if disabled else None
        if password_hash:
            row.password_hash = password_hash
        if disabled or password_hash:
            await _end_logins(session, row.id)
        return row


async def change_own_password(
    context: ServerContext, principal: Principal, *, current: str, new: str, address: str
) -> None:
    """Set one's own password; other logins in the portal end.

    Raises Forbidden for a narrowed token, InvalidInput when `current` is not the password (it is
    not asked for while there is none), RateLimited after too many wrong ones.
    """
    require_whole_login(principal, "change the password")
    async with context.db.read() as session:
        row = await resolve_user(session, principal.user_id)
    if row.password_hash is not None:
        keys = (f"name:{row.name}", f"address:{address}")
        context.logins.count(*keys)
        if not await context.passwords.verify(row.password_hash, current):
            raise InvalidInput("this is not the current password", field="current")
        context.logins.forgive(*keys)
    new_hash = await context.passwords.hash(new)
    async with context.db.transaction() as session:
        row = await resolve_user(session, principal.user_id)
        row.password_hash = new_hash
        await _end_logins(session, row.id, but=principal.session_id)


async def make_login_link(
    context: ServerContext, principal: Principal, user: str
) -> tuple[str, datetime]:
    """An address that logs the person in once, and until when. For administrators."""
    principal.require(Permission.USERS_WRITE)
    async with context.db.read() as session:
        row = await resolve_user(session, user)
    if row.disabled_at is not None:
        raise Conflict(f"{row.name} is disabled", hint=f"`madang user enable {row.name}` first.")
    word, expires_at = await sessions.make_link(context, row.id)
    return f"{portal_url(context.settings)}/login?link={word}", expires_at


def require_whole_login(principal: Principal, deed: str) -> None:
    """Raises Forbidden for tokens that may do less than the person: they must not widen
    themselves."""
    if principal.is_narrowed:
        raise Forbidden(
            f"this token is limited to some scopes, a project or a task; it may not {deed}",
            hint="Log in yourself: `madang login`, or the portal.",
        )


async def _check_not_last_admin(session: AsyncSession, row: UserRow) -> None:
    others = await session.scalar(
        select(func.count())
        .select_from(UserRow)
        .where(UserRow.is_admin, UserRow.disabled_at.is_(None), UserRow.id != row.id)
    )
    if not others:
        raise Conflict(
            f"{row.name} is the last administrator", hint="Make somebody else one first."
        )


async def _end_logins(session: AsyncSession, user_id: str, but: str | None = None) -> None:
    await session.execute(
        delete(LoginSessionRow).where(
            LoginSessionRow.user_id == user_id, LoginSessionRow.id != (but or "")
        )
    )
    await session.execute(delete(LoginLinkRow).where(LoginLinkRow.user_id == user_id))
