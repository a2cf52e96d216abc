"""MLflow's protocol: experiments, runs, what is logged to them."""

from __future__ import annotations

import json

from fastapi import APIRouter, Response

from madang.core.errors import InvalidInput
from madang.core.permissions import Permission
from madang.server.api import mlflow_messages as messages
from madang.server.api.deps import permit
from madang.server.api.mlflow_base import (
    Call,
    Message,
    MlflowRoute,
    answer,
    page,
    read_token,
    write_token,
)
from madang.server.tracking import artifacts, experiments, inputs, metrics, runs

router = APIRouter(route_class=MlflowRoute)

READ = [permit(Permission.TRACKING_READ)]
WRITE = [permit(Permission.TRACKING_WRITE)]
RUN_STATUS_NUMBERS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
MAX_RESULTS = 50_000


@router.post("/experiments/create", dependencies=WRITE)
async def create_experiment(call: Call) -> Response:
    row = await experiments.create_experiment(
        call.context,
        call.actor,
        call.message.text("name"),
        artifact_location=call.message.text_or_none("artifact_location"),
        tags=dict(call.message.pairs("tags")),
    )
    return answer({"experiment_id": row.id})


@router.get("/experiments/get", dependencies=READ)
async def get_experiment(call: Call) -> Response:
    found = await experiments.get_experiment(
        call.context, call.actor, call.message.text("experiment_id")
    )
    return answer({"experiment": messages.experiment(found)})


@router.get("/experiments/get-by-name", dependencies=READ)
async def get_experiment_by_name(call: Call) -> Response:
    found = await experiments.get_experiment_by_name(
        call.context, call.actor, call.message.text("experiment_name")
    )
    return answer({"experiment": messages.experiment(found)})


@router.get("/experiments/search", dependencies=READ)
@router.post("/experiments/search", dependencies=READ)
async def search_experiments(call: Call) -> Response:
    limit, offset = call.message.limit(1_000, MAX_RESULTS), call.message.offset()
    found = await experiments.search_experiments(
        call.context,
        call.actor,
        filter_text=call.message.text_or_none("filter"),
        order_by=call.message.texts("order_by"),
        stages=call.message.stages("view_type"),
        limit=limit,
        offset=offset,
    )
    return page("experiments", found, limit, offset, messages.experiment)


@router.post("/experiments/update", dependencies=WRITE)
async def update_experiment(call: Call) -> Response:
    if new_name := call.message.text_or_none("new_name"):
        await experiments.rename_experiment(
            call.context, call.actor, call.message.text("experiment_id"), new_name
        )
    return answer({})


@router.post("/experiments/delete", dependencies=WRITE)
async def delete_experiment(call: Call) -> Response:
    await experiments.set_experiment_stage(
        call.context, call.actor, call.message.text("experiment_id"), "deleted"
    )
    return answer({})


@router.post("/experiments/restore", dependencies=WRITE)
async def restore_experiment(call: Call) -> Response:
    await experiments.set_experiment_stage(
        call.context, call.actor, call.message.text("experiment_id"), "active"
    )
    return answer({})


@router.post("/experiments/set-experiment-tag", dependencies=WRITE)
async def set_experiment_tag(call: Call) -> Response:
    await experiments.set_experiment_tag(
        call.context,
        call.actor,
        call.message.text("experiment_id"),
        call.message.text("key"),
        call.message.text_or_empty("value"),
    )
    return answer({})


@router.post("/experiments/delete-experiment-tag", dependencies=WRITE)
async def delete_experiment_tag(call: Call) -> Response:
    await experiments.set_experiment_tag(
        call.context,
        call.actor,
        call.message.text("experiment_id"),
        call.message.text("key"),
        None,
    )
    return answer({})


@router.post("/runs/create", dependencies=WRITE)
async def create_run(call: Call) -> Response:
    found = await runs.create_run(
        call.context,
        call.actor,
        call.message.text_or_none("experiment_id") or experiments.DEFAULT_ID,
        name=call.message.text_or_none("run_name"),
        start_ms=call.message.integer("start_time"),
        tags=dict(call.message.pairs("tags")),
    )
    return answer({"run": messages.run(found)})


@router.get("/runs/get", dependencies=READ)
async def get_run(call: Call) -> Response:
    found = await runs.get_run(call.context, call.actor, _run_id(call.message))
    return answer({"run": messages.run(found)})


@router.post("/runs/update", dependencies=WRITE)
async def update_run(call: Call) -> Response:
    row = await runs.update_run(
        call.context,
        call.actor,
        _run_id(call.message),
        status=call.message.enum("status", RUN_STATUS_NUMBERS),
        end_ms=call.message.integer("end_time"),
        name=call.message.text_or_none("run_name"),
    )
    return answer({"run_info": messages.run_info(row)})


@router.post("/runs/delete", dependencies=WRITE)
async def delete_run(call: Call) -> Response:
    await runs.set_run_stage(call.context, call.actor, _run_id(call.message), "deleted")
    return answer({})


@router.post("/runs/restore", dependencies=WRITE)
async def restore_run(call: Call) -> Response:
    await runs.set_run_stage(call.context, call.actor, _run_id(call.message), "active")
    return answer({})


@router.post("/runs/search", dependencies=READ)
async def search_runs(call: Call) -> Response:
    limit, offset = call.message.limit(1_000, MAX_RESULTS), call.message.offset()
    found = await runs.search_runs(
        call.context,
        call.actor,
        experiment_ids=call.message.texts("experiment_ids"),
        filter_text=call.message.text_or_none("filter"),
        order_by=call.message.texts("order_by"),
        stages=call.message.stages("run_view_type"),
        limit=limit,
        offset=offset,
    )
    return page("runs", found, limit, offset, messages.run)


