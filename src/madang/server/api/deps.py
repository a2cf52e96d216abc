"""What routes share: who is asking, what they need, how lists are paged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request

from madang.core.errors import Forbidden, Unauthenticated
from madang.core.permissions import Permission, scopes_allow
from madang.schemas import Page
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.tokens import authenticate_token

Row = TypeVar("Row")
Item = TypeVar("Item")


def server_context(request: Request) -> ServerContext:
    context: ServerContext = request.app.state.context
    return context


Context = Annotated[ServerContext, Depends(server_context)]


async def authenticate(request: Request, context: Context) -> Principal:
    """Whose request it is: a bearer token's. Raises Unauthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return await authenticate_token(context, token.strip())
    raise Unauthenticated("you are not logged in", hint="`madang login`, or log in to the portal.")


Actor = Annotated[Principal, Depends(authenticate)]


class permit:
    """Declares what a route needs. The token's scopes are checked here; the role, which needs
    the project of the thing in question, by the use case. Tests read `permission` from routes."""

    def __new__(cls, permission: Permission) -> Any:
        return Depends(_Permit(permission))


@dataclass(frozen=True)
class _Permit:
    permission: Permission

    async def __call__(self, actor: Actor) -> None:
        if not scopes_allow(actor.scopes, self.permission):
            raise Forbidden(
                f"this token may not {self.permission.text}",
                hint=f"Its scopes lack {self.permission}; make one that has it.",
            )


@dataclass(frozen=True, slots=True)
class Paging:
    limit: int
    cursor: str | None


def paging(
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Paging:
    return Paging(limit, cursor)


PagingQuery = Annotated[Paging, Depends(paging)]


def page_of(
    rows: Sequence[Row],
    paging: Paging,
    to_item: Callable[[Row], Item],
    cursor_of: Callable[[Row], str] = lambda row: str(getattr(row, "id")),  # noqa: B009
) -> Page[Item]:
    """A page from up to `limit + 1` rows: the extra one only tells that there are more."""
    shown = rows[: paging.limit]
    more = len(rows) > paging.limit
    return Page([to_item(row) for row in shown], cursor_of(shown[-1]) if more else None)
