"""A live day on simulated GPUs is recorded, and replayed: the same actions in the same order."""

from __future__ import annotations

import io
import random
from collections import Counter
from typing import Any

import pytest

from madang.core.states import WorkloadState
from madang.scheduling.simulation.recording import Recorder, replay
from madang.server.workloads import controller, view
from tests.conftest import People
from tests.server.workloads.platform import Platform

STEPS, STEP_S = 72, 1200.0
ENDS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("completed", 0, {}),
    ("exit_code", 1, {"exit_code": 1}),
)


class Day:
    """The real loop, step by step, while people submit and jobs end."""

    def __init__(self, platform: Platform, chance: random.Random) -> None:
        self.platform = platform
        self.chance = chance
        self.view = view.ClusterView(platform.context)
        self.jobs: list[str] = []

    async def pass_by(self) -> None:
        context = self.platform.context
        for agent in self.platform.agents.values():
            await agent.step()
        with context.bus.subscribe(*view.TOPICS) as changes:
            await self.view.load()
            for step in range(STEPS):
                context.clock.advance(STEP_S)  # type: ignore[attr-defined]
                await self._people(step)
                for agent in self.platform.agents.values():
                    for task_id in list(agent.tasks):
                        if self.chance.random() < 0.25:
                            agent.end(task_id, *self.chance.choice(ENDS))
                    await agent.step()
                await self.view.refresh(await changes.wait(0))
                await controller.act(context, self.view, await self.view.plan())
                await self.view.refresh(await changes.wait(0))
                for agent in self.platform.agents.values():
                    await agent.step()

    async def _people(self, step: int) -> None:
        for _ in range(self.chance.choice([0, 1, 1, 2]) if step < STEPS * 2 // 3 else 0):
            low = self.chance.choice([1, 1, 2])
            self.jobs.append(
                await self.platform.submit(
                    "wait",
                    replicas=(low, low + self.chance.choice([0, 0, 2])),
                    resources=[f"gpu={self.chance.choice([0.25, 0.5, 1, 2])}", "cpu=1"],
                    priority=self.chance.choice([0, 0, 100]),
                    preemptible=self.chance.choice([None, True]),
                    grace_s=0.0,
                )
            )


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_recorded_day_is_replayed(
    sqlite_people: People, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(view, "Planner", lambda: Recorder(file))
    platform = Platform(sqlite_people, await sqlite_people.principal("member"))
    platform.agent("a", cpu=32, gpus=4)
    platform.agent("b", cpu=32, gpus=4)
    day = Day(platform, random.Random(seed))
    await day.pass_by()

    plans = list(replay(file.getvalue().splitlines()))
    acted = Counter(type(action).__name__ for plan in plans for action in plan.recorded)
    assert acted["Start"] >= len(day.jobs) * 2 // 3, acted
    assert len(plans) >= STEPS
    differing = [plan for plan in plans if not plan.same]
    assert differing == []
    states = [WorkloadState((await platform.workload(job)).state) for job in day.jobs]
    assert sum(state.ended for state in states) > len(states) // 2
