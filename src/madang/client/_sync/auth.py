# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Who one is, and one's password."""

from __future__ import annotations

from madang.client._sync._base import Resource
from madang.schemas.auth import LoginSession


class Auth(Resource):
    """`client.auth`: the login that the client uses."""

    def session(self) -> LoginSession:
        """Who is asking: account, projects with roles, scopes."""
        return self._transport.call(LoginSession, "GET", "auth/session")

    def change_password(self, new: str, *, current: str = "") -> None:
        """Set one's own password. Raises InvalidInput when `current` is wrong."""
        body = {"new": new, "current": current}
        self._transport.request("PUT", "/api/v1/auth/password", json=body)

    def logout(self) -> None:
        """Revoke the token that this client uses."""
        self._transport.request("POST", "/api/v1/auth/logout")
