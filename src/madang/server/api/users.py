"""Routes of accounts."""

from __future__ import annotations

from fastapi import APIRouter

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.users import LoginLink, User, UserChange, UserCreate
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.identity import users
from madang.server.identity.tables import UserRow

router = APIRouter(prefix="/users", tags=["users"])


def user_of(row: UserRow) -> User:
    return User(
        id=row.id,
        name=row.name,
        is_admin=row.is_admin,
        disabled=row.disabled_at is not None,
        created_at=row.created_at,
        uid=row.uid,
    )


@router.get("", dependencies=[permit(Permission.USERS_READ)])
async def list_users(context: Context, actor: Actor, paging: PagingQuery) -> Page[User]:
    """Everybody with an account, newest first."""
    rows = await users.list_users(context, actor, limit=paging.limit, cursor=paging.cursor)
    return page_of(rows, paging, user_of)


@router.post("", status_code=201, dependencies=[permit(Permission.USERS_WRITE)])
async def create_user(body: UserCreate, context: Context, actor: Actor) -> User:
    """Make an account (administrators)."""
    row = await users.create_user(
        context, actor, body.name, password=body.password, is_admin=body.is_admin
    )
    return user_of(row)


@router.get("/{user}", dependencies=[permit(Permission.USERS_READ)])
async def get_user(user: str, context: Context, actor: Actor) -> User:
    """One account, by name or id."""
    return user_of(await users.get_user(context, actor, user))


@router.patch("/{user}", dependencies=[permit(Permission.USERS_WRITE)])
async def change_user(user: str, body: UserChange, context: Context, actor: Actor) -> User:
    """Disable or enable an account, make an administrator, set a password (administrators)."""
    row = await users.change_user(
        context,
        actor,
        user,
        is_admin=body.is_admin,
        disabled=body.disabled,
        password=body.password,
    )
    return user_of(row)


@router.post("/{user}/login-links", status_code=201, dependencies=[permit(Permission.USERS_WRITE)])
async def create_login_link(user: str, context: Context, actor: Actor) -> LoginLink:
    """Make an address that logs the person in to the portal once (administrators)."""
    url, expires_at = await users.make_login_link(context, actor, user)
    return LoginLink(url, expires_at)
