"""What the pages show in the tests: one project with a bit of everything, one with thousands, one
with nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper

from madang.core.ids import new_id
from madang.core.permissions import Role
from madang.core.states import WorkloadState
from madang.schemas.jobs import JobCreate
from madang.server.cluster.agents import LogPart
from madang.server.context import ServerContext
from madang.server.db.base import Base
from madang.server.identity.principal import Principal
from madang.server.identity.tables import MembershipRow, ProjectRow
from madang.server.serving import service as endpoints
from madang.server.serving.tables import EndpointRevisionRow, EndpointRow
from madang.server.storage import datasets, folders, versions
from madang.server.storage.tables import DatasetRow, DatasetVersionRow, FolderRow
from madang.server.tracking import models
from madang.server.tracking import versions as model_versions
from madang.server.tracking.tables import ModelVersionRow, RegisteredModelRow
from madang.server.workloads import jobs
from madang.server.workloads.readiness import mark_ready
from madang.server.workloads.tables import ReportPointRow, TaskRow, WorkloadRow
from tests.conftest import People
from tests.server.serving.conftest import add_model
from tests.server.workloads.platform import Platform

MANY = 1000
NODE = "gpu-01"

Copy = Callable[..., Awaitable[None]]


@dataclass
class FakeLogs:
    """In the place of the node's agent: what tasks have written, and what they write next."""

    texts: dict[str, bytes] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, task_id: str, text: str, *, ended: bool = False) -> None:
        self.texts[task_id] = self.texts.get(task_id, b"") + text.encode()
        if ended:
            self.ended.add(task_id)
        self.changed.set()
        self.changed = asyncio.Event()

    async def read_log(
        self, task_id: str, offset: int, *, limit: int = 1 << 18, wait_s: float = 0.0
    ) -> LogPart:
        text = self.texts.get(task_id, b"")
        if offset >= len(text) and task_id not in self.ended and wait_s:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), wait_s)
        text = self.texts.get(task_id, b"")
        offset = min(offset, len(text))
        part = text[offset : offset + limit]
        return LogPart(offset, part, task_id in self.ended and offset + len(part) == len(text))

    async def aclose(self) -> None: ...


@dataclass
class Content:
    """Ids of what there is in the project `vision`, by kind and name."""

    platform: Platform
    logs: FakeLogs
    jobs: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    dataset: str = ""
    endpoint: str = ""
    endpoint_socket: str = ""
    others: dict[str, str] = field(default_factory=dict)
    """Ids of things that have nothing in them yet."""
    foreign: dict[str, str] = field(default_factory=dict)
    """Things of the project `other`, which only `outsider` may see."""

    @property
    def context(self) -> ServerContext:
        return self.platform.context

    async def tasks(self, job: str) -> list[TaskRow]:
        return await self.platform.tasks(self.jobs[job])


async def add_projects(people: People) -> None:
    """`empty` and `full`, with the same people as `vision`."""
    context = people.context
    async with context.db.transaction() as session:
        for name in ("empty", "full"):
            project = ProjectRow(id=new_id("proj"), name=name, created_at=context.clock.now())
            session.add(project)
            await session.flush()
            for person, role in (("member", Role.MEMBER), ("viewer", Role.VIEWER)):
                user_id = people.user_ids[person]
                session.add(MembershipRow(project_id=project.id, user_id=user_id, role=role))


async def fill(platform: Platform) -> Content:
    """Jobs in each state, data, a model and an endpoint in `vision`."""
    people = platform.people
    content = Content(platform, FakeLogs())
    people.context.parts["cluster.agents"] = content.logs
    member = await people.principal("member")
    await add_model(people)
    await model_versions.set_alias(people.context, member, "digits", "champion", 2)
    await _add_jobs(content, member)
    await _add_data(content, member)
    await _add_endpoint(content, member)
    await _add_foreign(content, await people.principal("outsider"))
    return content


async def _run(content: Content, principal: Principal, name: str, *command: str,
               **options: Any) -> str:  # fmt: skip
    options = {"project": "vision"} | options
    request = JobCreate([*command], name=name, **options)
    row = await jobs.create_job(content.context, principal, request)
    content.jobs[name] = row.id
    return row.id


