"""People with an account."""

from __future__ import annotations

from collections.abc import AsyncIterator

from madang.client._async._base import AsyncResource
from madang.client._http import without_none
from madang.schemas import Page
from madang.schemas.users import LoginLink, User


class AsyncUsers(AsyncResource):
    """`client.users`: who has an account."""

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[User]:
        """One page of everybody with an account, newest first."""
        params = {"limit": limit, "cursor": cursor}
        return await self._transport.call(Page[User], "GET", "users", params=params)

    async def iterate(self) -> AsyncIterator[User]:
        """Everybody with an account, fetched page by page."""
        cursor = None
        while True:
            page = await self.list(limit=200, cursor=cursor)
            for user in page.items:
                yield user
            if (cursor := page.next_cursor) is None:
                return

    async def get(self, user: str) -> User:
        """One account, by name or id. Raises NotFound."""
        return await self._transport.call(User, "GET", f"users/{user}")

    async def create(
        self, name: str, *, password: str | None = None, is_admin: bool = False
    ) -> User:
        """Make an account (administrators). Raises Conflict when the name is taken."""
        body = {"name": name, "password": password, "is_admin": is_admin}
        return await self._transport.call(User, "POST", "users", json=body)

    async def change(
        self,
        user: str,
        *,
        is_admin: bool | None = None,
        disabled: bool | None = None,
        password: str | None = None,
    ) -> User:
        """Change an account (administrators); what is None stays as it is."""
        body = {"is_admin": is_admin, "disabled": disabled, "password": password}
        return await self._transport.call(User, "PATCH", f"users/{user}", json=without_none(body))

    async def login_link(self, user: str) -> LoginLink:
        """An address that logs the person in to the portal once (administrators)."""
        return await self._transport.call(LoginLink, "POST", f"users/{user}/login-links")
