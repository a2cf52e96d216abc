"""What routes share: who is asking, what they need, how lists are paged."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Depends, Query, Request

from madang.core.errors import Forbidden, InvalidInput, Unauthenticated
from madang.core.permissions import Permission, scopes_allow
from madang.schemas import Page
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.sessions import SESSION_COOKIE, authenticate_session, csrf_word
from madang.server.identity.tokens import authenticate_token
from madang.server.settings import portal_url

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_ID = re.compile(r"[a-z]+-[a-z0-9-]{1,64}|[0-9]{1,19}")
"""What ids look like, numbers of events, experiments and model versions too."""

Row = TypeVar("Row")
Item = TypeVar("Item")


def server_context(request: Request) -> ServerContext:
    context: ServerContext = request.app.state.context
    return context


Context = Annotated[ServerContext, Depends(server_context)]


async def authenticate(request: Request, context: Context) -> Principal:
    """Whose request it is: a bearer token's, or the portal's cookie's.

    Raises Unauthenticated; Forbidden for a request by cookie that another page may have made.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return await authenticate_token(context, token.strip())
    if word := request.cookies.get(SESSION_COOKIE):
        principal = await authenticate_session(context, word)
        if request.method not in _READING:
            check_same_origin(request, context)
            _check_csrf(request, context, principal)
        return principal
    raise Unauthenticated("you are not logged in", hint="`madang login`, or log in to the portal.")


def check_same_origin(request: Request, context: ServerContext) -> None:
    """Raises Forbidden unless a page of the portal made the request."""
    origin = request.headers.get("origin", "")
    ours = urlsplit(portal_url(context.settings))
    host = request.headers.get("host", "")
    if origin not in (f"{ours.scheme}://{ours.netloc}", f"{ours.scheme}://{host}"):
        raise Forbidden(
            f"the request comes from {origin[:200] or 'nowhere'!r}, not from the portal",
            hint="Programs use a token (`madang token create`), not the browser's cookie. If this "
            "was the portal, public_url must be set to the address in the browser.",
        )


def _check_csrf(request: Request, context: ServerContext, principal: Principal) -> None:
    expected = csrf_word(context, principal.session_id or "")
    given = request.headers.get("x-madang-csrf", "")
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise Forbidden(
            "the request lacks this login's X-Madang-CSRF", hint="Reload the page and try again."
        )


def client_address(request: Request, context: ServerContext) -> str:
    """Where the request comes from: what the proxy in front saw, when there is one."""
    if context.settings.behind_proxy:
        forwarded = request.headers.get("x-forwarded-for", "")
        if nearest := forwarded.rpartition(",")[2].strip():
            return nearest[:100]
    return request.client.host if request.client else "this machine"


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


def permission_of(dependency: object) -> Permission | None:
    """The permission that a route's dependency declares, if it is one of `permit`."""
    return dependency.permission if isinstance(dependency, _Permit) else None


@dataclass(frozen=True, slots=True)
class Paging:
    limit: int
    cursor: str | None


def paging(
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Paging:
    """Paging by ids. Raises InvalidInput for a cursor that can't be one."""
    if cursor and not _ID.fullmatch(cursor):
        raise InvalidInput(
            f"{cursor!r} is not a cursor of this list",
            field="cursor",
            hint="Pass on next_cursor of the page before, or leave it out for the first page.",
        )
    return Paging(limit, cursor)


def free_paging(
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Paging:
    return Paging(limit, cursor)


PagingQuery = Annotated[Paging, Depends(paging)]
FreePagingQuery = Annotated[Paging, Depends(free_paging)]
"""For lists whose cursors are no ids; their use cases read and check them."""


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
