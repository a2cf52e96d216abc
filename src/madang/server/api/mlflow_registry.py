"""MLflow's protocol: registered models, their versions and aliases."""

from __future__ import annotations

from fastapi import APIRouter, Response

from madang.core.errors import InvalidInput
from madang.core.permissions import Permission
from madang.server.api import mlflow_messages as messages
from madang.server.api.deps import permit
from madang.server.api.mlflow_base import Call, Message, MlflowRoute, answer, page
from madang.server.tracking import models, versions

router = APIRouter(route_class=MlflowRoute)

READ = [permit(Permission.MODELS_READ)]
WRITE = [permit(Permission.MODELS_WRITE)]
MODELS, VERSIONS = "/registered-models", "/model-versions"


@router.post(f"{MODELS}/create", dependencies=WRITE)
async def create_model(call: Call) -> Response:
    found = await models.create_model(
        call.context,
        call.actor,
        call.message.text("name"),
        description=call.message.text_or_none("description"),
        tags=dict(call.message.pairs("tags")),
    )
    return answer({"registered_model": messages.registered_model(found)})


@router.get(f"{MODELS}/get", dependencies=READ)
async def get_model(call: Call) -> Response:
    found = await models.get_model(call.context, call.actor, call.message.text("name"))
    return answer({"registered_model": messages.registered_model(found)})


@router.get(f"{MODELS}/search", dependencies=READ)
async def search_models(call: Call) -> Response:
    limit, offset = call.message.limit(100, 1_000), call.message.offset()
    found = await models.search_models(
        call.context,
        call.actor,
        filter_text=call.message.text_or_none("filter"),
        order_by=call.message.texts("order_by"),
        limit=limit,
        offset=offset,
    )
    return page("registered_models", found, limit, offset, messages.registered_model)


@router.post(f"{MODELS}/rename", dependencies=WRITE)
async def rename_model(call: Call) -> Response:
    found = await models.update_model(
        call.context,
        call.actor,
        call.message.text("name"),
        new_name=call.message.text("new_name"),
    )
    return answer({"registered_model": messages.registered_model(found)})


@router.patch(f"{MODELS}/update", dependencies=WRITE)
async def update_model(call: Call) -> Response:
    found = await models.update_model(
        call.context,
        call.actor,
        call.message.text("name"),
        description=call.message.text_or_empty("description"),
    )
    return answer({"registered_model": messages.registered_model(found)})


@router.delete(f"{MODELS}/delete", dependencies=WRITE)
async def delete_model(call: Call) -> Response:
    await models.delete_model(call.context, call.actor, call.message.text("name"))
    return answer({})


@router.get(f"{MODELS}/get-latest-versions", dependencies=READ)
@router.post(f"{MODELS}/get-latest-versions", dependencies=READ)
async def get_latest_versions(call: Call) -> Response:
    found = await models.get_model(call.context, call.actor, call.message.text("name"))
    stages = [versions.canonical_stage(stage) for stage in call.message.texts("stages")]
    latest = [item for item in found.latest if not stages or item.row.stage in stages]
    return answer({"model_versions": [messages.model_version(item) for item in latest]})


@router.post(f"{MODELS}/set-tag", dependencies=WRITE)
async def set_model_tag(call: Call) -> Response:
    await models.set_model_tag(
        call.context,
        call.actor,
        call.message.text("name"),
        call.message.text("key"),
        call.message.text_or_empty("value"),
    )
    return answer({})


@router.delete(f"{MODELS}/delete-tag", dependencies=WRITE)
async def delete_model_tag(call: Call) -> Response:
    await models.set_model_tag(
        call.context, call.actor, call.message.text("name"), call.message.text("key"), None
    )
    return answer({})


@router.post(f"{MODELS}/alias", dependencies=WRITE)
async def set_alias(call: Call) -> Response:
    await versions.set_alias(
        call.context,
        call.actor,
        call.message.text("name"),
        call.message.text("alias"),
        _version(call.message),
    )
    return answer({})


