"""Runs: what was tried, with which parameters, tags, inputs, and what came of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput, NotFound
from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.tracking import limits
from madang.server.tracking.experiments import find_experiment, now_ms
from madang.server.tracking.filters import SearchSpace
from madang.server.tracking.sql import chunks, insert_or_update
from madang.server.tracking.tables import (
    ExperimentRow,
    RunInputRow,
    RunMetricRow,
    RunModelRow,
    RunParamRow,
    RunRow,
    RunTagRow,
)
from madang.server.tracking.workloads import workload_of_task

STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
NAME_TAG = "mlflow.runName"
USER_TAG = "mlflow.user"
HISTORY_TAG = "mlflow.log-model.history"

SPACE = SearchSpace(
    row=RunRow,
    texts={
        "run_id": RunRow.id,
        "run_name": RunRow.name,
        "Run name": RunRow.name,
        "Run Name": RunRow.name,
        "run name": RunRow.name,
        "status": RunRow.status,
        "user_id": RunRow.user_name,
        "lifecycle_stage": RunRow.lifecycle_stage,
        "experiment_id": RunRow.experiment_id,
    },
    numbers={
        "start_time": RunRow.start_ms,
        "created": RunRow.start_ms,
        "Created": RunRow.start_ms,
        "end_time": RunRow.end_ms,
    },
    keyed={"metric": RunMetricRow, "parameter": RunParamRow, "tag": RunTagRow},
    columns={
        "name": RunInputRow.name,
        "digest": RunInputRow.digest,
        "context": RunInputRow.context,
    },
    orderable=(
        *("start_time", "end_time", "status", "run_id", "run_name", "user_id"),
        *("experiment_id", "lifecycle_stage", "created", "Created", "Run name", "Run Name"),
    ),
)


@dataclass(frozen=True, slots=True)
class Run:
    """A run with what was logged to it."""

    row: RunRow
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: list[RunMetricRow] = field(default_factory=list)
    inputs: list[RunInputRow] = field(default_factory=list)
    models: list[RunModelRow] = field(default_factory=list)

    @property
    def artifact_uri(self) -> str:
        return artifact_uri(self.row)


def artifact_uri(row: RunRow) -> str:
    """Where MLflow's clients put and find the run's artifacts."""
    return f"mlflow-artifacts:/{row.experiment_id}/{row.id}/artifacts"


async def find_run(
    session: AsyncSession,
    principal: Principal,
    run_id: str,
    permission: Permission = Permission.TRACKING_READ,
    *,
    active: bool = False,
) -> RunRow:
    """The run with that id. Raises NotFound for one that is not hers to see, Forbidden,
    InvalidInput for a deleted one when it has to be `active`."""
    row = await session.get(RunRow, run_id)
    if row is None or not principal.sees(row.project_id):
        raise NotFound(f"run with id={run_id} not found", field="run_id")
    principal.require(permission, row.project_id)
    if active and row.lifecycle_stage != "active":
        raise InvalidInput(
            f"the run {run_id} must be in the 'active' state, but it is deleted", field="run_id"
        )
    return row


async def create_run(
    context: ServerContext,
    principal: Principal,
    experiment_id: str,
    *,
    name: str | None = None,
    start_ms: int | None = None,
    tags: dict[str, str] | None = None,
) -> Run:
    """Start a run. One that a task logs is linked to its workload; the person is the token's."""
    tags = {key: check_run_tag(key, value) for key, value in (tags or {}).items()}
    name = name or tags.get(NAME_TAG) or f"run-{uuid.uuid4().hex[:8]}"
    tags |= {NAME_TAG: limits.shorten(name, limits.MAX_TAG_LENGTH), USER_TAG: principal.name}
    async with context.db.transaction() as session:
        experiment = await find_experiment(
            context,
            session,
            principal,
            experiment_id,
            Permission.TRACKING_WRITE,
            make_default=True,
        )
        if experiment.lifecycle_stage != "active":
            raise InvalidInput(f"the experiment {experiment.id} must be in the 'active' state")
        row = RunRow(
            id=uuid.uuid4().hex,
            experiment_id=experiment.id,
            project_id=experiment.project_id,
            name=name,
            user_id=principal.user_id,
            user_name=principal.name,
            status="RUNNING",
            start_ms=now_ms(context.clock) if start_ms is None else start_ms,
            task_id=principal.task_id,
            workload_id=await workload_of_task(session, principal.task_id),
        )
        session.add(row)
        await session.flush()
        await _write_tags(session, row.id, tags)
        announce(session, f"project:{row.project_id}:runs")
    return Run(row, tags=tags)


