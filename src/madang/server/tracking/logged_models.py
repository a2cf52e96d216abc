"""Logged models: what MLflow 3 makes of `log_model`, with an id (`m-…`) of its own."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput, NotFound
from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.tracking import limits
from madang.server.tracking.experiments import find_experiment, now_ms
from madang.server.tracking.filters import SearchSpace
from madang.server.tracking.runs import USER_TAG, find_run, readable_experiments
from madang.server.tracking.sql import chunks, insert_or_update
from madang.server.tracking.tables import (
    LoggedModelMetricRow,
    LoggedModelParamRow,
    LoggedModelRow,
    LoggedModelTagRow,
    ModelVersionRow,
)

PENDING, READY, FAILED = (
    "LOGGED_MODEL_PENDING",
    "LOGGED_MODEL_READY",
    "LOGGED_MODEL_UPLOAD_FAILED",
)

SPACE = SearchSpace(
    row=LoggedModelRow,
    texts={
        "name": LoggedModelRow.name,
        "model_id": LoggedModelRow.id,
        "model_type": LoggedModelRow.model_type,
        "status": LoggedModelRow.status,
        "source_run_id": LoggedModelRow.source_run_id,
    },
    numbers={
        "creation_timestamp": LoggedModelRow.created_ms,
        "creation_time": LoggedModelRow.created_ms,
        "last_updated_timestamp": LoggedModelRow.updated_ms,
        "last_updated_time": LoggedModelRow.updated_ms,
    },
    keyed={
        "metric": LoggedModelMetricRow,
        "parameter": LoggedModelParamRow,
        "tag": LoggedModelTagRow,
    },
    owner="model_id",
    orderable=(
        *("name", "model_id", "model_type", "status", "source_run_id"),
        *("creation_timestamp", "creation_time"),
        *("last_updated_timestamp", "last_updated_time"),
    ),
)


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A logged model with its parameters, tags, metrics and the versions made of it."""

    row: LoggedModelRow
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: list[LoggedModelMetricRow] = field(default_factory=list)
    versions: list[ModelVersionRow] = field(default_factory=list)


async def find_logged_model(
    session: AsyncSession,
    principal: Principal,
    model_id: str,
    permission: Permission = Permission.TRACKING_READ,
) -> LoggedModelRow:
    """Raises NotFound for one that is deleted or not hers to see, Forbidden."""
    row = await session.get(LoggedModelRow, model_id)
    if row is None or row.lifecycle_stage != "active" or not principal.sees(row.project_id):
        raise NotFound(f"logged model with ID {model_id!r} not found")
    principal.require(permission, row.project_id)
    return row


