"""Whatever happens, in whatever order: the ledger is what lives, nothing runs twice, all ends."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from madang.core.errors import Conflict
from madang.core.states import WorkloadKind, WorkloadState
from madang.scheduling import Placement, Preempt, Resize
from madang.schemas.queues import Amounts, QueueChange, QueueCreate
from madang.server.cluster import controller as cluster
from madang.server.cluster import nodes
from madang.server.cluster.tables import NodeRow
from madang.server.workloads import controller, job_waits, queues, service
from madang.server.workloads.resizes import placements_of
from madang.server.workloads.spec import RetryPolicy
from madang.server.workloads.stops import carry_out_stops
from madang.server.workloads.tables import AllocationRow, TaskRow, TaskSpecRow, WorkloadRow
from madang.server.workloads.view import TOPICS, ClusterView
from tests.conftest import make_context, make_people
from tests.server.workloads.platform import Platform

ENDS: tuple[tuple[str, int | None, dict[str, Any]], ...] = (
    ("completed", 0, {}),
    ("exit_code", 1, {"exit_code": 1}),
    ("signal", 137, {"signal": "SIGKILL"}),
    ("supervisor_lost", None, {"node": "a"}),
)
CPUS = 6
QUEUES = ("left", "right")
EXAMPLES = int(os.environ.get("MADANG_TEST_HISTORIES", "12"))
"""How many random histories; more take longer and find more."""


class History:
    """One random history; `step` does one thing that can happen."""

    def __init__(self, platform: Platform, chance: random.Random, stack: ExitStack) -> None:
        self.platform = platform
        self.context = platform.context
        self.chance = chance
        self.view = ClusterView(self.context)
        self.changes = stack.enter_context(self.context.bus.subscribe(*TOPICS))
        self.submitted: list[str] = []
        self.story: list[str] = []
        self.acted: Counter[str] = Counter()

    async def step(self) -> None:
        actions = [
            self.submit, self.submit, self.schedule, self.schedule, self.sync, self.sync,
            self.end_some, self.cancel, self.lose_node, self.reboot, self.drain, self.uncordon,
            self.restart_control, self.scale, self.time_passes, self.send_an_old_report,
            self.stop_for_others, self.resize, self.change_shares, self.move, self.reprioritise,
        ]  # fmt: skip
        action = self.chance.choice(actions)
        self.story.append(action.__name__)
        await action()
        await self.check()

    async def submit(self) -> None:
        kind = self.chance.choice([WorkloadKind.JOB, WorkloadKind.JOB, WorkloadKind.SERVICE])
        low = self.chance.choice([1, 1, 2, 3])
        high = low + self.chance.choice([0, 2])
        job = await self.platform.submit(
            self.chance.choice(["true", "false", "wait", "wait", "sleep"]),
            kind=kind,
            replicas=(low, high),
            resources=[f"cpu={self.chance.choice([1, 2])}", "memory=1GiB"],
            retry=RetryPolicy(count=self.chance.choice([0, 2]), backoff_s=1.0),
            on_node_lost=self.chance.choice(["restart", "keep"]),
            priority=self.chance.choice([0, 0, 1]),
            grace_s=0.0,
            queue=self.chance.choice(QUEUES),
            resizable=kind is WorkloadKind.JOB and high > low and self.chance.random() < 0.5,
            preemptible=self.chance.choice([None, True, False]),
        )
        self.submitted.append(job)

    async def schedule(self) -> None:
        await self.view.refresh(await self.changes.wait(0))
        actions = await self.view.plan()
        if self.chance.random() < 0.1 and self.submitted:  # it changes its mind meanwhile
            await service.cancel(self.context, "member", self.chance.choice(self.submitted))
        await controller.act(self.context, self.view, actions)
        self.acted.update(type(action).__name__ for action in actions)
        await self.view.refresh(await self.changes.wait(0))
        await self._check_picture()

    async def sync(self) -> None:
        await self.chance.choice(list(self.platform.agents.values())).step()

    async def end_some(self) -> None:
        for agent in self.platform.agents.values():
            for task_id in list(agent.tasks):
                if self.chance.random() < 0.5:
                    agent.end(task_id, *self.chance.choice(ENDS))

    async def cancel(self) -> None:
        if self.submitted:
            await service.cancel(self.context, "member", self.chance.choice(self.submitted))

    async def lose_node(self) -> None:
        name = self.chance.choice(list(self.platform.agents))
        async with self.context.db.transaction() as session:
            await session.execute(
                update(NodeRow).where(NodeRow.name == name).values(lease_expires_at=1)
            )
        await cluster.check_leases(self.context)

    async def reboot(self) -> None:
        """What ran is gone; what had not begun begins again."""
        agent = self.chance.choice(list(self.platform.agents.values()))
        agent.boot_id = f"boot-{self.chance.random()}"
        agent.tasks.clear()

    async def drain(self) -> None:
        admin = await self.platform.people.principal("admin")
        names = await self._known()
        if names:
            await nodes.drain_node(self.context, admin, self.chance.choice(names))

    async def uncordon(self) -> None:
        admin = await self.platform.people.principal("admin")
        for name in await self._known():
            await nodes.cordon_node(self.context, admin, name, closed=False)

    async def restart_control(self) -> None:
        self.context.parts.clear()
        self.view = ClusterView(self.context)
        await self.view.load()
        await cluster.grant_full_leases(self.context)

    async def scale(self) -> None:
        for job in self.submitted:
            row = await self.platform.workload(job)
            if row.kind == WorkloadKind.SERVICE and not WorkloadState(row.state).ended:
                await service.scale(self.context, job, "worker", self.chance.choice([0, 1]))
                return

    async def time_passes(self) -> None:
        """Clocks are set back now and then, too."""
        seconds = self.chance.choice([0.5, 5.0, 100.0, -3.0, -3600.0])
        self.context.clock.advance(seconds)  # type: ignore[attr-defined]

    async def stop_for_others(self) -> None:
        """A decision of a planner that knew something else."""
        if self.submitted:
            job = self.chance.choice(self.submitted)
            row = await self.platform.workload(job)
            request = f"{job}:worker:0" if row.kind == WorkloadKind.SERVICE else job
            winner = self.chance.choice(self.submitted)
            await carry_out_stops(self.context, [Preempt(request, job, winner, "cpu", 0.0)])

    async def resize(self) -> None:
        """The same for the number of replicas: at places that nobody holds."""
        jobs = [job for job in self.submitted if await self._is_running_job(job)]
        if not jobs:
            return
        job = self.chance.choice(jobs)
        live = [task for task in await self.platform.tasks(job) if task.ended_at is None]
        if len(live) > 1 and self.chance.random() < 0.7:
            gone = self.chance.choice(live)
            key = f"{job}/worker/{gone.replica}"
            await carry_out_stops(self.context, [Resize(job, job, removed=(key,))])
            return
        node = Placement("worker", 1 + max(task.replica for task in live), "node-gone")
        await carry_out_stops(self.context, [Resize(job, job, added=(node,))])

    async def change_shares(self) -> None:
        admin = await self.platform.people.principal("admin")
        limits: list[Amounts] = [{}, {"cpu": 8}]
        change = QueueChange(
            weight=self.chance.choice([0.5, 1.0, 4.0]),
            guarantee={"cpu": self.chance.choice([0, 3])},
            limit=self.chance.choice(limits),
            reclaimable=self.chance.choice([True, True, False]),
            open=self.chance.choice([True, True, False]),
        )
        name = self.chance.choice(QUEUES)
        await queues.change_queue(self.context, admin, name, change, project="vision")

    async def move(self) -> None:
        if self.submitted:
            member = await self.platform.people.principal("member")
            job = self.chance.choice(self.submitted)
            with suppress(Conflict):
                queue = self.chance.choice(QUEUES)
                await job_waits.move_job(self.context, member, job, queue)

    async def reprioritise(self) -> None:
        if self.submitted:
            member = await self.platform.people.principal("member")
            job = self.chance.choice(self.submitted)
            with suppress(Conflict):
                number = self.chance.choice([-5, 0, 5])
                await job_waits.set_priority(self.context, member, job, number)

    async def _is_running_job(self, job: str) -> bool:
        row = await self.platform.workload(job)
        return (row.kind, row.state) == (WorkloadKind.JOB, WorkloadState.RUNNING)

    async def send_an_old_report(self) -> None:
        """A report that was long under way: on tasks as they were."""
        agent = self.chance.choice(list(self.platform.agents.values()))
        before = dict(agent.tasks)
        agent.tasks = {
            task_id: replace(task, phase="running", exit=None) for task_id, task in before.items()
        }
        await agent.step()
        agent.tasks = {**agent.tasks, **before}

    async def _check_picture(self) -> None:
        """What the planner takes to be held is what the ledger says, and what is kept for those
        that are being resized."""
        async with self.context.db.read() as session:
            live = list(await session.scalars(select(AllocationRow)))
            resizing = await session.scalars(
                select(WorkloadRow).where(
                    WorkloadRow.resize.is_not(None), WorkloadRow.ended_at.is_(None)
                )
            )
            kept = {
                f"{row.id}/{place.role}/{place.replica}"
                for row in resizing
                if row.resize is not None and row.stop is None
                for place in placements_of(row.resize)
            }
        held = {f"{a.workload_id}/{a.role}/{a.replica}" for a in live if a.until is None}
        assert set(self.view.held_keys) == held | kept, self.story

    async def check(self) -> None:
        async with self.context.db.read() as session:
            tasks = list(await session.scalars(select(TaskRow)))
            held = list(
                await session.scalars(select(AllocationRow).where(AllocationRow.until.is_(None)))
            )
            rows = {row.id: row for row in await session.scalars(select(WorkloadRow))}
            specs = set(await session.scalars(select(TaskSpecRow.task_id)))
        live = {task.id: task for task in tasks if task.ended_at is None}
        assert {allocation.task_id for allocation in held} == live.keys(), self.story
        assert specs == live.keys(), self.story
        replicas = Counter((task.workload_id, task.role, task.replica) for task in live.values())
        assert all(count == 1 for count in replicas.values()), self.story
        for task in live.values():
            row = rows[task.workload_id]
            assert not WorkloadState(row.state).ended, self.story
            if row.kind == WorkloadKind.JOB:
                assert task.attempt == row.attempt, self.story
        used: Counter[str] = Counter()
        for allocation in held:
            used[allocation.node_id] += allocation.cpu_milli
        assert all(cpu <= CPUS * 1000 for cpu in used.values()), self.story

    async def settle(self) -> None:
        """Everything heals, services are cancelled: all must end."""
        admin = await self.platform.people.principal("admin")
        for name in QUEUES:
            change = QueueChange(open=True, limit={})
            await queues.change_queue(self.context, admin, name, change, project="vision")
        await self.restart_control()
        await self.uncordon()
        for job in self.submitted:
            row = await self.platform.workload(job)
            if row.kind == WorkloadKind.SERVICE:
                await service.cancel(self.context, "member", job)
        for _ in range(60):
            self.context.clock.advance(400)  # type: ignore[attr-defined]
            for agent in self.platform.agents.values():
                for task_id in list(agent.tasks):
                    agent.end(task_id, *ENDS[0])
                await agent.step()
                await agent.step()
            await self.schedule()
            await self.check()
            rows = [await self.platform.workload(job) for job in self.submitted]
            left = [row for row in rows if not WorkloadState(row.state).ended]
            if not left:
                assert await self.platform.live_allocations() == 0
                return
        raise AssertionError(([(row.state, row.reason) for row in left], self.story))

    async def _known(self) -> list[str]:
        async with self.context.db.read() as session:
            return list(await session.scalars(select(NodeRow.name).order_by(NodeRow.name)))


@settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32), steps=st.integers(5, 40))
def test_any_history(seed: int, steps: int) -> None:
    asyncio.run(_run(seed, steps))


async def _run(seed: int, steps: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = await make_context(Path(folder) / "state", "sqlite")
        try:
            people = await make_people(context)
            platform = Platform(people, await people.principal("member"))
            for name in ("a", "b"):
                platform.agent(name, cpu=CPUS)
            admin = await people.principal("admin")
            for name in QUEUES:
                queue = QueueCreate(name, project="vision")
                await queues.create_queue(context, admin, queue)
            with ExitStack() as stack:
                history = History(platform, random.Random(seed), stack)
                for _ in range(steps):
                    await history.step()
                await history.settle()
        finally:
            await context.close()
