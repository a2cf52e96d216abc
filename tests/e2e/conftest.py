"""A real server on a free port and a real browser; pictures of every page are kept.

Pictures land in `.madang-screenshots/` below the current folder, one a page and state.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from madang.core.errors import Unavailable
from madang.core.settings import Settings
from madang.server.context import ServerContext
from madang.server.db.base import Base, TelemetryBase
from madang.server.identity.sessions import make_link
from tests.conftest import People, create_tables, make_people
from tests.e2e.content import NODE, Content, add_projects, fill, fill_full
from tests.server.serving.test_whole import replica_at, saved_model
from tests.server.workloads.platform import platform_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

PICTURES = Path(".madang-screenshots")
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 844}

pytestmark = pytest.mark.e2e


@dataclass
class PortalServer:
    """The API and the portal in a thread of their own; `run` executes in its event loop."""

    url: str
    people: People
    loop: asyncio.AbstractEventLoop
    content: Content = field(init=False)
    failing: set[str] = field(default_factory=set)
    """Beginnings of API paths that answer nothing: the state "error" of a page."""
    answers: dict[str, Any] = field(default_factory=dict)
    """API paths that answer this and not what there is: the state "empty" of a page."""

    def run(self, made: Callable[[], Any]) -> Any:
        async def call() -> Any:
            return await made()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(60)

    def address(self, path: str) -> str:
        """Of a page; `{train-digits}` in it stands for the id of what is called so."""
        content = self.content
        ids = {**content.jobs, **content.others, "folder": content.folder,
               "dataset": content.dataset}  # fmt: skip
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", value)
        return self.url + path

    async def login_link(self, person: str) -> str:
        """The word of a one-time link for a person, by name or id."""
        user_id = self.people.user_ids.get(person, person)
        word, _ = await make_link(self.people.context, user_id)
        return word

    @contextmanager
    def broken(self, *paths: str) -> Iterator[None]:
        self.failing.update(paths)
        try:
            yield
        finally:
            self.failing.clear()

    @contextmanager
    def answering(self, answers: dict[str, Any]) -> Iterator[None]:
        self.answers.update(answers)
        try:
            yield
        finally:
            self.answers.clear()


class _BreakableTransport(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport, server: PortalServer) -> None:
        self._inner = inner
        self._server = server

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if any(path.startswith(failing) for failing in self._server.failing):
            raise Unavailable("the database did not answer", hint="Trying again may help.")
        if path in self._server.answers:
            return httpx.Response(200, json=self._server.answers[path])
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalServer]:
    started: list[PortalServer] = []
    failures: list[BaseException] = []
    ready, stop = threading.Event(), asyncio.Event()
    state_dir = tmp_path_factory.mktemp("portal") / "state"

    async def serve() -> None:
        async with _served(state_dir) as server:
            started.append(server)
            ready.set()
            await stop.wait()

    loop = asyncio.new_event_loop()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            failures.append(error)
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(60)
    if failures or not started:
        raise RuntimeError("the portal did not start") from next(iter(failures), None)
    yield started[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)


@pytest.fixture(scope="session")
def world(portal: PortalServer) -> Any:
    """Queues and reservations, for the pages on scheduling."""
    from tests.e2e.scheduling import make_world

    return make_world(portal)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    words = (
        "no-sandbox disable-gpu disable-quic no-first-run disable-sync disable-component-update"
    )
    flags = [f"--{word}" for word in words.split()]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def logins(portal: PortalServer, browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Browsers in which somebody is logged in, each made once."""
    made: dict[tuple[Any, ...], BrowserContext] = {}

    def context_of(name: str, narrow: bool, dark: bool, language: str) -> BrowserContext:
        key = (name, narrow, dark, language)
        if key not in made:
            made[key] = browser.new_context(
                viewport=NARROW if narrow else WIDE,
                color_scheme="dark" if dark else "light",
                accept_downloads=True,
            )
            made[key].set_default_timeout(30_000)
            body = {"link": portal.run(lambda: portal.login_link(name))}
            answer = made[key].request.post(f"{portal.url}/api/v1/auth/link", data=body)
            assert answer.ok, answer.text()
        return made[key]

    yield context_of
    for context in made.values():
        context.close()


@pytest.fixture
def log_in(
    portal: PortalServer, logins: Callable[..., BrowserContext]
) -> Iterator[Callable[..., Page]]:
    """`log_in("member")` gives a page of somebody who is logged in and chose a project."""
    pages: list[Page] = []

    def open_as(
        name: str,
        project: str = "vision",
        *,
        narrow: bool = False,
        dark: bool = False,
        language: str = "en",
    ) -> Page:
        context = logins(name, narrow, dark, language)
        chosen = {"madang_project": project, "madang_language": language}
        context.add_cookies(
            [{"name": key, "value": value, "url": portal.url} for key, value in chosen.items()]
        )
        pages.append(context.new_page())
        return pages[-1]

    yield open_as
    for page in pages:
        page.close()


def keep_picture(page: Page, name: str) -> None:
    """Keep a picture, and check what holds for every page: it does not scroll sideways."""
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=False)
    overflow = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overflow <= 0, f"{name} scrolls sideways by {overflow} px"


@asynccontextmanager
async def _served(state_dir: Path) -> AsyncIterator[PortalServer]:
    from nicegui import app as nicegui_app

    from madang.server.api.app import create_app
    from madang.server.api.front import Front
    from madang.server.http import serve
    from madang.server.listeners import listen
    from madang.server.serving.gateway.serve import running_gateway

    port, gateway_port = _free_ports(2)
    settings = Settings(state_dir=state_dir, port=port, gateway_port=gateway_port)
    context = ServerContext.from_settings(settings)
    context.paths.create()
    for db, base in ((context.db, Base), (context.telemetry, TelemetryBase)):
        await create_tables(db, base)
    people = await make_people(context)
    front = Front(create_app(context), context)
    made = PortalServer(f"http://127.0.0.1:{port}", people, asyncio.get_running_loop())

    def transport() -> httpx.AsyncBaseTransport:
        inner = httpx.AsyncHTTPTransport(uds=str(context.paths.control_socket), verify=False)
        return _BreakableTransport(inner, made)

    nicegui_app.state.api_transport = transport
    with listen(settings, context.paths) as listeners:
        async with (
            platform_of(people, **{NODE: {"cpu": 16, "gpus": 4, "memory_gib": 128}}) as platform,
            serve(front, listeners, settings),
            front.portal(),
            running_gateway(settings),
        ):
            made.content = await fill(platform)
            await add_projects(people)
            await fill_full(made.content)
            model = saved_model(state_dir)
            async with replica_at(made.content.endpoint_socket, model):
                yield made
    await context.close()


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()
