"""A platform in process with a model to deploy; replicas become ready when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from madang.core.ids import new_id
from madang.core.states import TaskState, WorkloadState
from madang.schemas.endpoints import EndpointState
from madang.server.context import ServerContext
from madang.server.environments.tables import EnvironmentRow
from madang.server.identity.principal import Principal
from madang.server.serving import controller, service
from madang.server.serving.service import Deployment, EndpointView
from madang.server.storage.folders import ensure_folder
from madang.server.tracking import models, runs, versions
from madang.server.workloads.readiness import mark_ready
from madang.server.workloads.tables import TaskRow, WorkloadRow
from tests.conftest import People
from tests.server.workloads.platform import Platform, platform_of, running

PATIENCE_S = 10.0


@dataclass
class Served:
    """The project `vision` with model `digits`, versions 1 and 2, and environment `vision@1`."""

    platform: Platform
    people: People
    member: Principal

    @property
    def context(self) -> ServerContext:
        return self.people.context

    async def deploy(self, model: str = "digits/1", **changes: object) -> EndpointView:
        wanted = {"name": "digits", "model": model, "environment": "vision", **changes}
        deployment = Deployment(**wanted)  # type: ignore[arg-type]
        return await service.deploy(self.context, self.member, "vision", deployment)

    async def get(self) -> EndpointView:
        return await service.get(self.context, self.member, "digits", "vision")

    async def live_tasks(self, workload_id: str) -> list[TaskRow]:
        tasks = await self.platform.tasks(workload_id)
        return [task for task in tasks if task.state == TaskState.RUNNING]

    async def make_ready(self, view: EndpointView, replicas: int | None = None) -> None:
        """As the prober does, once as many replicas run."""
        wanted = view.target.replicas if replicas is None else replicas
        while len(tasks := await self.live_tasks(view.target.workload_id)) < wanted:
            await asyncio.sleep(0.01)
        for task in tasks[:wanted]:
            await mark_ready(self.context, task.id)

    async def replicas_as_they_start(self, workload_id: str) -> AsyncIterator[str]:
        """The tasks of a workload, each once, until it has ended; backoffs are over at once."""
        seen: set[str] = set()
        async with asyncio.timeout(PATIENCE_S):
            while not WorkloadState((await self.workload(workload_id)).state).ended:
                for task in await self.live_tasks(workload_id):
                    if task.id not in seen:
                        seen.add(task.id)
                        yield task.id
                self.context.clock.advance(60)  # type: ignore[attr-defined]
                await asyncio.sleep(0.01)

    async def until(self, condition: Callable[[EndpointView], bool]) -> EndpointView:
        async with asyncio.timeout(PATIENCE_S):
            while not condition(view := await self.get()):
                await asyncio.sleep(0.01)
        return view

    async def until_state(self, state: EndpointState) -> EndpointView:
        return await self.until(lambda view: view.state is state)

    async def workload(self, workload_id: str) -> WorkloadRow:
        return await self.platform.workload(workload_id)


async def add_model(people: People, versions_wanted: int = 2) -> None:
    context, member = people.context, await people.principal("member")
    async with context.db.transaction() as session:
        session.add(
            EnvironmentRow(
                id=new_id("env"),
                project_id=people.project_id,
                name="vision",
                version=1,
                digest="d" * 32,
                python="3.11",
                packages=[],
                base=[],
                state="ready",
                created_at=context.clock.now(),
                created_by=member.user_id,
            )
        )
        await ensure_folder(session, context, people.project_id, "artifacts", member.user_id)
    run = await runs.create_run(context, member, "0", name="by hand")
    await models.create_model(context, member, "digits")
    for _ in range(versions_wanted):
        await versions.create_version(context, member, "digits", f"runs:/{run.row.id}/m")


@pytest.fixture
async def served(people: People) -> AsyncIterator[Served]:
    await add_model(people)
    member = await people.principal("member")
    async with (
        platform_of(people, one={"cpu": 8}) as platform,
        running(controller.run(people.context)),
    ):
        yield Served(platform, people, member)