async def _add_jobs(content: Content, member: Principal) -> None:
    platform, agent = content.platform, content.platform.agents[NODE]
    small = {"cpu": 2, "memory": "4GiB"}
    for name, command, reason, exit_code in (
        ("prepare-digits", ["python", "prepare.py", "--size", "28"], "completed", 0),
        ("evaluate-2", ["python", "evaluate.py"], "exit_code", 1),
    ):
        job_id = await _run(content, member, name, *command, resources=small)
        await platform.until_state(job_id, WorkloadState.RUNNING)
        task = (await platform.tasks(job_id))[0]
        content.logs.write(task.id, "1,797 images read\ndone\n", ended=True)
        agent.end(task.id, reason, exit_code, {"exit_code": exit_code} if exit_code else {})
        await platform.until_ended(job_id)
    job_id = await _run(
        content, member, "train-digits", "python", "train.py", "--epochs", "20", replicas=2,
        resources={"cpu": 2, "memory": "8GiB", "gpu": 1}, environment="vision",
        environment_variables={"LEARNING_RATE": "0.001"},
    )  # fmt: skip
    await platform.until_state(job_id, WorkloadState.RUNNING)
    tasks = await platform.tasks(job_id)
    for task in tasks:
        content.logs.write(task.id, "".join(_log_lines()))
    await _add_metrics(content, tasks)
    await _run(content, member, "sweep-learning-rate", "python", "sweep.py", replicas=4,
               resources={"cpu": 1, "memory": "4GiB", "gpu": 1})  # fmt: skip
    await platform.until(content.jobs["sweep-learning-rate"], lambda row: row.reason is not None)


def _log_lines() -> list[str]:
    return [
        f"epoch {epoch:2d}  loss {_loss(epoch * 30):.4f}  accuracy {_accuracy(epoch * 30):.4f}\n"
        for epoch in range(1, 21)
    ]


def _loss(step: int) -> float:
    return 0.08 + 2.2 * math.exp(-step / 120) + 0.02 * math.sin(step / 7)


def _accuracy(step: int) -> float:
    return 0.975 - 0.8 * math.exp(-step / 90)


async def _add_metrics(content: Content, tasks: list[TaskRow]) -> None:
    now = content.context.clock.now()
    async with content.context.telemetry.transaction() as session:
        for task in tasks:
            for step in range(0, 600, 5):
                for key, value in (("loss", _loss(step)), ("accuracy", _accuracy(step))):
                    session.add(
                        ReportPointRow(
                            workload_id=task.workload_id, task_id=task.id, rank=task.rank,
                            attempt=task.attempt, key=key, step=step,
                            value=value + 0.01 * task.rank, at=now,
                        )
                    )  # fmt: skip


async def _add_data(content: Content, member: Principal) -> None:
    context = content.context
    view = await folders.create_folder(context, member, "digits", project="vision")
    content.folder = view.row.id
    root = folders.folder_path(context, view.row)
    for label in range(10):
        directory = root / "train" / str(label)
        directory.mkdir(parents=True)
        for number in range(12 + label * 2):
            (directory / f"{number:04d}.png").write_bytes(b"\x89PNG" + bytes(300 + number))
    (root / "README.md").write_text("# Handwritten digits\n")
    (root / "한글 이름.txt").write_text("안녕하세요\n")
    row = await datasets.create_dataset(
        context, member, "digits", view.row.id, "train", project="vision"
    )
    content.dataset = row.id
    await versions.create_version(context, member, None, row.id)
    await versions.hold_out(
        context, member, None, row.id, name="test", fraction=0.2, rest="train", seed=0
    )
    bare = await folders.create_folder(context, member, "bare", project="vision")
    later = await datasets.create_dataset(
        context, member, "bare", bare.row.id, "", project="vision"
    )
    content.others = {"bare": bare.row.id, "bare-dataset": later.id}
    await models.create_model(context, member, "bare", project="vision")


async def _add_endpoint(content: Content, member: Principal) -> None:
    context = content.context
    wanted = endpoints.Deployment("digits", "digits/2", "vision", {}, 1)
    view = await endpoints.deploy(context, member, "vision", wanted)
    content.endpoint = view.row.id
    workload_id = view.target.workload_id
    await content.platform.until_state(workload_id, WorkloadState.RUNNING)
    task = (await content.platform.tasks(workload_id))[0]
    content.endpoint_socket = task.app_socket
    content.logs.write(task.id, "digits/2 is loaded, 12 MiB\nlistening\n")
    await mark_ready(context, task.id)
    async with context.db.transaction() as session:
        row = await session.get_one(EndpointRow, view.row.id)
        row.active_id = row.target_id
    starting = endpoints.Deployment("starting", "digits/1", "vision", {"gpu": 4}, 2)
    await endpoints.deploy(context, member, "vision", starting)


