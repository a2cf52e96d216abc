"""The gateway as an aiohttp application: which address leads where."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from aiohttp import web

from madang.core.errors import MadangError, NotFound, Unavailable
from madang.core.permissions import Permission
from madang.core.settings import Settings
from madang.server.hosts import allowed_hosts, is_our_host
from madang.server.serving.gateway.auth import Authorize
from madang.server.serving.gateway.control import Router
from madang.server.serving.gateway.cors import (
    add_cors_headers,
    portal_origins,
    preflight_response,
)
from madang.server.serving.gateway.headers import Forwarding, handshake_headers
from madang.server.serving.gateway.problems import problem_response
from madang.server.serving.gateway.relay import (
    ConnectFailed,
    Upstreams,
    broken_off_error,
    replayable_body,
    split_target,
)
from madang.server.serving.gateway.routes import EndpointRoute, Replica
from madang.server.serving.gateway.websocket import Websockets, wants_websocket
from madang.server.serving.grants import Grant, Resource

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NEW_ROUTE_S = 1.0
"""How long a request waits for a newer table when no replica in this one could be reached."""

_MAX_TRIES = 3
_CORS_PREFIXES = ("/files/", "/endpoints/")


class Gateway:
    """Handles requests; made once, belongs to one event loop."""

    def __init__(
        self, settings: Settings, router: Router, authorize: Authorize, upstreams: Upstreams
    ) -> None:
        self._router = router
        self._authorize = authorize
        self._upstreams = upstreams
        self.websockets = Websockets()
        self._behind_proxy = settings.behind_proxy
        self._origins = portal_origins(settings)
        self._hosts = allowed_hosts(settings)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._answer_errors])
        app.router.add_get("/healthz", self._health)
        for pattern in ("/endpoints/{project}/{name}", "/endpoints/{project}/{name}/{rest:.*}"):
            app.router.add_route("*", pattern, self._endpoint)
        for pattern in ("/apps/{task}", "/apps/{task}/{rest:.*}"):
            app.router.add_route("*", pattern, self._app)
        app.on_response_prepare.append(self._on_prepare)
        return app

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"live": True, "ready": True})

    async def _endpoint(self, request: web.Request) -> web.StreamResponse:
        """Relay to a replica of an endpoint; to another one when the first can't be reached."""
        prefix, target = split_target(request.raw_path, 3)
        project, name = map(unquote, prefix.split("/")[2:4])
        grant = await self._authorize(
            request, Permission.ENDPOINTS_INVOKE, Resource("endpoint", name, project)
        )
        forwarding = self._forwarding(request, grant, prefix)
        body = await replayable_body(request)
        tried: set[str] = set()
        failure: Exception | None = None
        while len(tried) < _MAX_TRIES:
            replica = await self._next_replica(grant.resource_id, tried, failed=bool(failure))
            if replica is None:
                break
            tried.add(replica.task_id)
            try:
                return await self._upstreams.relay(
                    request, replica.socket, target, forwarding, cookies=False, body=body
                )
            except ConnectFailed as error:
                failure = error
                if body is None and request.content.total_bytes:
                    raise broken_off_error(error) from error
        raise self._no_replica(f"{project}/{name}", grant.resource_id, failure) from failure

    async def _next_replica(
        self, endpoint_id: str, tried: set[str], *, failed: bool
    ) -> Replica | None:
        """A replica that was not tried yet; when there is none, the table may be behind: a newer
        one is awaited for a moment."""
        for _ in range(2):
            route = self._router.table.endpoint(endpoint_id)
            fresh = [r for r in route.replicas if r.task_id not in tried] if route else []
            if fresh:
                return self._upstreams.order(fresh)[0]
            wait = failed or route is None
            if not wait or not await self._router.wait_for_change(NEW_ROUTE_S):
                return None
        return None

    def _no_replica(self, shown: str, endpoint_id: str, failure: Exception | None) -> Unavailable:
        route: EndpointRoute | None = self._router.table.endpoint(endpoint_id)
        why = f"its replica can't be reached: {failure}" if failure else "it is being started"
        if route is not None and route.message and not route.replicas:
            why = route.message
        return Unavailable(
            f"endpoint {shown} has no ready replica: {why}",
            hint="`madang endpoint show` says how it is doing; try again when it is ready.",
        )

    async def _app(self, request: web.Request) -> web.StreamResponse:
        """Relay to the app of a task, HTTP or websocket."""
        prefix, target = split_target(request.raw_path, 2)
        task_id = unquote(prefix.split("/")[2])
        grant = await self._authorize(request, Permission.JOBS_WRITE, Resource("app", task_id))
        route = self._router.table.app(grant.resource_id)
        if route is None and await self._router.wait_for_change(NEW_ROUTE_S):
            route = self._router.table.app(grant.resource_id)
        if route is None:
            raise NotFound(f"task {task_id} has no app that can be reached now")
        forwarding = self._forwarding(request, grant, prefix)
        if wants_websocket(request):
            headers = handshake_headers(request.headers.items(), forwarding)
            return await self.websockets.relay(request, route.socket, target, headers)
        try:
            return await self._upstreams.relay(
                request, route.socket, target, forwarding, cookies=True
            )
        except ConnectFailed as error:
            raise Unavailable(
                f"the app of task {task_id} can't be reached: {error}",
                hint="It may be starting or have ended; its log says more.",
            ) from error

    def _forwarding(self, request: web.Request, grant: Grant, prefix: str) -> Forwarding:
        address, scheme, host = request.remote or "", request.scheme, request.host
        if self._behind_proxy:
            address = request.headers.get("X-Forwarded-For", address)
            scheme = request.headers.get("X-Forwarded-Proto", scheme)
            host = request.headers.get("X-Forwarded-Host", host)
        return Forwarding(grant.user, address, scheme, host, prefix)

    async def _on_prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        if request.path.startswith(_CORS_PREFIXES):
            add_cors_headers(request, response, self._origins)

    @web.middleware
    async def _answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_our_host(request.headers.get("Host", ""), self._hosts):
            text = f"This is not {request.host[:200]!r}. If it should be, set gateway_url.\n"
            return web.Response(status=421, text=text)
        is_preflight = request.method == "OPTIONS" and (
            "Access-Control-Request-Method" in request.headers
        )
        if is_preflight and request.path.startswith(_CORS_PREFIXES):
            return preflight_response(request, self._origins)
        try:
            return await handler(request)
        except MadangError as error:
            return problem_response(error)
        except web.HTTPNotFound:
            return problem_response(
                NotFound(
                    f"there is nothing at {request.path}",
                    hint="This is the gateway: /endpoints, /files and /apps are here.",
                )
            )
        except web.HTTPException:
            raise
        except Exception as error:
            log.error("a request failed: %s", request.path, exc_info=error)
            return problem_response(
                MadangError("the gateway failed at this; it is a bug", hint="Its log has more.")
            )
