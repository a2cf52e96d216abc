"""Control for agents under test, agents for control under test, and the suite that both pass.

`FakeControl` gives orders on a Unix socket as control does, `FakeAgent` obeys them without running
anything, `AgentContract` is what every agent must do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from madang.server.cluster.codec import from_json, to_json
from madang.server.cluster.protocol import (
    PROTOCOL_VERSION,
    ExitRecord,
    NodeInventory,
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
        await self.order(*(TaskOrder(spec, "run") for spec in specs))

    async def stop(self, task_id: str) -> None:
        await self.order(TaskOrder(self.orders[task_id].spec, "stop"))

    async def drop(self, task_id: str) -> None:
        """List the task no more."""
        del self.orders[task_id]
        await self.order()

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

    async def order(self, *orders: TaskOrder) -> None:
        """Change what should be, and wake the agent."""
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
        if task_id in self.seen and self.seen[task_id].phase == "exited":
            return web.Response(status=401, text="the task of this token has ended")
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


class FakeAgent:
    """An agent that runs nothing, for tests of control.

    It understands three commands: `true` and `false` end at once, `sleep` runs until stopped;
    anything else runs until the test calls `end`. `sync` carries its reports to control.
    """

    def __init__(
        self,
        sync: Callable[[NodeReport], Awaitable[NodeOrders]],
        inventory: NodeInventory,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sync = sync
        self._inventory = inventory
        self._clock = clock
        self._revision = -1
        self.tasks: dict[str, TaskReport] = {}
        self.started: list[str] = []
        self.boot_id = "boot-1"

    async def step(self, wait_s: float = 0.0) -> NodeOrders:
        """Report once and obey the answer; what it changes is in the next report."""
        orders = await self._sync(
            NodeReport(
                protocol=PROTOCOL_VERSION,
                boot_id=self.boot_id,
                agent_id="agent-fake",
                inventory=self._inventory,
                tasks=tuple(self.tasks.values()),
                orders_revision=self._revision,
                wait_s=wait_s,
            )
        )
        self._obey(orders)
        self._revision = orders.revision
        return orders

    async def run(self) -> None:
        """Step until cancelled."""
        while True:
            await self.step(wait_s=0.05)

    def end(self, task_id: str, reason: str, exit_code: int | None, facts: dict[str, Any]) -> None:
        """Let a task end as the test says; a task that has ended stays as it is."""
        task = self.tasks[task_id]
        if task.exit is None:
            record = ExitRecord(reason, facts, exit_code, task.started_at, self._clock())
            self.tasks[task_id] = replace(task, phase="exited", exit=record)

    def _obey(self, orders: NodeOrders) -> None:
        wanted = {order.spec.task_id: order for order in orders.orders}
        for task_id, order in wanted.items():
            if task_id not in self.tasks:
                self._start(order)
            if order.action == "stop":
                self.end(task_id, "signal", 143, {"signal": "SIGTERM"})
        for task_id in set(self.tasks) - set(wanted):
            if self.tasks[task_id].exit is None:
                self.end(task_id, "signal", 143, {"signal": "SIGTERM"})
            else:
                del self.tasks[task_id]

    def _start(self, order: TaskOrder) -> None:
        task_id, command = order.spec.task_id, order.spec.command[0]
        self.tasks[task_id] = TaskReport(task_id, "running", started_at=self._clock())
        if order.action == "run":
            self.started.append(task_id)
        if command == "true":
            self.end(task_id, "completed", 0, {})
        elif command == "false":
            self.end(task_id, "exit_code", 1, {"exit_code": 1})


class AgentContract:
    """What every agent must do. A test class inherits it and provides two fixtures: `control`, a
    started FakeControl, and `agent`, which obeys it while the test runs."""

    async def test_runs_a_task_to_its_end(self, control: FakeControl, agent: object) -> None:
        await control.run(task_spec("task-1", "true"))
        report = await control.until_exited("task-1")
        assert report.exit is not None
        assert (report.exit.reason, report.exit.exit_code) == ("completed", 0)

    async def test_reports_the_exit_code(self, control: FakeControl, agent: object) -> None:
        await control.run(task_spec("task-1", "false"))
        report = await control.until_exited("task-1")
        assert report.exit is not None
        assert (report.exit.reason, report.exit.facts) == ("exit_code", {"exit_code": 1})

    async def test_stops_what_is_ordered_to_stop(
        self, control: FakeControl, agent: object
    ) -> None:
        await control.run(task_spec("task-1", "sleep", "60"))
        await control.until_running("task-1")
        await control.stop("task-1")
        report = await control.until_exited("task-1")
        assert report.exit is not None
        assert (report.exit.reason, report.exit.exit_code) == ("signal", 143)

    async def test_stops_what_is_listed_no_more(self, control: FakeControl, agent: object) -> None:
        await control.run(task_spec("task-1", "sleep", "60"))
        await control.until_running("task-1")
        await control.drop("task-1")
        await control.until_exited("task-1")

    async def test_forgets_what_has_ended_and_is_listed_no_more(
        self, control: FakeControl, agent: object
    ) -> None:
        await control.run(task_spec("task-1", "true"))
        await control.until_exited("task-1")
        await control.drop("task-1")
        await control.until(lambda: not control.syncs[-1].tasks)

    async def test_a_stop_before_the_start_is_an_end(
        self, control: FakeControl, agent: object
    ) -> None:
        await control.order(TaskOrder(task_spec("task-1", "sleep", "60"), "stop"))
        report = await control.until_exited("task-1")
        assert report.exit is not None
        assert report.exit.reason == "signal"

    async def test_the_same_order_again_changes_nothing(
        self, control: FakeControl, agent: object
    ) -> None:
        spec = task_spec("task-1", "true")
        await control.run(spec)
        first = await control.until_exited("task-1")
        before = len(control.syncs)
        await control.run(spec)
        await control.until(lambda: len(control.syncs) > before + 1)
        assert control.seen["task-1"].exit == first.exit
