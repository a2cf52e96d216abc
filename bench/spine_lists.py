"""Lists with much in the database: 100,000 jobs, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from bench.figures import Figure
from madang.core.ids import new_id
from madang.core.states import WorkloadState
from madang.server.context import ServerContext
from madang.server.workloads.tables import QueueRow, WorkloadRow
from tests.conftest import make_context, make_people
from tests.postgres import PostgresServer, find_postgres

JOBS = 100_000
CALLS = 30
QUERIES = ("limit=50", "limit=50&state=failed", "limit=50&name=train", "limit=50&user=member")


def job_lists() -> Sequence[Figure]:
    """`GET /api/v1/jobs?limit=50` and its filters, in process: the server's own time."""
    with tempfile.TemporaryDirectory(prefix="madang-bench-") as folder:
        figures = asyncio.run(_measure("SQLite", Path(folder) / "state", "sqlite"))
        binaries = find_postgres()
        if binaries is None:
            return [*figures, Figure("PostgreSQL is not installed", 0, "")]
        cluster = Path(folder) / "postgres"
        cluster.mkdir()
        with PostgresServer.started(binaries, cluster) as server:
            state = Path(folder) / "state2"
            return [
                *figures,
                *asyncio.run(_measure("PostgreSQL", state, server.create_database())),
            ]


async def _measure(name: str, state_dir: Path, database: str) -> list[Figure]:
    context = await make_context(state_dir, database)
    people = await make_people(context)
    await _insert_jobs(context, people.project_id, people.user_ids["member"])
    figures = []
    async with people.client("member") as client:
        for query in QUERIES:
            took = []
            for _ in range(CALLS):
                began = time.perf_counter()
                answer = await client.get(f"/api/v1/jobs?{query}")
                took.append(time.perf_counter() - began)
                assert len(answer.json()["items"]) == 50, answer.text[:500]
            milliseconds = 1000 * statistics.median(took)
            what = f"GET /jobs?{query}, {JOBS:,} jobs, {name}, median"
            figures.append(Figure(what, milliseconds, "ms", at_most=50))
    await context.close()
    return figures


async def _insert_jobs(context: ServerContext, project_id: str, user_id: str) -> None:
    chance = random.Random(1)
    now = context.clock.now()
    async with context.db.transaction() as session:
        queue = QueueRow(id=new_id("queue"), project_id=project_id, name="bench", created_at=now)
        session.add(queue)
        await session.flush()
        ended = [WorkloadState.SUCCEEDED, WorkloadState.FAILED, WorkloadState.CANCELLED]
        for start in range(0, JOBS, 5000):
            session.add_all(
                WorkloadRow(
                    id=f"job-0000{number:011d}",
                    kind="job",
                    name=f"train-{number}",
                    project_id=project_id,
                    user_id=user_id,
                    queue_id=queue.id,
                    spec=_spec(project_id, user_id),
                    created_at=now + timedelta(seconds=number),
                    state=chance.choice(ended),
                    ended_at=now,
                    exit_code=0,
                )
                for number in range(start, start + 5000)
            )
            await session.flush()
            session.expunge_all()


def _spec(project_id: str, user_id: str) -> dict[str, object]:
    from madang.core.states import WorkloadKind
    from madang.server.workloads.spec import RoleSpec, WorkloadSpec

    return WorkloadSpec(
        kind=WorkloadKind.JOB,
        name="train",
        project_id=project_id,
        user_id=user_id,
        roles=(RoleSpec(command=("python", "train.py")),),
    ).to_json()
