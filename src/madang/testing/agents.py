"""Control for agents under test, agents for control under test, and the suite that both pass.

`FakeControl` gives orders on a Unix socket as control does, `FakeAgent` obeys them without running
anything, `AgentContract` is what every agent must do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any

from aiohttp import web

from madang.server.cluster.codec import from_json, to_json
from madang.server.cluster.protocol import (
    NodeOrders,
    NodeReport,
    TaskOrder,
    TaskReport,
    TaskSpec,
    TaskUser,
)
from madang.server.paths import StatePaths


def task_spec(task_id: str, *command: str, **changes: Any) -> TaskSpec:
    """A small task: one CPU, 256 MiB, no sandbox, run as whoever calls."""
    values: dict[str, Any] = {
        "task_id": task_id,
        "workload_id": "job-1",
        "attempt": 1,
        "role": "worker",
        "index": 0,
        "command": command or ("true",),
        "environment_variables": {},
        "working_directory": "",
        "user": TaskUser(name="mina", uid=os.geteuid(), gid=os.getegid()),
        "cpu_milli": 1000,
        "memory_bytes": 256 * 2**20,
        "devices": (),
        "mounts": (),
        "sandbox": "none",
        "network_group": task_id,
        "api_token": f"token-of-{task_id}",
        "grace_s": 5.0,
    }
    return TaskSpec(**(values | changes))


class FakeControl:
    """Control's half of the protocol, in memory.

    `orders` is what should be; change it with `run`, `stop` and `drop`. `seen` has the newest
    report of each task, `reported` the lines that tasks have reported, in order and once each;
    every other request is answered with what was received, as JSON.
    """

    def __init__(self, paths: StatePaths, *, lease_s: float = 30.0) -> None:
        self.paths = paths
        self.lease_s = lease_s
        self.orders: dict[str, TaskOrder] = {}
        self.seen: dict[str, TaskReport] = {}
        self.reported: dict[str, list[dict[str, Any]]] = {}
        self.syncs: list[NodeReport] = []
        self._revision = 0
        self._news = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/internal/v1/nodes/{node}/sync", self._sync)
        app.router.add_post("/internal/v1/tasks/{task}/reports", self._reports)
        app.router.add_route("*", "/{path:.*}", self._echo)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self.paths.control_socket.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(self.paths.control_socket)).start()

    async def stop_serving(self) -> None:
        """Be away: connections are refused until `start`."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self.paths.control_socket.unlink(missing_ok=True)

    async def run(self, *specs: TaskSpec) -> None:
        await self._order(*(TaskOrder(spec, "run") for spec in specs))

    async def stop(self, task_id: str) -> None:
        await self._order(TaskOrder(self.orders[task_id].spec, "stop"))

    async def drop(self, task_id: str) -> None:
        """List the task no more."""
        del self.orders[task_id]
        await self._order()

    async def until(
        self, condition: Callable[[], bool], timeout_s: float = 20.0, what: str = ""
    ) -> None:
        """Wait for something that reports bring about. Raises TimeoutError, showing them."""
        try:
            async with asyncio.timeout(timeout_s), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            raise TimeoutError(f"{what or 'never came true'}; reported: {self.seen}") from None

    async def until_exited(self, task_id: str, timeout_s: float = 20.0) -> TaskReport:
        await self.until(
            lambda: task_id in self.seen and self.seen[task_id].phase == "exited", timeout_s
        )
        return self.seen[task_id]

    async def until_running(self, task_id: str, timeout_s: float = 20.0) -> TaskReport:
        await self.until(
            lambda: task_id in self.seen and self.seen[task_id].phase != "starting", timeout_s
        )
        return self.seen[task_id]

    async def _order(self, *orders: TaskOrder) -> None:
        self.orders.update({order.spec.task_id: order for order in orders})
        self._revision += 1
        async with self._news:
            self._news.notify_all()

    async def _sync(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer {self.paths.secret('node').hex()}":
            return web.Response(status=401)
        report = from_json(NodeReport, await request.json())
        self.syncs.append(report)
        async with self._news:
            self.seen.update({task.task_id: task for task in report.tasks})
            self._news.notify_all()
            if report.orders_revision == self._revision and report.wait_s:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(report.wait_s):
                        await self._news.wait_for(lambda: self._revision != report.orders_revision)
        orders = NodeOrders(self._revision, tuple(self.orders.values()), self.lease_s)
        return web.json_response(to_json(orders))

    async def _reports(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task"]
        if request.headers["Authorization"] != f"Bearer token-of-{task_id}":
            return web.Response(status=401)
        body = await request.json()
        known = self.reported.setdefault(task_id, [])
        assert body["offset"] <= len(known), "a gap"
        async with self._news:
            known.extend(body["lines"][len(known) - body["offset"] :])
            self._news.notify_all()
        return web.Response(status=204)

    async def _echo(self, request: web.Request) -> web.Response:
        body = await request.read()
        return web.json_response(
            {
                "method": request.method,
                "path": request.path_qs,
                "headers": {name.lower(): value for name, value in request.headers.items()},
                "body": body.decode("latin-1"),
            }
        )