@router.delete(f"{MODELS}/alias", dependencies=WRITE)
async def delete_alias(call: Call) -> Response:
    await versions.set_alias(
        call.context, call.actor, call.message.text("name"), call.message.text("alias"), None
    )
    return answer({})


@router.get(f"{MODELS}/alias", dependencies=READ)
async def get_version_by_alias(call: Call) -> Response:
    found = await versions.get_by_alias(
        call.context, call.actor, call.message.text("name"), call.message.text("alias")
    )
    return answer({"model_version": messages.model_version(found)})


@router.post(f"{VERSIONS}/create", dependencies=WRITE)
async def create_version(call: Call) -> Response:
    found = await versions.create_version(
        call.context,
        call.actor,
        call.message.text("name"),
        call.message.text("source"),
        run_id=call.message.text_or_none("run_id") or None,
        run_link=call.message.text_or_none("run_link") or None,
        logged_model_id=call.message.text_or_none("model_id") or None,
        description=call.message.text_or_none("description"),
        tags=dict(call.message.pairs("tags")),
    )
    return answer({"model_version": messages.model_version(found)})


@router.get(f"{VERSIONS}/get", dependencies=READ)
async def get_version(call: Call) -> Response:
    found = await versions.get_version(
        call.context, call.actor, call.message.text("name"), _version(call.message)
    )
    return answer({"model_version": messages.model_version(found)})


@router.patch(f"{VERSIONS}/update", dependencies=WRITE)
async def update_version(call: Call) -> Response:
    found = await versions.update_version(
        call.context,
        call.actor,
        call.message.text("name"),
        _version(call.message),
        description=call.message.text_or_empty("description"),
    )
    return answer({"model_version": messages.model_version(found)})


@router.post(f"{VERSIONS}/transition-stage", dependencies=WRITE)
async def transition_stage(call: Call) -> Response:
    found = await versions.update_version(
        call.context,
        call.actor,
        call.message.text("name"),
        _version(call.message),
        stage=call.message.text("stage"),
        archive_existing=call.message.flag("archive_existing_versions"),
    )
    return answer({"model_version": messages.model_version(found)})


@router.delete(f"{VERSIONS}/delete", dependencies=WRITE)
async def delete_version(call: Call) -> Response:
    await versions.delete_version(
        call.context, call.actor, call.message.text("name"), _version(call.message)
    )
    return answer({})


@router.get(f"{VERSIONS}/search", dependencies=READ)
async def search_versions(call: Call) -> Response:
    limit, offset = call.message.limit(10_000, 200_000), call.message.offset()
    found = await versions.search_versions(
        call.context,
        call.actor,
        filter_text=call.message.text_or_none("filter"),
        order_by=call.message.texts("order_by"),
        limit=limit,
        offset=offset,
    )
    return page("model_versions", found, limit, offset, messages.model_version)


@router.get(f"{VERSIONS}/get-download-uri", dependencies=READ)
async def get_download_uri(call: Call) -> Response:
    found = await versions.get_version(
        call.context, call.actor, call.message.text("name"), _version(call.message)
    )
    return answer({"artifact_uri": versions.download_uri(found.row)})


@router.post(f"{VERSIONS}/set-tag", dependencies=WRITE)
async def set_version_tag(call: Call) -> Response:
    await versions.set_version_tag(
        call.context,
        call.actor,
        call.message.text("name"),
        _version(call.message),
        call.message.text("key"),
        call.message.text_or_empty("value"),
    )
    return answer({})


@router.delete(f"{VERSIONS}/delete-tag", dependencies=WRITE)
async def delete_version_tag(call: Call) -> Response:
    await versions.set_version_tag(
        call.context,
        call.actor,
        call.message.text("name"),
        _version(call.message),
        call.message.text("key"),
        None,
    )
    return answer({})


def _version(message: Message) -> int:
    version = message.integer("version")
    if version is None:
        raise InvalidInput("missing value for required parameter 'version'", field="version")
    return version
