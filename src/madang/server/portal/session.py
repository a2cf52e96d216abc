"""Whose page it is: the logged-in person, a client with her permissions, her language and zone."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from urllib.parse import quote, unquote, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui

from madang.client import AsyncClient
from madang.client.config import ClientConfig
from madang.core.errors import Unauthenticated
from madang.core.permissions import Permission, role_allows
from madang.schemas.auth import LoginSession, OwnProject
from madang.schemas.jobs import Why
from madang.server.context import ServerContext
from madang.server.portal.words import translate, translate_reason
from madang.server.settings import portal_url

SESSION_COOKIE = "madang_session"
PROJECT_COOKIE = "madang_project"
LANGUAGE_COOKIE = "madang_language"
ZONE_COOKIE = "madang_zone"


WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


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
    transport: httpx.AsyncBaseTransport
    login: LoginSession
    own_project: OwnProject | None
    language: str
    path: str
    query: dict[str, str]
    path_values: dict[str, str]
    zone: tzinfo = UTC
    seen: asyncio.Event | None = None
    """Set while the page can be seen, once something on it is live (live.py)."""
    undoing: list[ui.element] = field(default_factory=list)
    """What offers to undo something at present (dialogs.py)."""
    _everywhere: AsyncClient | None = None

    @property
    def everywhere(self) -> AsyncClient:
        """The client for what is not of one project: calls that name none mean all she sees."""
        if self._everywhere is None:
            config = replace(self.client.transport.config, project="")
            self._everywhere = AsyncClient.from_config(config, self.transport)
        return self._everywhere

    @property
    def project(self) -> str:
        return self.own_project.name if self.own_project else ""

    def topic(self, kind: str) -> str:
        """The bus topic that says that the project's `kind` (workloads…) changed."""
        return f"project:{self.own_project.id if self.own_project else ''}:{kind}"

    def may(self, permission: Permission) -> bool:
        """Whether her role in the project allows it: what she may not do is not offered."""
        if self.login.user.is_admin:
            return True
        return self.own_project is not None and role_allows(self.own_project.role, permission)

    def say(self, sentence: str, **facts: object) -> str:
        """The sentence in her language, with its facts filled in."""
        return translate(self.language, sentence).format(**facts)

    def now(self) -> datetime:
        """The present in her zone."""
        return self.context.clock.now().astimezone(self.zone)

    def clock(self, when: datetime) -> str:
        """A moment as she would say it: `14:20`, on another day `Mon 23 Nov, 14:20`."""
        local = when.astimezone(self.zone)
        time = self.clock_time(when)
        return time if local.date() == self.now().date() else f"{self.day(local)}, {time}"

    def clock_time(self, when: datetime) -> str:
        return f"{when.astimezone(self.zone):%H:%M}"

    def day(self, when: datetime) -> str:
        """`Mon 23 Nov`, or `11월 23일 (월)`; of a moment in any zone, the day there."""
        if self.language == "ko":
            return f"{when.month}월 {when.day}일 ({'월화수목금토일'[when.weekday()]})"
        return f"{WEEKDAYS[when.weekday()]} {when.day} {MONTHS[when.month - 1]}"

    def why(self, reason: Why) -> str:
        """Why something waits or has ended, in her language."""
        return translate_reason(
            self.language,
            reason.code,
            reason.message,
            reason.facts,
            when=lambda at: self.clock(datetime.fromisoformat(at)),
        )

    def link(self, **changes: str | None) -> str:
        """This page's address with some of its query changed (None takes one away)."""
        query = {key: value for key, value in (self.query | changes).items() if value}
        return f"{self.path}?{urlencode(query)}" if query else self.path

    def keep(self, **changes: str | None) -> None:
        """Write changes of the query into the address, without loading the page again."""
        self.query = {key: value for key, value in (self.query | changes).items() if value}
        address = json.dumps(self.link())
        ui.run_javascript(f"history.replaceState(null, '', {address})")


async def open_session(request: Request) -> PortalSession | RedirectResponse:
    """The session of a request; a redirect to the login page when nobody is logged in."""
    context: ServerContext = request.app.state.context
    cookie = request.cookies.get(SESSION_COOKIE, "")
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    login_page = RedirectResponse(f"/login?next={quote(target)}", status_code=303)
    if not cookie:
        return login_page
    transport = CookieTransport(api_transport(request), cookie, portal_url(context.settings))
    client = AsyncClient.from_config(ClientConfig(url="http://control", token=""), transport)
    try:
        login = await client.auth.session()
    except Unauthenticated:
        await client.aclose()
        return login_page
    transport.csrf = login.csrf
    wanted = request.query_params.get("project") or request.cookies.get(PROJECT_COOKIE, "")
    own_project = next(
        (project for project in login.projects if project.name == wanted),
        next(iter(login.projects), None),
    )
    if own_project:
        client.transport.config = replace(client.transport.config, project=own_project.name)
    return PortalSession(
        context=context,
        client=client,
        transport=transport,
        login=login,
        own_project=own_project,
        language=language_of(request),
        path=request.url.path,
        query=dict(request.query_params),
        path_values={key: str(value) for key, value in request.path_params.items()},
        zone=zone_of(request),
    )


def api_transport(request: Request) -> httpx.AsyncBaseTransport:
    """How pages reach the API: through the control process's own socket, as every client does."""
    made = getattr(request.app.state, "api_transport", None)
    if made is not None:
        return made()  # type: ignore[no-any-return]
    context: ServerContext = request.app.state.context
    return httpx.AsyncHTTPTransport(uds=str(context.paths.control_socket), verify=False)


def language_of(request: Request) -> str:
    """What she chose, else what her browser prefers."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in ("en", "ko"):
        return chosen
    return "ko" if request.headers.get("accept-language", "").startswith("ko") else "en"


def zone_of(request: Request) -> tzinfo:
    """The zone that her browser told (theme.js), else UTC."""
    try:
        return ZoneInfo(unquote(request.cookies.get(ZONE_COOKIE, "UTC")))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