async def get_run(context: ServerContext, principal: Principal, run_id: str) -> Run:
    async with context.db.read() as session:
        row = await find_run(session, principal, run_id)
        return (await with_details(session, [row]))[0]


async def update_run(
    context: ServerContext,
    principal: Principal,
    run_id: str,
    *,
    status: str | None = None,
    end_ms: int | None = None,
    name: str | None = None,
) -> RunRow:
    """Change status, end or name. Raises InvalidInput for a status that MLflow doesn't have."""
    if status is not None and status not in STATUSES:
        raise InvalidInput(
            f"invalid run status {status!r}",
            field="status",
            hint=f"Use one of {', '.join(STATUSES)}.",
        )
    async with context.db.transaction() as session:
        row = await find_run(session, principal, run_id, Permission.TRACKING_WRITE, active=True)
        row.status = status or row.status
        row.end_ms = end_ms if end_ms is not None else row.end_ms
        if name:
            row.name = name
            await _write_tags(
                session, row.id, {NAME_TAG: limits.shorten(name, limits.MAX_TAG_LENGTH)}
            )
        announce(session, f"run:{row.id}", f"project:{row.project_id}:runs")
    return row


async def set_run_stage(
    context: ServerContext, principal: Principal, run_id: str, stage: str
) -> None:
    """Delete (`deleted`) or restore (`active`) a run; safe to repeat."""
    async with context.db.transaction() as session:
        row = await find_run(session, principal, run_id, Permission.TRACKING_WRITE)
        row.lifecycle_stage = stage
        announce(session, f"run:{row.id}", f"project:{row.project_id}:runs")


async def delete_tag(context: ServerContext, principal: Principal, run_id: str, key: str) -> None:
    async with context.db.transaction() as session:
        row = await find_run(session, principal, run_id, Permission.TRACKING_WRITE, active=True)
        mine = (RunTagRow.run_id == row.id, RunTagRow.key == key)
        gone = await session.scalar(delete(RunTagRow).where(*mine).returning(RunTagRow.key))
        if gone is None:
            raise NotFound(f"no tag with name {key!r} in run with id {run_id}")


async def search_runs(
    context: ServerContext,
    principal: Principal,
    *,
    experiment_ids: Sequence[str] | None = None,
    project_id: str | None = None,
    filter_text: str | None = None,
    order_by: Sequence[str] = (),
    stages: Sequence[str] = ("active",),
    limit: int,
    offset: int = 0,
) -> list[Run]:
    """Runs of these experiments (or of a project); one more than `limit` when there are more.

    Newest start first unless told otherwise. Experiments that she does not see hold none.
    """
    query = select(RunRow).where(RunRow.lifecycle_stage.in_(stages))
    query = query.where(*SPACE.condition(filter_text))
    query = SPACE.order(query, order_by).order_by(RunRow.start_ms.desc(), RunRow.id)
    async with context.db.read() as session:
        if experiment_ids is not None:
            seen = await readable_experiments(context, session, principal, experiment_ids)
            query = query.where(RunRow.experiment_id.in_(seen))
        else:
            query = query.where(RunRow.project_id == project_id)
        rows = list(await session.scalars(query.limit(limit + 1).offset(offset)))
        return await with_details(session, rows)


