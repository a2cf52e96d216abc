"""The gateway's line to control: two questions over control's Unix socket."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp

from madang.core.errors import MadangError, Unavailable, error_from_problem
from madang.core.permissions import Permission
from madang.server.paths import StatePaths
from madang.server.serving.gateway.routes import RouteTable, load_routes, save_routes
from madang.server.serving.grants import Grant, Resource

AUTHORIZE_TIMEOUT_S = 5.0
ROUTES_WAIT_S = 55.0
AWAY_PAUSE_S = 0.5
"""After a question without an answer control is not asked again for so long: while it is away,
requests must not wait for it one by one."""

_AWAY = "the platform's control process does not answer"


class ControlClient:
    """Asks control; an `AskControl`. Close it."""

    def __init__(self, paths: StatePaths) -> None:
        self._session = aiohttp.ClientSession(
            "http://control",
            connector=aiohttp.UnixConnector(str(paths.control_socket)),
            headers={"Authorization": f"Bearer {paths.secret('gateway').hex()}"},
        )
        self._away_until = 0.0

    async def __call__(self, credential: str, permission: Permission, resource: Resource) -> Grant:
        """Whether the owner of `credential` may; raises what she is to be told if not."""
        if time.monotonic() < self._away_until:
            raise Unavailable(_AWAY, hint="It may be restarting; try again in a moment.")
        body = {
            "credential": credential,
            "permission": permission.value,
            "kind": resource.kind,
            "name": resource.name,
            "project": resource.project,
        }
        timeout = aiohttp.ClientTimeout(total=AUTHORIZE_TIMEOUT_S)
        try:
            answer = await self._call("POST", "authorize", json=body, timeout=timeout)
        except Unavailable:
            self._away_until = time.monotonic() + AWAY_PAUSE_S
            raise
        return Grant.from_json(answer)

    async def routes(self, revision: str, wait_s: float) -> RouteTable:
        """The routing table; waits up to `wait_s` while it is still `revision`."""
        answer = await self._call(
            "GET",
            "routes",
            params={"revision": revision, "wait_s": str(wait_s)},
            timeout=aiohttp.ClientTimeout(total=wait_s + 10),
        )
        return RouteTable.from_json(answer)

    async def close(self) -> None:
        await self._session.close()

    async def _call(self, method: str, name: str, **options: Any) -> dict[str, Any]:
        try:
            async with self._session.request(
                method, f"/internal/v1/gateway/{name}", **options
            ) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unavailable(
                _AWAY, hint="It may be restarting; try again in a moment."
            ) from error
        if response.status >= 500:
            raise Unavailable(str(answer.get("title") or _AWAY), hint=answer.get("detail"))
        if response.status >= 400:
            raise error_from_problem(answer)
        assert isinstance(answer, dict)
        return answer


class Router:
    """Keeps the routing table up to date; the table of the last run serves until then."""

    def __init__(self, control: ControlClient, paths: StatePaths) -> None:
        self._control = control
        self._path = paths.state_dir / "gateway-routes.json"
        self._key = paths.secret("gateway")
        self.table = load_routes(self._path, self._key) or RouteTable()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follow control's table until cancelled; tries again, slower and slower, while it is
        away."""
        pause_s, wait_s = 0.1, 0.0
        while True:
            try:
                table = await self._control.routes(self.table.revision, wait_s)
            except MadangError:
                await asyncio.sleep(pause_s)
                pause_s, wait_s = min(pause_s * 2, 2.0), 0.0
                continue
            pause_s, wait_s = 0.1, ROUTES_WAIT_S
            if table.revision != self.table.revision:
                self.table = table
                save_routes(self._path, table, self._key)
                self._changed.set()
                self._changed = asyncio.Event()

    async def wait_for_change(self, timeout_s: float) -> bool:
        """Whether the table changed within `timeout_s`."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return False
        return True
