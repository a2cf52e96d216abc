"""Who one is, and one's password."""

from __future__ import annotations

from madang.client._async._base import AsyncResource
from madang.schemas.auth import LoginSession


class AsyncAuth(AsyncResource):
    """`client.auth`: the login that the client uses."""

    async def session(self) -> LoginSession:
        """Who is asking: account, projects with roles, scopes."""
        return await self._transport.call(LoginSession, "GET", "auth/session")

    async def change_password(self, new: str, *, current: str = "") -> None:
        """Set one's own password. Raises InvalidInput when `current` is wrong."""
        body = {"new": new, "current": current}
        await self._transport.request("PUT", "/api/v1/auth/password", json=body)

    async def logout(self) -> None:
        """Revoke the token that this client uses."""
        await self._transport.request("POST", "/api/v1/auth/logout")