@router.post("/runs/log-metric", dependencies=WRITE)
async def log_metric(call: Call) -> Response:
    await metrics.log_batch(
        call.context, call.actor, _run_id(call.message), metrics=[_point(call.message)]
    )
    return answer({})


@router.post("/runs/log-parameter", dependencies=WRITE)
async def log_parameter(call: Call) -> Response:
    param = (call.message.text("key"), call.message.text_or_empty("value"))
    await metrics.log_batch(call.context, call.actor, _run_id(call.message), params=[param])
    return answer({})


@router.post("/runs/set-tag", dependencies=WRITE)
async def set_tag(call: Call) -> Response:
    tag = (call.message.text("key"), call.message.text_or_empty("value"))
    await metrics.log_batch(call.context, call.actor, _run_id(call.message), tags=[tag])
    return answer({})


@router.post("/runs/delete-tag", dependencies=WRITE)
async def delete_tag(call: Call) -> Response:
    await runs.delete_tag(
        call.context, call.actor, _run_id(call.message), call.message.text("key")
    )
    return answer({})


@router.post("/runs/log-batch", dependencies=WRITE)
async def log_batch(call: Call) -> Response:
    await metrics.log_batch(
        call.context,
        call.actor,
        _run_id(call.message),
        metrics=[_point(item) for item in call.message.messages("metrics")],
        params=call.message.pairs("params"),
        tags=call.message.pairs("tags"),
    )
    return answer({})


@router.post("/runs/log-model", dependencies=WRITE)
async def log_model(call: Call) -> Response:
    """What MLflow 2 sent with a model: kept in the tag in which its clients look for it."""
    try:
        json.loads(call.message.text("model_json"))
    except ValueError:
        raise InvalidInput("malformed model info: model_json is not valid JSON") from None
    await runs.append_model_history(
        call.context, call.actor, _run_id(call.message), call.message.text("model_json")
    )
    return answer({})


@router.post("/runs/log-inputs", dependencies=WRITE)
async def log_inputs(call: Call) -> Response:
    await inputs.log_inputs(
        call.context,
        call.actor,
        _run_id(call.message),
        [_dataset(item) for item in call.message.messages("datasets")],
        [item.text("model_id") for item in call.message.messages("models")],
    )
    return answer({})


@router.post("/runs/outputs", dependencies=WRITE)
async def log_outputs(call: Call) -> Response:
    await inputs.log_outputs(
        call.context,
        call.actor,
        _run_id(call.message),
        [
            (item.text("model_id"), item.integer("step") or 0)
            for item in call.message.messages("models")
        ],
    )
    return answer({})


@router.get("/metrics/get-history", dependencies=READ)
async def get_metric_history(call: Call) -> Response:
    token = call.message.text_or_none("page_token")
    history = await metrics.metric_history(
        call.context,
        call.actor,
        _run_id(call.message),
        call.message.text("metric_key"),
        limit=call.message.limit(metrics.MAX_HISTORY_PAGE, MAX_RESULTS),
        after=metrics.read_position(read_token(token)) if token else None,
    )
    next_position = history.next_position
    return answer(
        {
            "metrics": [messages.metric(row) for row in history.points],
            "next_page_token": write_token(next_position) if next_position else None,
        }
    )


@router.get("/metrics/get-history-bulk-interval", dependencies=READ)
async def get_metric_history_bulk_interval(call: Call) -> Response:
    run_ids = call.message.texts("run_ids")
    if not 0 < len(run_ids) <= 100:
        raise InvalidInput("give 1 to 100 run_ids", field="run_ids")
    points = await metrics.metric_history_interval(
        call.context,
        call.actor,
        run_ids,
        call.message.text("metric_key"),
        start_step=call.message.integer("start_step"),
        end_step=call.message.integer("end_step"),
        limit=call.message.limit(320, 2_500),
    )
    return answer({"metrics": [messages.run_metric(row) for row in points]})


@router.get("/artifacts/list", dependencies=READ)
async def list_artifacts(call: Call) -> Response:
    found = await runs.get_run(call.context, call.actor, _run_id(call.message))
    path = (call.message.text_or_none("path") or "").strip("/")
    root = found.artifact_uri.removeprefix(experiments.ARTIFACT_SCHEME)
    entries = await artifacts.list_artifacts(call.context, call.actor, f"{root}/{path}")
    return answer(
        {"root_uri": found.artifact_uri, "files": messages.files(entries, path)},
    )


def _run_id(message: Message) -> str:
    return message.text("run_id", "run_uuid")


def _point(message: Message) -> metrics.Point:
    timestamp_ms = message.integer("timestamp")
    if timestamp_ms is None:
        raise InvalidInput("missing value for required parameter 'timestamp'", field="timestamp")
    return metrics.Point(
        message.text("key"),
        message.number("value"),
        timestamp_ms,
        message.integer("step") or 0,
        message.text_or_empty("model_id"),
        message.text_or_empty("dataset_name"),
        message.text_or_empty("dataset_digest"),
    )


def _dataset(message: Message) -> inputs.DatasetInput:
    dataset = message.message("dataset")
    return inputs.DatasetInput(
        dataset.text("name"),
        dataset.text("digest"),
        dataset.text_or_empty("source_type"),
        dataset.text_or_empty("source"),
        dataset.text_or_empty("schema"),
        dataset.text_or_empty("profile"),
        dict(message.pairs("tags")),
    )
