"""kill -9 of control at random points of scheduling."""

from __future__ import annotations

import os
from pathlib import Path

from madang.schemas.queues import QueueCreate
from madang.schemas.scheduling import PolicySet
from madang.server.workloads import policy, queues
from tests.conftest import make_context, make_people
from tests.server.workloads.kills import soak

KILLS = int(os.environ.get("MADANG_TEST_KILLS", "12"))
SEED = int(os.environ.get("MADANG_TEST_SEED", "1"))


async def test_no_kill_leaves_an_allocation_without_a_task() -> None:
    done = await soak(_prepare, kills=KILLS, seed=SEED)
    assert not done.faults, done
    assert done.kills == KILLS
    assert done.ended > 0, done


async def _prepare(state_dir: Path) -> tuple[str, str, list[str]]:
    from madang.core.clock import SystemClock

    context = await make_context(state_dir, clock=SystemClock())
    try:
        people = await make_people(context)
        admin = await people.principal("admin")
        for name in ("left", "right"):
            request = QueueCreate(name, project="vision", guarantee={"gpu": 4})
            await queues.create_queue(context, admin, request)
        turns = QueueCreate("turns", project="vision", ordering="attained")
        await queues.create_queue(context, admin, turns)
        often = PolicySet(round_s=1.0, migration_budget=0.5)
        await policy.set_policy(context, admin, often)
        return people.user_ids["member"], people.project_id, ["left", "right", "turns", ""]
    finally:
        await context.close()
