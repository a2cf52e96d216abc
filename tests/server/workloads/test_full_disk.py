"""A disk that fills up while jobs are scheduled: nothing is lost, and it goes on when there is
space again."""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from madang.core.clock import SystemClock
from madang.core.errors import Unavailable
from madang.core.states import WorkloadState
from madang.server.workloads import controller, starts
from madang.server.workloads.tables import AllocationRow, TaskRow
from madang.testing.agents import FakeAgent
from tests.conftest import People, make_context, make_people
from tests.disks import Filler, small_disk
from tests.server.workloads.platform import Platform, platform_of, running


async def patient(agent: FakeAgent) -> None:
    """Step as a real agent does, which bears a control that can't write."""
    while True:
        with suppress(Unavailable):
            await agent.step(wait_s=0.02)
        await asyncio.sleep(0.005)


@asynccontextmanager
async def on_small_disk(folder: Path) -> AsyncIterator[Platform]:
    context = await make_context(folder / "state", clock=SystemClock())
    context.settings = replace(context.settings, sandbox="none")
    people = await make_people(context)
    platform = Platform(people, await people.principal("member"))
    agent = platform.agent("a", cpu=4, gpus=2)
    try:
        with capture_logs():  # as a server writes them: without the values of variables
            async with running(controller.run(context), patient(agent)):
                yield platform
    finally:
        await context.close()


async def ledger_is_right(platform: Platform) -> None:
    """What is held is what runs, and nothing is given out twice."""
    async with platform.context.db.read() as session:
        held = list(
            await session.scalars(select(AllocationRow).where(AllocationRow.until.is_(None)))
        )
        tasks = set(await session.scalars(select(TaskRow.id).where(TaskRow.ended_at.is_(None))))
    assert {row.task_id for row in held} == tasks
    shares = Counter(share["index"] for row in held for share in row.devices)
    assert set(shares.values()) <= {1}


@pytest.mark.parametrize("step", ["carry_out", "carry_out_stops"])
async def test_a_disk_that_fills_up_within_a_plan(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk") as folder:
        await fill_within_a_plan(folder, step, monkeypatch)


async def fill_within_a_plan(folder: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filler = Filler(folder)
    carry_out = getattr(controller, step)
    fails = asyncio.Event()

    async def on_a_full_disk(*values: Any) -> None:
        if values[1] and filler.armed:
            filler.fill()
            try:
                await carry_out(*values)
            except Unavailable:
                fails.set()
                raise
        else:
            await carry_out(*values)

    monkeypatch.setattr(controller, step, on_a_full_disk)
    monkeypatch.setattr(controller, "_AFTER_FAILURE_S", 0.02)
    need = ("gpu=2", "cpu=1", "memory=1GiB")
    async with on_small_disk(folder) as platform:
        low = await platform.submit("wait", resources=need)
        await platform.until_state(low, WorkloadState.RUNNING)
        filler.armed = True
        high = await platform.submit("wait", resources=need, priority=100)
        async with asyncio.timeout(10):
            await fails.wait()
        with pytest.raises(Unavailable, match="disk with the platform's database is full"):
            await platform.submit("wait", resources=need)
        await ledger_is_right(platform)
        if step == "carry_out_stops":
            assert (await platform.workload(low)).state == WorkloadState.RUNNING
        filler.armed = False
        filler.free()
        await platform.until_state(high, WorkloadState.RUNNING)
        await platform.until_state(low, WorkloadState.PENDING)
        await ledger_is_right(platform)
        assert len(await platform.tasks(high)) == 1


async def test_no_space_for_checkpoints_fails_no_job(
    sqlite_people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def make_folder(*values: Any) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(starts, "make_checkpoint_folder", make_folder)
    monkeypatch.setattr(controller, "_AFTER_FAILURE_S", 0.02)
    with capture_logs():
        async with platform_of(sqlite_people, a={"cpu": 2}) as platform:
            job = await platform.submit("wait")
            await platform.until_state(job, WorkloadState.RUNNING)
    assert tries == 3