async def _add_foreign(content: Content, outsider: Principal) -> None:
    context = content.context
    job_id = await _run(content, outsider, "secret-job", "true", project="other",
                        resources={"gpu": 99}, wait_for_nodes=True)  # fmt: skip
    folder = await folders.create_folder(context, outsider, "secret", project="other")
    await models.create_model(context, outsider, "secret", project="other")
    dataset = await datasets.create_dataset(
        context, outsider, "secret", folder.row.id, "", project="other"
    )
    async with context.db.read() as session:
        model = await session.scalar(
            select(RegisteredModelRow.id).where(RegisteredModelRow.name == "secret")
        )
    content.foreign = {
        "jobs": job_id,
        "data/folders": folder.row.id,
        "data/datasets": dataset.id,
        "models": model or "",
    }


async def fill_full(content: Content) -> None:
    """A thousand of each in `full`: copies of what `vision` has."""
    context = content.context
    async with context.db.transaction() as session:
        project = await session.scalar(select(ProjectRow).where(ProjectRow.name == "full"))
        assert project is not None

        async def copy(
            original: Base, changes: Callable[[int], dict[str, Any]], count: int = MANY
        ) -> None:
            values = values_of(original)
            rows = [values | {"project_id": project.id} | changes(number)
                    for number in range(count)]  # fmt: skip
            keys = values.keys()
            rows = [{key: row[key] for key in keys} for row in rows]
            await session.execute(insert(type(original)), rows)

        now = context.clock.now()
        ended = [await session.get_one(WorkloadRow, content.jobs[name])
                 for name in ("prepare-digits", "evaluate-2")]  # fmt: skip
        for which, job in enumerate(ended):
            await copy(
                job,
                lambda number, which=which: {  # type: ignore[misc]
                    "id": new_id("job"),
                    "name": f"job-{2 * number + which:04d}",
                    "created_at": now - timedelta(minutes=MANY - number),
                },
                MANY // 2,
            )
        folder = await session.get_one(FolderRow, content.folder)
        await copy(folder, lambda number: {"id": new_id("fold"), "name": f"folder-{number:04d}"})
        await _copy_datasets(session, content, copy)
        await _copy_models(session, copy)
        await _copy_endpoints(session, content, copy)
        root = folders.folder_path(context, folder)
    many = root / "many"
    many.mkdir()
    for number in range(MANY):
        (many / f"{number:05d}.txt").write_text(str(number))


async def _copy_datasets(session: AsyncSession, content: Content, copy: Copy) -> None:
    dataset = await session.get_one(DatasetRow, content.dataset)
    version = await session.scalar(
        select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == content.dataset)
    )
    assert version is not None
    ids = [new_id("data") for _ in range(MANY)]
    await copy(dataset, lambda n: {"id": ids[n], "name": f"dataset-{n:04d}"})
    await copy(version, lambda n: {"id": new_id("ver"), "dataset_id": ids[n]})


async def _copy_models(session: AsyncSession, copy: Copy) -> None:
    model = await session.scalar(
        select(RegisteredModelRow).where(RegisteredModelRow.name == "digits")
    )
    assert model is not None
    version = await session.scalar(
        select(ModelVersionRow).where(ModelVersionRow.model_id == model.id)
    )
    assert version is not None
    ids = [new_id("model") for _ in range(MANY)]
    await copy(model, lambda n: {"id": ids[n], "name": f"model-{n:04d}"})
    await copy(version, lambda n: {"id": new_id("ver"), "model_id": ids[n],
                                   "name": f"model-{n:04d}"})  # fmt: skip


async def _copy_endpoints(session: AsyncSession, content: Content, copy: Copy) -> None:
    endpoint = await session.get_one(EndpointRow, content.endpoint)
    revision = await session.get_one(EndpointRevisionRow, endpoint.target_id)
    ids = [(new_id("endp"), new_id("rev")) for _ in range(MANY)]
    await copy(endpoint, lambda n: {"id": ids[n][0], "name": f"endpoint-{n:04d}",
                                    "target_id": ids[n][1], "active_id": ids[n][1]})  # fmt: skip
    await copy(revision, lambda n: {"id": ids[n][1], "endpoint_id": ids[n][0]})


def values_of(row: Base) -> dict[str, Any]:
    mapper: Mapper[Any] = inspect(type(row))
    return {column.key: getattr(row, column.key) for column in mapper.column_attrs}
