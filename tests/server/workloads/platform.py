"""A platform in one process: the real controllers, and agents that run nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import func, select

from madang.core.resources import Resources
from madang.core.states import WorkloadKind, WorkloadState
from madang.server.cluster import service as cluster
from madang.server.cluster.devices import SimulatedDevices
from madang.server.cluster.protocol import (
    DeviceInventory,
    NodeInventory,
    NodeOrders,
    NodeReport,
)
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads import controller, service
from madang.server.workloads.spec import RoleSpec, WorkloadSpec
from madang.server.workloads.tables import AllocationRow, TaskRow, WorkloadRow
from madang.testing.agents import FakeAgent
from tests.conftest import People

GIB = 2**30


def inventory(cpu: int = 8, gpus: int = 0, memory_gib: int = 64) -> NodeInventory:
    devices = tuple(
        DeviceInventory(i, "gpu", "H100", 80 * GIB, simulated=True) for i in range(gpus)
    )
    return NodeInventory("localhost", cpu * 1000, memory_gib * GIB, devices=devices)


@dataclass
class Platform:
    people: People
    principal: Principal
    agents: dict[str, FakeAgent] = field(default_factory=dict)

    @property
    def context(self) -> ServerContext:
        return self.people.context

    def agent(self, name: str, gpus_text: str = "", /, **size: int) -> FakeAgent:
        """A further node; it is known once its agent has stepped. gpus_text: what is simulated."""

        async def sync(report: NodeReport) -> NodeOrders:
            return await cluster.sync(self.context, name, report)

        has = inventory(**size)
        if gpus_text:
            has = replace(has, devices=tuple(SimulatedDevices(gpus_text).inventory()))
        agent = FakeAgent(sync, has)
        self.agents[name] = agent
        return agent

    def spec(self, *command: str, **changes: Any) -> WorkloadSpec:
        """A job of one small task; `resources`, `replicas` and role fields go to its role."""
        role_fields = {"replicas_min", "replicas_max", "app_port", "ready_path"}
        role = {key: changes.pop(key) for key in list(changes) if key in role_fields}
        replicas = changes.pop("replicas", 1)
        low, high = replicas if isinstance(replicas, tuple) else (replicas, replicas)
        wanted = changes.pop("resources", ("cpu=1", "memory=1GiB"))
        worker = RoleSpec(
            **{"replicas_min": low, "replicas_max": high, **role},
            resources=Resources.parse(wanted),
            command=command or ("true",),
        )
        values: dict[str, Any] = {
            "kind": WorkloadKind.JOB,
            "name": "train",
            "project_id": self.people.project_id,
            "user_id": self.principal.user_id,
            "roles": (worker,),
        }
        return WorkloadSpec(**(values | changes))

    async def submit(self, *command: str, **changes: Any) -> str:
        row = await service.submit(self.context, self.principal, self.spec(*command, **changes))
        return row.id

    async def workload(self, workload_id: str) -> WorkloadRow:
        async with self.context.db.read() as session:
            return await session.get_one(WorkloadRow, workload_id)

    async def tasks(self, workload_id: str) -> list[TaskRow]:
        async with self.context.db.read() as session:
            return await service.tasks_of(session, workload_id)

    async def live_allocations(self) -> int:
        async with self.context.db.read() as session:
            query = select(func.count()).where(AllocationRow.until.is_(None))
            return await session.scalar(query.select_from(AllocationRow)) or 0

    async def until(
        self, workload_id: str, condition: Callable[[WorkloadRow], bool], timeout_s: float = 10.0
    ) -> WorkloadRow:
        """Wait for a workload to become as wanted. Raises AssertionError with what it is."""
        row = await self.workload(workload_id)
        with self.context.bus.subscribe(f"workload:{workload_id}") as changes:
            deadline = asyncio.get_running_loop().time() + timeout_s
            while not condition(row := await self.workload(workload_id)):
                left_s = deadline - asyncio.get_running_loop().time()
                assert left_s > 0, f"{row.id} is {row.state}: {row.reason}"
                await changes.wait(min(left_s, 0.5))
        return row

    async def until_state(self, workload_id: str, state: WorkloadState) -> WorkloadRow:
        return await self.until(workload_id, lambda row: row.state == state)

    async def until_ended(self, workload_id: str, timeout_s: float = 10.0) -> WorkloadRow:
        return await self.until(workload_id, lambda row: WorkloadState(row.state).ended, timeout_s)


@asynccontextmanager
async def running(*parts: Any) -> AsyncIterator[None]:
    """Coroutines that run during the block and are cancelled at its end."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def platform_of(people: People, **nodes: dict[str, int]) -> AsyncIterator[Platform]:
    """The scheduling loop and an agent for each of `nodes`, running."""
    people.context.settings = replace(people.context.settings, sandbox="none")
    platform = Platform(people, await people.principal("member"))
    agents = [platform.agent(name, **size) for name, size in nodes.items()]
    async with running(controller.run(people.context), *(agent.run() for agent in agents)):
        yield platform
