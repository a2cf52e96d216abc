"""The chain from a dataset version to an endpoint, from every link, in both directions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from madang.client import AsyncClient
from madang.core.errors import InvalidInput, NotFound
from madang.core.ids import new_id
from madang.schemas.lineage import LineageChain, LineageKind
from madang.server.api.app import create_app
from madang.server.cluster.tables import NodeRow
from madang.server.environments.tables import EnvironmentRow
from madang.server.lineage.service import trace
from madang.server.serving.tables import EndpointRevisionRow, EndpointRow
from madang.server.storage.tables import DatasetRow, DatasetVersionRow, FolderRow, VolumeRow
from madang.server.tracking import models, runs, versions
from madang.server.workloads.tables import QueueRow, TaskRow, WorkloadInputRow, WorkloadRow
from tests.conftest import People


@dataclass(frozen=True)
class Chain:
    """Ids of a chain: two dataset versions, a job that read both, a run, two model versions."""

    people: People
    datasets: tuple[str, str]
    job: str
    run: str
    versions: tuple[str, str]


async def _dataset(people: People, session: AsyncSession, name: str, project_id: str) -> str:
    now, owner = people.context.clock.now(), people.user_ids["member"]
    volume = VolumeRow(id=new_id("vol"), name=name, root=f"/{name}", created_at=now)
    session.add(volume)
    await session.flush()
    folder = FolderRow(
        id=new_id("fold"), project_id=project_id, name=name, volume_id=volume.id, path=name,
        owner_id=owner, created_at=now,
    )  # fmt: skip
    session.add(folder)
    await session.flush()
    dataset = DatasetRow(
        id=new_id("data"), project_id=project_id, name=name, folder_id=folder.id, path="",
        created_by=owner, created_at=now,
    )  # fmt: skip
    session.add(dataset)
    await session.flush()
    version = DatasetVersionRow(
        id=new_id("ver"), dataset_id=dataset.id, number=1, digest="d", num_items=1,
        total_bytes=1, report={}, created_by=owner, created_at=now,
    )  # fmt: skip
    session.add(version)
    await session.flush()
    return version.id


async def _job(people: People, session: AsyncSession, inputs: tuple[str, ...]) -> tuple[str, str]:
    """A job and one of its tasks."""
    now, member = people.context.clock.now(), people.user_ids["member"]
    queue = QueueRow(
        id=new_id("queue"), project_id=people.project_id, name="default", created_at=now
    )
    node = NodeRow(
        id=new_id("node"), name="n", created_at=now, inventory={}, boot_id="", agent_id="",
        cpu_milli=0, memory_bytes=0, lease_expires_at=0, seen_at=now,
    )  # fmt: skip
    environment = EnvironmentRow(
        id=new_id("env"), project_id=people.project_id, name="vision", version=2, digest="d",
        python="3.11", packages=[], base=[], state="ready", created_at=now, created_by=member,
    )  # fmt: skip
    session.add_all([queue, node, environment])
    await session.flush()
    job = WorkloadRow(
        id=new_id("job"), kind="job", name="train-digits", project_id=people.project_id,
        user_id=member, queue_id=queue.id, spec={}, created_at=now, environment_id=environment.id,
    )  # fmt: skip
    session.add(job)
    await session.flush()
    for version_id in inputs:
        session.add(
            WorkloadInputRow(
                workload_id=job.id, kind="dataset_version", input_id=version_id, ref="digits@1"
            )
        )
    task = TaskRow(
        id=new_id("task"), workload_id=job.id, attempt=1, role="worker", replica=0, rank=0,
        node_id=node.id, created_at=now,
    )  # fmt: skip
    session.add(task)
    await session.flush()
    return job.id, task.id


@pytest.fixture
async def chain(people: People) -> Chain:
    context, member = people.context, await people.principal("member")
    async with context.db.transaction() as session:
        mine = await _dataset(people, session, "digits", people.project_id)
        theirs = await _dataset(people, session, "letters", people.other_project_id)
        job_id, task_id = await _job(people, session, (mine, theirs))
    task = replace(member, project_id=people.project_id, task_id=task_id)
    run = await runs.create_run(context, task, "0", name="first")
    await runs.create_run(context, member, "0", name="by hand")
    await models.create_model(context, member, "digits")
    made = [
        (await versions.create_version(context, member, "digits", f"runs:/{run.row.id}/m")).row.id
        for _ in range(2)
    ]
    return Chain(people, (mine, theirs), job_id, run.row.id, (made[0], made[1]))


def named(chain: LineageChain) -> list[tuple[str, str]]:
    return [(node.kind.value, node.name) for node in chain.nodes]


async def test_from_the_model_version_up(chain: Chain) -> None:
    member = await chain.people.principal("member")
    found = await trace(
        chain.people.context, member, LineageKind.MODEL_VERSION, "digits/2", "vision"
    )
    assert named(found) == [
        ("dataset_version", "digits@1"),
        ("job", "train-digits"),
        ("run", "first"),
        ("model_version", "digits/2"),
    ]
    assert found.subject == chain.versions[1]
    job = found.nodes[1]
    assert (job.environment, job.user, job.project) == ("vision@2", "member", "vision")
    assert {(edge.source, edge.target) for edge in found.edges} == {
        (chain.datasets[0], chain.job),
        (chain.job, chain.run),
        (chain.run, chain.versions[1]),
    }
    assert [edge.ref for edge in found.edges if edge.target == chain.job] == ["digits@1"]


async def test_from_the_dataset_version_down_and_from_the_middle(chain: Chain) -> None:
    context, member = chain.people.context, await chain.people.principal("member")
    down = [
        ("job", "train-digits"),
        ("run", "first"),
        ("model_version", "digits/1"),
        ("model_version", "digits/2"),
    ]
    for kind, ref in (
        (LineageKind.DATASET_VERSION, "digits@1"),
        (LineageKind.DATASET_VERSION, chain.datasets[0]),
        (LineageKind.JOB, "train-digits"),
        (LineageKind.RUN, chain.run),
    ):
        found = await trace(context, member, kind, ref)
        assert named(found) == [("dataset_version", "digits@1"), *down], ref


async def test_what_others_keep_to_themselves_is_left_out(chain: Chain) -> None:
    context = chain.people.context
    admin = await chain.people.principal("admin")
    everything = await trace(context, admin, LineageKind.JOB, chain.job)
    assert ("dataset_version", "letters@1") in named(everything)
    outsider = await chain.people.principal("outsider")
    found = await trace(context, outsider, LineageKind.DATASET_VERSION, "letters@1")
    assert named(found) == [("dataset_version", "letters@1")]
    assert found.edges == []
    for kind, ref in (
        (LineageKind.JOB, chain.job),
        (LineageKind.RUN, chain.run),
        (LineageKind.MODEL_VERSION, chain.versions[0]),
        (LineageKind.DATASET_VERSION, chain.datasets[0]),
    ):
        with pytest.raises(NotFound):
            await trace(context, outsider, kind, ref)


async def test_from_the_endpoint_up(chain: Chain) -> None:
    """An endpoint hangs on the models of its live revisions; a deleted one is not shown."""
    context, member = chain.people.context, await chain.people.principal("member")
    now = context.clock.now()
    shared: dict[str, Any] = {
        "endpoint_id": "endp-1",
        "model_name": "digits",
        "environment": "vision@2",
        "resources": {},
        "replicas": 1,
        "workload_id": chain.job,
        "user_name": "member",
        "created_at": now,
    }
    async with context.db.transaction() as session:
        endpoint = EndpointRow(
            id="endp-1",
            project_id=chain.people.project_id,
            name="digits",
            created_at=now,
            target_id="rev-2",
            active_id="rev-2",
        )
        session.add(endpoint)
        await session.flush()
        for number, version_id in enumerate(chain.versions, start=1):
            retired_at = now if number == 1 else None
            session.add(
                EndpointRevisionRow(
                    id=f"rev-{number}",
                    number=number,
                    model_version_id=version_id,
                    model_version=number,
                    retired_at=retired_at,
                    **shared,
                )
            )
    found = await trace(context, member, LineageKind.ENDPOINT, "digits", "vision")
    assert named(found)[-2:] == [("model_version", "digits/2"), ("endpoint", "digits")]
    assert len(found.nodes) == 5
    down = await trace(context, member, LineageKind.DATASET_VERSION, "digits@1", "vision")
    assert ("endpoint", "digits") in named(down)
    async with context.db.transaction() as session:
        (await session.get_one(EndpointRow, "endp-1")).deleted_at = now
    down = await trace(context, member, LineageKind.DATASET_VERSION, "digits@1", "vision")
    assert ("endpoint", "digits") not in named(down)


async def test_the_client(chain: Chain) -> None:
    transport = httpx.ASGITransport(create_app(chain.people.context))
    token = chain.people.tokens["viewer"]
    async with AsyncClient("http://madang.test", token, transport=transport) as client:
        found = await client.lineage.get(model_version="digits", project="vision")
        assert found.subject == chain.versions[1]
        with pytest.raises(InvalidInput):
            await client.lineage.get()
        with pytest.raises(InvalidInput):
            await client.lineage.get(run=chain.run, job=chain.job)
        with pytest.raises(InvalidInput):
            await client.lineage.get(dataset_version="digits@x")
        with pytest.raises(NotFound):
            await client.lineage.get(dataset_version="digits@7")
