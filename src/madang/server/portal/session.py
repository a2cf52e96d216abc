"""Whose page it is: the logged-in person, a client with her permissions, her language and zone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from fastapi import Request
from fastapi.responses import RedirectResponse

from madang.client import AsyncClient
from madang.client.config import ClientConfig
from madang.core.errors import Unauthenticated
from madang.schemas.auth import LoginSession
from madang.server.context import ServerContext
from madang.server.portal.words import translate

SESSION_COOKIE = "madang_session"
PROJECT_COOKIE = "madang_project"
LANGUAGE_COOKIE = "madang_language"


class CookieTransport(httpx.AsyncBaseTransport):
    """Sends requests to the API as the browser would: with its cookie, Origin and CSRF word."""

    def __init__(self, inner: httpx.AsyncBaseTransport, cookie: str, origin: str) -> None:
        self._inner = inner
        self._cookie = f"{SESSION_COOKIE}={cookie}"
        self._origin = origin
        self.csrf = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Cookie"] = self._cookie
        request.headers["Origin"] = self._origin
        if self.csrf:
            request.headers["X-Madang-CSRF"] = self.csrf
        request.headers.pop("Authorization", None)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass(slots=True)
class PortalSession:
    """What a page is built from. `project` is the chosen project's name, empty without any."""

    context: ServerContext
    client: AsyncClient
    login: LoginSession
    project: str
    language: str
    path: str
    query: dict[str, str]
    path_values: dict[str, str]
    csrf: str
    labels: dict[str, Any] = field(default_factory=dict)

    def say(self, sentence: str, **facts: object) -> str:
        """The sentence in her language, with its facts filled in."""
        return translate(self.language, sentence).format(**facts)

    def link(self, **changes: str | None) -> str:
        """This page's address with some of its query changed (None takes one away)."""
        query = {key: value for key, value in (self.query | changes).items() if value}
        return f"{self.path}?{urlencode(query)}" if query else self.path


async def open_session(request: Request) -> PortalSession | RedirectResponse:
    """The session of a request; a redirect to the login page when nobody is logged in."""
    context: ServerContext = request.app.state.context
    cookie = request.cookies.get(SESSION_COOKIE, "")
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    login_page = RedirectResponse(f"/login?next={quote(target)}", status_code=303)
    if not cookie:
        return login_page
    origin = str(request.base_url).rstrip("/")
    transport = CookieTransport(api_transport(request), cookie, origin)
    client = AsyncClient(origin, "cookie", transport=transport)
    try:
        login = await client.auth.session()
    except Unauthenticated:
        await client.aclose()
        return login_page
    transport.csrf = login.csrf
    projects = [project.name for project in login.projects]
    wanted = request.query_params.get("project") or request.cookies.get(PROJECT_COOKIE, "")
    project = wanted if wanted in projects else next(iter(projects), "")
    client.transport.config = _with_project(client, project)
    return PortalSession(
        context=context,
        client=client,
        login=login,
        project=project,
        language=_language(request),
        path=request.url.path,
        query=dict(request.query_params),
        path_values={key: str(value) for key, value in request.path_params.items()},
        csrf=login.csrf,
    )


def api_transport(request: Request) -> httpx.AsyncBaseTransport:
    """How pages reach the API: through the control process's own socket, as every client does."""
    made = getattr(request.app.state, "api_transport", None)
    if made is not None:
        return made()  # type: ignore[no-any-return]
    context: ServerContext = request.app.state.context
    return httpx.AsyncHTTPTransport(uds=str(context.paths.control_socket))


def _with_project(client: AsyncClient, project: str) -> ClientConfig:
    return replace(client.transport.config, project=project)


def _language(request: Request) -> str:
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in ("en", "ko"):
        return chosen
    return "ko" if request.headers.get("accept-language", "").startswith("ko") else "en"
