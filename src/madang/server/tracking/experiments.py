"""Experiments: named collections of runs, each in one project."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.clock import Clock
from madang.core.errors import Conflict, InvalidInput, NotFound
from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.tracking import limits
from madang.server.tracking.filters import SearchSpace
from madang.server.tracking.sql import chunks, insert_or_update
from madang.server.tracking.tables import ExperimentRow, ExperimentTagRow, RunRow

DEFAULT_NAME = "Default"
DEFAULT_ID = "0"
"""What MLflow's clients ask for when no experiment was named: each project has its own."""

ARTIFACT_SCHEME = "mlflow-artifacts:/"

SPACE = SearchSpace(
    row=ExperimentRow,
    texts={"name": ExperimentRow.name, "experiment_id": ExperimentRow.id},
    numbers={
        "creation_time": ExperimentRow.created_ms,
        "last_update_time": ExperimentRow.updated_ms,
    },
    keyed={"tag": ExperimentTagRow},
    owner="experiment_id",
    orderable=("name", "experiment_id", "creation_time", "last_update_time"),
)


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment with its tags."""

    row: ExperimentRow
    tags: dict[str, str] = field(default_factory=dict)


def now_ms(clock: Clock) -> int:
    return int(clock.now().timestamp() * 1000)


async def find_experiment(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    experiment_id: str,
    permission: Permission,
    *,
    make_default: bool = False,
) -> ExperimentRow:
    """The experiment with that id; `0` is the project's own "Default", made at first use when
    `make_default`. Raises NotFound for one that is not hers to see, Forbidden."""
    if experiment_id == DEFAULT_ID:
        project = await resolve_project(session, principal, None)
        query = select(ExperimentRow).where(
            ExperimentRow.project_id == project.id, ExperimentRow.name == DEFAULT_NAME
        )
        found = await session.scalar(query)
        if found is None and make_default:
            principal.require(permission, project.id)
            await insert_or_ignore_default(context, session, project.id)
            found = await session.scalar(query)
    else:
        found = await session.get(ExperimentRow, experiment_id)
    if found is None or not principal.sees(found.project_id):
        raise NotFound(f"no experiment with ID {experiment_id} exists, or none that you may see")
    principal.require(permission, found.project_id)
    return found


async def insert_or_ignore_default(
    context: ServerContext, session: AsyncSession, project_id: str
) -> None:
    """Make the project's "Default" unless somebody did in the meantime."""
    row = await _new_row(context, session, project_id, DEFAULT_NAME)
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return


async def create_experiment(
    context: ServerContext,
    principal: Principal,
    name: str,
    *,
    artifact_location: str | None = None,
    tags: dict[str, str] | None = None,
    project: str | None = None,
) -> ExperimentRow:
    """Make an experiment. Raises Conflict when the name is taken, by a deleted one too."""
    limits.check_experiment_name(name)
    if artifact_location:
        raise InvalidInput(
            f"artifacts can't be kept at {artifact_location!r}",
            field="artifact_location",
            hint="They are kept in the project's folder; leave artifact_location out.",
        )
    for key, value in (tags or {}).items():
        check_tag(key, value)
    try:
        async with context.db.transaction() as session:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.TRACKING_WRITE, found.id)
            row = await _new_row(context, session, found.id, name)
            session.add(row)
            await session.flush()
            await insert_or_update(
                session, ExperimentTagRow, _tag_values(row.id, tags or {}), update=["value"]
            )
    except IntegrityError:
        raise Conflict(
            f"experiment(name={name}) already exists",
            field="name",
            hint="It may have been deleted; then restore or rename it.",
        ) from None
    return row


async def get_experiment(
    context: ServerContext, principal: Principal, experiment_id: str
) -> Experiment:
    async with context.db.read() as session:
        try:
            row = await find_experiment(
                context, session, principal, experiment_id, Permission.TRACKING_READ
            )
            return (await with_tags(session, [row]))[0]
        except NotFound:
            if experiment_id != DEFAULT_ID:
                raise
    async with context.db.transaction() as session:
        row = await find_experiment(
            context, session, principal, DEFAULT_ID, Permission.TRACKING_WRITE, make_default=True
        )
        return Experiment(row)


async def get_experiment_by_name(
    context: ServerContext, principal: Principal, name: str, project: str | None = None
) -> Experiment:
    async with context.db.read() as session:
        found = await resolve_project(session, principal, project)
        principal.require(Permission.TRACKING_READ, found.id)
        row = await session.scalar(
            select(ExperimentRow).where(
                ExperimentRow.project_id == found.id, ExperimentRow.name == name
            )
        )
        if row is None:
            raise NotFound(f"could not find experiment with name {name!r}")
        return (await with_tags(session, [row]))[0]