async def create_logged_model(
    context: ServerContext,
    principal: Principal,
    experiment_id: str,
    *,
    name: str | None = None,
    model_type: str | None = None,
    source_run_id: str | None = None,
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> LoggedModel:
    """Make a logged model; its files come next, then `finalize`."""
    model_id = f"m-{uuid.uuid4().hex}"
    name = limits.check_logged_model_name(name) if name else f"model-{model_id[2:10]}"
    params, tags = check_params(params or {}), check_tags(tags or {}) | {USER_TAG: principal.name}
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
        if source_run_id:
            run = await find_run(session, principal, source_run_id, active=True)
            if run.project_id != experiment.project_id:
                raise InvalidInput(f"run {source_run_id} is not of this project")
        now = now_ms(context.clock)
        row = LoggedModelRow(
            id=model_id,
            project_id=experiment.project_id,
            experiment_id=experiment.id,
            name=name,
            artifact_uri=f"mlflow-artifacts:/{experiment.id}/models/{model_id}/artifacts",
            created_ms=now,
            updated_ms=now,
            status=PENDING,
            source_run_id=source_run_id or None,
            model_type=model_type or None,
        )
        session.add(row)
        await session.flush()
        await insert_or_update(session, LoggedModelParamRow, _pairs(row.id, params))
        await write_tags(session, row.id, tags)
    return LoggedModel(row, params, tags)


async def get_logged_model(
    context: ServerContext, principal: Principal, model_id: str
) -> LoggedModel:
    async with context.db.read() as session:
        row = await find_logged_model(session, principal, model_id)
        return (await _with_details(session, [row]))[0]


async def finalize_logged_model(
    context: ServerContext, principal: Principal, model_id: str, status: str
) -> LoggedModel:
    """Say how its upload ended: READY or FAILED."""
    if status not in (READY, FAILED):
        raise InvalidInput(f"invalid model status {status!r}", hint=f"Use {READY} or {FAILED}.")
    async with context.db.transaction() as session:
        row = await find_logged_model(session, principal, model_id, Permission.TRACKING_WRITE)
        row.status, row.updated_ms = status, now_ms(context.clock)
        return (await _with_details(session, [row]))[0]


async def delete_logged_model(context: ServerContext, principal: Principal, model_id: str) -> None:
    """Mark it deleted; its files stay, for the versions that were made of it."""
    async with context.db.transaction() as session:
        row = await find_logged_model(session, principal, model_id, Permission.TRACKING_WRITE)
        row.lifecycle_stage, row.updated_ms = "deleted", now_ms(context.clock)


async def set_logged_model_tags(
    context: ServerContext, principal: Principal, model_id: str, tags: dict[str, str]
) -> LoggedModel:
    check_tags(tags)
    async with context.db.transaction() as session:
        row = await find_logged_model(session, principal, model_id, Permission.TRACKING_WRITE)
        await write_tags(session, row.id, tags)
        return (await _with_details(session, [row]))[0]


async def delete_logged_model_tag(
    context: ServerContext, principal: Principal, model_id: str, key: str
) -> None:
    async with context.db.transaction() as session:
        row = await find_logged_model(session, principal, model_id, Permission.TRACKING_WRITE)
        mine = (LoggedModelTagRow.model_id == row.id, LoggedModelTagRow.key == key)
        gone = await session.scalar(
            delete(LoggedModelTagRow).where(*mine).returning(LoggedModelTagRow.key)
        )
        if gone is None:
            raise NotFound(f"no tag with key {key!r} on logged model {model_id!r}")


async def log_params(
    context: ServerContext, principal: Principal, model_id: str, params: dict[str, str]
) -> None:
    """Add parameters; those that are there already stay as they are."""
    check_params(params)
    async with context.db.transaction() as session:
        row = await find_logged_model(session, principal, model_id, Permission.TRACKING_WRITE)
        await insert_or_update(session, LoggedModelParamRow, _pairs(row.id, params))


async def search_logged_models(
    context: ServerContext,
    principal: Principal,
    experiment_ids: Sequence[str],
    *,
    filter_text: str | None = None,
    datasets: Sequence[tuple[str, str]] = (),
    order_by: Sequence[str] = (),
    limit: int,
    offset: int = 0,
) -> list[LoggedModel]:
    """One more than `limit` when there are more; newest first unless told otherwise.

    `datasets` are `(name, digest or "")`: only models that were measured on one of them.
    """
    query = select(LoggedModelRow).where(LoggedModelRow.lifecycle_stage == "active")
    query = query.where(*SPACE.condition(filter_text))
    if datasets:
        query = query.where(_measured_on(datasets))
    query = SPACE.order(query, order_by).order_by(
        LoggedModelRow.created_ms.desc(), LoggedModelRow.id
    )
    async with context.db.read() as session:
        seen = await readable_experiments(context, session, principal, experiment_ids)
        query = query.where(LoggedModelRow.experiment_id.in_(seen))
        rows = list(await session.scalars(query.limit(limit + 1).offset(offset)))
        return await _with_details(session, rows)


async def write_tags(session: AsyncSession, model_id: str, tags: dict[str, str]) -> None:
    await insert_or_update(session, LoggedModelTagRow, _pairs(model_id, tags), update=["value"])


def check_params(params: dict[str, str]) -> dict[str, str]:
    for key, value in params.items():
        limits.check_key(key, "param")
        limits.check_length(value, "param value", limits.MAX_PARAM_LENGTH)
    return params


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    for key, value in tags.items():
        limits.check_key(key, "tag")
        limits.check_length(value, "tag value", limits.MAX_REGISTRY_TAG_LENGTH)
    return tags


def _measured_on(datasets: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    metric = LoggedModelMetricRow
    wanted = [
        and_(metric.dataset_name == name, metric.dataset_digest == digest)
        if digest
        else metric.dataset_name == name
        for name, digest in datasets
    ]
    return exists().where(metric.model_id == LoggedModelRow.id, or_(*wanted))


def _pairs(model_id: str, values: dict[str, str]) -> list[dict[str, str]]:
    return [{"model_id": model_id, "key": key, "value": value} for key, value in values.items()]


async def _with_details(
    session: AsyncSession, rows: Sequence[LoggedModelRow]
) -> list[LoggedModel]:
    found = {row.id: LoggedModel(row) for row in rows}
    for ids in chunks(list(found)):
        param, tag = LoggedModelParamRow, LoggedModelTagRow
        metric, version = LoggedModelMetricRow, ModelVersionRow
        for pair in await session.scalars(select(param).where(param.model_id.in_(ids))):
            found[pair.model_id].params[pair.key] = pair.value
        for label in await session.scalars(select(tag).where(tag.model_id.in_(ids))):
            found[label.model_id].tags[label.key] = label.value
        for value in await session.scalars(select(metric).where(metric.model_id.in_(ids))):
            found[value.model_id].metrics.append(value)
        made = select(version).where(version.logged_model_id.in_(ids)).order_by(version.id)
        for row in await session.scalars(made):
            assert row.logged_model_id
            found[row.logged_model_id].versions.append(row)
    return list(found.values())
