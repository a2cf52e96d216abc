"""MLflow's protocol: the logged models of MLflow 3."""

from __future__ import annotations

from fastapi import APIRouter, Response

from madang.core.permissions import Permission
from madang.server.api import mlflow_messages as messages
from madang.server.api.deps import permit
from madang.server.api.mlflow_base import Call, Message, MlflowRoute, answer, page
from madang.server.tracking import artifacts, experiments, logged_models

router = APIRouter(route_class=MlflowRoute, prefix="/logged-models")

READ = [permit(Permission.TRACKING_READ)]
WRITE = [permit(Permission.TRACKING_WRITE)]
STATUS_NUMBERS = {1: logged_models.PENDING, 2: logged_models.READY, 3: logged_models.FAILED}


@router.post("", dependencies=WRITE)
async def create_logged_model(call: Call) -> Response:
    found = await logged_models.create_logged_model(
        call.context,
        call.actor,
        call.message.text_or_none("experiment_id") or experiments.DEFAULT_ID,
        name=call.message.text_or_none("name"),
        model_type=call.message.text_or_none("model_type"),
        source_run_id=call.message.text_or_none("source_run_id"),
        params=dict(call.message.pairs("params")),
        tags=dict(call.message.pairs("tags")),
    )
    return answer({"model": messages.logged_model(found)})


@router.post("/search", dependencies=READ)
async def search_logged_models(call: Call) -> Response:
    limit, offset = call.message.limit(100, 1_000), call.message.offset()
    found = await logged_models.search_logged_models(
        call.context,
        call.actor,
        call.message.texts("experiment_ids"),
        filter_text=call.message.text_or_none("filter"),
        datasets=[
            (item.text("dataset_name"), item.text_or_empty("dataset_digest"))
            for item in call.message.messages("datasets")
        ],
        order_by=[_order(item) for item in call.message.messages("order_by")],
        limit=limit,
        offset=offset,
    )
    return page("models", found, limit, offset, messages.logged_model)


@router.get("/{model_id}", dependencies=READ)
async def get_logged_model(model_id: str, call: Call) -> Response:
    found = await logged_models.get_logged_model(call.context, call.actor, model_id)
    return answer({"model": messages.logged_model(found)})


@router.patch("/{model_id}", dependencies=WRITE)
async def finalize_logged_model(model_id: str, call: Call) -> Response:
    status = call.message.enum("status", STATUS_NUMBERS) or ""
    found = await logged_models.finalize_logged_model(call.context, call.actor, model_id, status)
    return answer({"model": messages.logged_model(found)})


@router.delete("/{model_id}", dependencies=WRITE)
async def delete_logged_model(model_id: str, call: Call) -> Response:
    await logged_models.delete_logged_model(call.context, call.actor, model_id)
    return answer({})


@router.patch("/{model_id}/tags", dependencies=WRITE)
async def set_logged_model_tags(model_id: str, call: Call) -> Response:
    found = await logged_models.set_logged_model_tags(
        call.context, call.actor, model_id, dict(call.message.pairs("tags"))
    )
    return answer({"model": messages.logged_model(found)})


@router.delete("/{model_id}/tags/{tag_key:path}", dependencies=WRITE)
async def delete_logged_model_tag(model_id: str, tag_key: str, call: Call) -> Response:
    await logged_models.delete_logged_model_tag(call.context, call.actor, model_id, tag_key)
    return answer({})


@router.post("/{model_id}/params", dependencies=WRITE)
async def log_logged_model_params(model_id: str, call: Call) -> Response:
    await logged_models.log_params(
        call.context, call.actor, model_id, dict(call.message.pairs("params"))
    )
    return answer({})


@router.get("/{model_id}/artifacts/directories", dependencies=READ)
async def list_logged_model_artifacts(model_id: str, call: Call) -> Response:
    found = await logged_models.get_logged_model(call.context, call.actor, model_id)
    folder = (call.message.text_or_none("artifact_directory_path") or "").strip("/")
    root = found.row.artifact_uri.removeprefix(experiments.ARTIFACT_SCHEME)
    entries = await artifacts.list_artifacts(call.context, call.actor, f"{root}/{folder}")
    return answer(
        {"root_uri": found.row.artifact_uri, "files": messages.files(entries, folder)},
    )


def _order(message: Message) -> str:
    """`{"field_name": "metrics.loss", "ascending": false}` as an order_by clause."""
    entity, dot, key = message.text("field_name").partition(".")
    field = f"{entity}.`{key.strip('`')}`" if dot else f"`{entity}`"
    return f"{field} {'ASC' if message.flag('ascending', default=True) else 'DESC'}"