async def search_experiments(
    context: ServerContext,
    principal: Principal,
    *,
    filter_text: str | None = None,
    order_by: Sequence[str] = (),
    stages: Sequence[str] = ("active",),
    limit: int,
    offset: int = 0,
    project: str | None = None,
) -> list[Experiment]:
    """One more than `limit` when there are more. Newest first unless told otherwise."""
    query = select(ExperimentRow).where(ExperimentRow.lifecycle_stage.in_(stages))
    query = query.where(*SPACE.condition(filter_text))
    query = SPACE.order(query, order_by).order_by(
        ExperimentRow.created_ms.desc(), ExperimentRow.id.desc()
    )
    async with context.db.read() as session:
        found = await resolve_project(session, principal, project)
        principal.require(Permission.TRACKING_READ, found.id)
        query = query.where(ExperimentRow.project_id == found.id)
        rows = list(await session.scalars(query.limit(limit + 1).offset(offset)))
        return await with_tags(session, rows)


async def rename_experiment(
    context: ServerContext, principal: Principal, experiment_id: str, new_name: str
) -> None:
    limits.check_experiment_name(new_name)
    try:
        async with context.db.transaction() as session:
            row = await find_experiment(
                context, session, principal, experiment_id, Permission.TRACKING_WRITE
            )
            if row.lifecycle_stage != "active":
                raise InvalidInput("cannot rename a non-active experiment")
            row.name, row.updated_ms = new_name, now_ms(context.clock)
    except IntegrityError:
        raise Conflict(f"experiment(name={new_name}) already exists", field="new_name") from None


async def set_experiment_stage(
    context: ServerContext, principal: Principal, experiment_id: str, stage: str
) -> None:
    """Delete (`deleted`) or restore (`active`) an experiment with its runs."""
    async with context.db.transaction() as session:
        row = await find_experiment(
            context, session, principal, experiment_id, Permission.TRACKING_WRITE
        )
        if row.lifecycle_stage == stage:
            raise NotFound(f"experiment {row.id} is {stage} already")
        row.lifecycle_stage, row.updated_ms = stage, now_ms(context.clock)
        await session.execute(
            update(RunRow).where(RunRow.experiment_id == row.id).values(lifecycle_stage=stage)
        )


async def set_experiment_tag(
    context: ServerContext, principal: Principal, experiment_id: str, key: str, value: str | None
) -> None:
    """Set a tag, or take it away (None)."""
    if value is not None:
        check_tag(key, value)
    async with context.db.transaction() as session:
        row = await find_experiment(
            context, session, principal, experiment_id, Permission.TRACKING_WRITE
        )
        if row.lifecycle_stage != "active":
            raise InvalidInput(f"the experiment {row.id} must be in the 'active' state")
        if value is not None:
            tags = _tag_values(row.id, {key: value})
            await insert_or_update(session, ExperimentTagRow, tags, update=["value"])
            return
        mine = (ExperimentTagRow.experiment_id == row.id, ExperimentTagRow.key == key)
        gone = await session.scalar(
            delete(ExperimentTagRow).where(*mine).returning(ExperimentTagRow.key)
        )
        if gone is None:
            raise NotFound(f"no tag with name {key!r} in experiment {row.id}")


async def with_tags(session: AsyncSession, rows: Sequence[ExperimentRow]) -> list[Experiment]:
    found = {row.id: Experiment(row) for row in rows}
    for ids in chunks(list(found)):
        query = select(ExperimentTagRow).where(ExperimentTagRow.experiment_id.in_(ids))
        for tag in await session.scalars(query):
            found[tag.experiment_id].tags[tag.key] = tag.value
    return list(found.values())


def check_tag(key: str, value: str) -> None:
    limits.check_key(key, "tag")
    limits.check_length(value, "tag value", limits.MAX_EXPERIMENT_TAG_LENGTH)


def _tag_values(experiment_id: str, tags: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"experiment_id": experiment_id, "key": key, "value": value} for key, value in tags.items()
    ]


async def _new_row(
    context: ServerContext, session: AsyncSession, project_id: str, name: str
) -> ExperimentRow:
    now = now_ms(context.clock)
    # MLflow's clients want digits, no more than a 64-bit number has. Milliseconds and chance:
    # unique over all projects, by age. Many in one millisecond may draw the same: then again.
    experiment_id = f"{now}{secrets.randbelow(100_000):05}"
    while await session.get(ExperimentRow, experiment_id) is not None:
        experiment_id = f"{now}{secrets.randbelow(100_000):05}"
    return ExperimentRow(
        id=experiment_id,
        project_id=project_id,
        name=name,
        artifact_location=f"{ARTIFACT_SCHEME}{experiment_id}",
        created_ms=now,
        updated_ms=now,
    )
