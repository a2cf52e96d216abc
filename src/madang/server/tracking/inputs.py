"""What a run read and made, as MLflow knows it: data sets and logged models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput, NotFound
from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.tracking import limits
from madang.server.tracking.runs import find_run
from madang.server.tracking.sql import insert_or_update
from madang.server.tracking.tables import LoggedModelRow, RunInputRow, RunModelRow, RunRow

CONTEXT_TAG = "mlflow.data.context"


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A data set in MLflow's words; `schema` and `profile` are JSON texts."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str = ""
    profile: str = ""
    tags: dict[str, str] = field(default_factory=dict)


async def log_inputs(
    context: ServerContext,
    principal: Principal,
    run_id: str,
    datasets: Sequence[DatasetInput],
    model_ids: Sequence[str] = (),
) -> None:
    """Record what a run reads; safe to repeat."""
    if len(datasets) + len(model_ids) > limits.MAX_INPUTS_PER_BATCH:
        raise InvalidInput(f"at most {limits.MAX_INPUTS_PER_BATCH} inputs can be logged at once")
    values = {}
    for dataset in datasets:
        _check_dataset(dataset)
        values[dataset.name, dataset.digest] = {
            "run_id": run_id,
            "name": dataset.name,
            "digest": dataset.digest,
            "context": dataset.tags.get(CONTEXT_TAG),
            "dataset": {
                "source_type": dataset.source_type,
                "source": dataset.source,
                "schema": dataset.schema,
                "profile": dataset.profile,
            },
            "tags": dataset.tags,
        }
    async with context.db.transaction() as session:
        run = await find_run(session, principal, run_id, Permission.TRACKING_WRITE, active=True)
        await insert_or_update(session, RunInputRow, list(values.values()))
        await _link_models(session, run, {model_id: 0 for model_id in model_ids}, "input")


async def log_outputs(
    context: ServerContext, principal: Principal, run_id: str, models: Sequence[tuple[str, int]]
) -> None:
    """Record the logged models `(id, step)` that a run made; safe to repeat."""
    async with context.db.transaction() as session:
        run = await find_run(session, principal, run_id, Permission.TRACKING_WRITE, active=True)
        await _link_models(session, run, dict(models), "output")


async def _link_models(
    session: AsyncSession, run: RunRow, steps: dict[str, int], direction: str
) -> None:
    if not steps:
        return
    known = await session.scalars(
        select(LoggedModelRow.id).where(
            LoggedModelRow.id.in_(steps), LoggedModelRow.project_id == run.project_id
        )
    )
    if missing := steps.keys() - set(known):
        raise NotFound(f"logged model with ID {sorted(missing)[0]!r} not found")
    values = [
        {"run_id": run.id, "model_id": model_id, "direction": direction, "step": step}
        for model_id, step in steps.items()
    ]
    await insert_or_update(session, RunModelRow, values, update=["step"])


def _check_dataset(dataset: DatasetInput) -> None:
    if not dataset.name or not dataset.digest:
        raise InvalidInput("a dataset needs a name and a digest")
    limits.check_length(dataset.name, "dataset name", limits.MAX_DATASET_NAME_LENGTH)
    limits.check_length(dataset.digest, "dataset digest", limits.MAX_DATASET_DIGEST_LENGTH)
    limits.check_length(dataset.source, "dataset source", limits.MAX_DATASET_SOURCE_LENGTH)
    limits.check_length(dataset.schema, "dataset schema", limits.MAX_DATASET_SCHEMA_LENGTH)
    limits.check_length(dataset.profile, "dataset profile", limits.MAX_DATASET_PROFILE_LENGTH)
    for key, value in dataset.tags.items():
        limits.check_length(key, "input tag key", limits.MAX_INPUT_TAG_KEY_LENGTH)
        limits.check_length(value, "input tag value", limits.MAX_INPUT_TAG_LENGTH)
