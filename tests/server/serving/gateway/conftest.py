"""A gateway in process, between a fake control and fake apps on Unix sockets."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from madang.core.errors import Forbidden, MadangError, NotFound, Unauthenticated
from madang.core.settings import Settings
from madang.server.paths import StatePaths
from madang.server.serving.gateway.routes import AppRoute, EndpointRoute, Replica, RouteTable
from madang.server.serving.gateway.serve import running_gateway
from madang.server.serving.grants import Grant

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TOKEN = "mdt_alice"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class FakeControl:
    """Answers the gateway's two questions; can go away and come back."""

    paths: StatePaths
    table: RouteTable = field(default_factory=RouteTable)
    tells_routes: bool = True
    refusal: MadangError | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/internal/v1/gateway/routes", self._routes)
        app.router.add_post("/internal/v1/gateway/authorize", self._authorize)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.paths.control_socket)).start()

    async def stop(self) -> None:
        """As if it had been killed: connections break, the socket refuses."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def publish(self, table: RouteTable) -> None:
        self.table = table
        self._changed.set()
        self._changed = asyncio.Event()

    def _check_secret(self, request: web.Request) -> None:
        expected = f"Bearer {self.paths.secret('gateway').hex()}"
        assert request.headers["Authorization"] == expected

    async def _routes(self, request: web.Request) -> web.Response:
        self._check_secret(request)
        if not self.tells_routes:
            return web.json_response({"title": "not yet"}, status=503)
        if request.query["revision"] == self.table.revision:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), float(request.query["wait_s"]))
        return web.json_response(self.table.to_json())

    async def _authorize(self, request: web.Request) -> web.Response:
        self._check_secret(request)
        asked = await request.json()
        try:
            grant = self._decide(asked)
        except MadangError as error:
            return web.json_response(error.to_problem(), status=error.status)
        return web.json_response(grant.to_json())

    def _decide(self, asked: dict[str, str]) -> Grant:
        if self.refusal is not None:
            raise self.refusal
        if asked["credential"] == "mdt_eve":
            raise Forbidden("your role here is none")
        if asked["credential"] not in (TOKEN, "mdq_ticket"):
            raise Unauthenticated("this token is not known")
        ids = {"digits": "endp-1", "task-1": "task-1", "task-2": "task-2"}
        if asked["name"] not in ids:
            raise NotFound("there is no such endpoint")
        return Grant("user-1", "alice", "proj-1", ids[asked["name"]])


@dataclass
class FakeApp:
    """An app on a Unix socket; remembers the requests it got."""

    socket: str
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    async def start(self, handler: Handler | None = None) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{rest:.*}", handler or self._echo)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, auto_decompress=False)
        await self._runner.setup()
        await web.UnixSite(self._runner, self.socket).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        answer = {
            "app": Path(self.socket).name,
            "method": request.method,
            "target": request.raw_path,
            "headers": [[name.lower(), value] for name, value in request.headers.items()],
            "size": len(self.bodies[-1]),
        }
        return web.Response(
            body=json.dumps(answer).encode(),
            content_type="application/json",
            headers={"X-App": "yes", "Keep-Alive": "timeout=9", "Set-Cookie": "app=1"},
        )


@dataclass
class World:
    settings: Settings
    paths: StatePaths
    control: FakeControl
    port: int = 0
    apps: list[FakeApp] = field(default_factory=list)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _gateway: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def app(self, number: int, handler: Handler | None = None) -> FakeApp:
        app = FakeApp(str(self.paths.sockets / f"task-{number}.sock"))
        await app.start(handler)
        self.apps.append(app)
        return app

    def replica(self, number: int) -> Replica:
        return Replica(f"task-{number}", str(self.paths.sockets / f"task-{number}.sock"))

    def table(self, *numbers: int, message: str = "") -> RouteTable:
        """The endpoint vision/digits on the apps of these numbers, and the first one as an app."""
        replicas = tuple(self.replica(number) for number in numbers)
        apps = tuple(AppRoute(r.task_id, "proj-1", r.socket) for r in replicas[:1])
        route = EndpointRoute("endp-1", "digits", "proj-1", "vision", replicas, message)
        return RouteTable((route,), apps)

    async def start_gateway(self) -> None:
        self._gateway = AsyncExitStack()
        self.port = await self._gateway.enter_async_context(running_gateway(self.settings))

    async def stop_gateway(self) -> None:
        await self._gateway.aclose()

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    async def until_routed(self, table: RouteTable) -> None:
        """Publish and wait until the gateway has written it down."""
        self.control.publish(table)
        file = self.paths.state_dir / "gateway-routes.json"
        while not file.exists() or table.revision not in file.read_text():
            await asyncio.sleep(0.005)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    settings = Settings(state_dir=tmp_path / "state", gateway_port=0)
    paths = StatePaths(settings.state_dir)
    paths.create()
    control = FakeControl(paths)
    await control.start()
    world = World(settings, paths, control)
    await world.start_gateway()
    yield world
    await world.stop_gateway()
    for app in world.apps:
        await app.stop()
    await control.stop()
    shutil.rmtree(paths.sockets)


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@asynccontextmanager
async def raw_connection(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