async def readable_experiments(
    context: ServerContext, session: AsyncSession, principal: Principal, ids: Sequence[str]
) -> list[str]:
    """Those of the ids whose experiments she may read; `0` is the project's own "Default"."""
    if len(ids) > limits.MAX_ENTITIES_PER_BATCH:
        raise InvalidInput(
            f"at most {limits.MAX_ENTITIES_PER_BATCH} experiments can be searched at once; "
            f"got {len(ids)}"
        )
    readable = []
    if "0" in ids:
        try:
            default = await find_experiment(
                context, session, principal, "0", Permission.TRACKING_READ
            )
            readable.append(default.id)
        except NotFound:
            pass
    rows = await session.execute(
        select(ExperimentRow.id, ExperimentRow.project_id).where(ExperimentRow.id.in_(ids))
    )
    for experiment_id, project_id in rows:
        if principal.sees(project_id):
            principal.require(Permission.TRACKING_READ, project_id)
            readable.append(experiment_id)
    return readable


async def with_details(session: AsyncSession, rows: Sequence[RunRow]) -> list[Run]:
    """The runs with all that was logged to them, in the same order."""
    found = {row.id: Run(row) for row in rows}
    for ids in chunks(list(found)):
        for param in await session.scalars(select(RunParamRow).where(RunParamRow.run_id.in_(ids))):
            found[param.run_id].params[param.key] = param.value
        for tag in await session.scalars(select(RunTagRow).where(RunTagRow.run_id.in_(ids))):
            found[tag.run_id].tags[tag.key] = tag.value
        metrics = select(RunMetricRow).where(RunMetricRow.run_id.in_(ids))
        for metric in await session.scalars(metrics):
            found[metric.run_id].metrics.append(metric)
        for used in await session.scalars(select(RunInputRow).where(RunInputRow.run_id.in_(ids))):
            found[used.run_id].inputs.append(used)
        for model in await session.scalars(select(RunModelRow).where(RunModelRow.run_id.in_(ids))):
            found[model.run_id].models.append(model)
    return list(found.values())


async def write_tags(session: AsyncSession, row: RunRow, tags: dict[str, str]) -> None:
    """Set tags; the one that holds the run's name renames it."""
    if NAME_TAG in tags:
        row.name = tags[NAME_TAG]
    await _write_tags(session, row.id, tags)


async def _write_tags(session: AsyncSession, run_id: str, tags: dict[str, str]) -> None:
    values = [{"run_id": run_id, "key": key, "value": value} for key, value in tags.items()]
    await insert_or_update(session, RunTagRow, values, update=["value"])


def check_run_tag(key: str, value: str) -> str:
    """The value, cut to what MLflow keeps. Raises InvalidInput for a key that can't be."""
    limits.check_key(key, "tag")
    return limits.shorten(value, limits.MAX_TAG_LENGTH)


async def write_params(session: AsyncSession, run_id: str, params: dict[str, str]) -> None:
    """Log parameters: the same value again is fine, another one is an error (InvalidInput)."""
    values = [{"run_id": run_id, "key": key, "value": value} for key, value in params.items()]
    await insert_or_update(session, RunParamRow, values)
    stored = await session.execute(
        select(RunParamRow.key, RunParamRow.value).where(
            RunParamRow.run_id == run_id, RunParamRow.key.in_(params)
        )
    )
    for key, value in stored:
        if params[key] != value:
            raise InvalidInput(
                f"changing param values is not allowed: param with key={key!r} was already "
                f"logged with value={value!r} for run ID={run_id!r}, attempted logging new "
                f"value {params[key]!r}",
                hint="Use a run of its own (nested=True) for each set of parameters.",
            )


async def append_model_history(
    context: ServerContext, principal: Principal, run_id: str, model_json: str
) -> None:
    """Add what MLflow 2 says of a logged model to the tag where its clients look for it."""
    async with context.db.transaction() as session:
        row = await find_run(session, principal, run_id, Permission.TRACKING_WRITE, active=True)
        tag = await session.get(RunTagRow, (row.id, HISTORY_TAG))
        try:
            history = json.loads(tag.value) if tag else []
        except ValueError:
            history = []
        history = [*(history if isinstance(history, list) else []), json.loads(model_json)]
        await _write_tags(session, row.id, {HISTORY_TAG: json.dumps(history)})
