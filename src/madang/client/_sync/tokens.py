# Generated from ../_async by scripts/generate_sync_client: change it there.
"""One's own API tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from madang.client._sync._base import Resource
from madang.schemas import Page
from madang.schemas.tokens import Token, TokenCreated


class Tokens(Resource):
    """`client.tokens`: words that let programs act for you."""

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Token]:
        """One page of your tokens, newest first, revoked ones too."""
        params = {"limit": limit, "cursor": cursor}
        return self._transport.call(Page[Token], "GET", "tokens", params=params)

    def iterate(self) -> Iterator[Token]:
        """All your tokens, fetched page by page."""
        cursor = None
        while True:
            page = self.list(limit=200, cursor=cursor)
            for token in page.items:
                yield token
            if (cursor := page.next_cursor) is None:
                return

    def create(
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
        return self._transport.call(TokenCreated, "POST", "tokens", json=body)

    def revoke(self, token: str) -> None:
        """End a token at once, by name or id. Raises NotFound."""
        self._transport.request("DELETE", f"/api/v1/tokens/{token}")
