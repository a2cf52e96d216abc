"""One's own API tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from madang.client._async._base import AsyncResource
from madang.schemas import Page
from madang.schemas.tokens import Token, TokenCreated


class AsyncTokens(AsyncResource):
    """`client.tokens`: words that let programs act for you."""

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Token]:
        """One page of your tokens, newest first, revoked ones too."""
        params = {"limit": limit, "cursor": cursor}
        return await self._transport.call(Page[Token], "GET", "tokens", params=params)

    async def iterate(self) -> AsyncIterator[Token]:
        """All your tokens, fetched page by page."""
        cursor = None
        while True:
            page = await self.list(limit=200, cursor=cursor)
            for token in page.items:
                yield token
            if (cursor := page.next_cursor) is None:
                return

    async def create(
        self,
        name: str,
        *,
        scopes: Sequence[str] = ("*",),
        project: str | None = None,
        days: float | None = None,
    ) -> TokenCreated:
        """Make a token; `secret` is in this answer and nowhere else.

        `scopes` are patterns of permissions (`jobs:*`, `*:read`), `project` limits it to one,
        `days` is how long it is good. Raises Conflict when you have one of that name.
        """
        body = {"name": name, "scopes": [*scopes], "project": project, "days": days}
        return await self._transport.call(TokenCreated, "POST", "tokens", json=body)

    async def revoke(self, token: str) -> None:
        """End a token at once, by name or id. Raises NotFound."""
        await self._transport.request("DELETE", f"/api/v1/tokens/{token}")
