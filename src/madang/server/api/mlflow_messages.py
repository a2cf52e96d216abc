"""Rows as MLflow's messages (service.proto, model_registry.proto) in protobuf's JSON."""

from __future__ import annotations

from typing import Any

from madang.server.api.mlflow_base import number_json
from madang.server.tracking.artifacts import ArtifactEntry
from madang.server.tracking.experiments import Experiment
from madang.server.tracking.logged_models import LoggedModel
from madang.server.tracking.metrics import number_of
from madang.server.tracking.models import RegisteredModel, VersionDetails
from madang.server.tracking.runs import Run, artifact_uri
from madang.server.tracking.tables import (
    LoggedModelMetricRow,
    MetricPointRow,
    RunInputRow,
    RunMetricRow,
    RunRow,
)

Json = dict[str, Any]


def pairs(values: dict[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in values.items()]


def experiment(found: Experiment) -> Json:
    row = found.row
    return {
        "experiment_id": row.id,
        "name": row.name,
        "artifact_location": row.artifact_location,
        "lifecycle_stage": row.lifecycle_stage,
        "creation_time": row.created_ms,
        "last_update_time": row.updated_ms,
        "tags": pairs(found.tags),
    }


def run_info(row: RunRow) -> Json:
    info = {
        "run_id": row.id,
        "run_uuid": row.id,
        "run_name": row.name,
        "experiment_id": row.experiment_id,
        "user_id": row.user_name,
        "status": row.status,
        "start_time": row.start_ms,
        "artifact_uri": artifact_uri(row),
        "lifecycle_stage": row.lifecycle_stage,
    }
    return info | ({} if row.end_ms is None else {"end_time": row.end_ms})


def run(found: Run) -> Json:
    models = [(model, model.model_id) for model in found.models]
    return {
        "info": run_info(found.row),
        "data": {
            "metrics": [metric(row) for row in found.metrics],
            "params": pairs(found.params),
            "tags": pairs(found.tags),
        },
        "inputs": {
            "dataset_inputs": [dataset_input(row) for row in found.inputs],
            "model_inputs": [
                {"model_id": model_id} for row, model_id in models if row.direction == "input"
            ],
        },
        "outputs": {
            "model_outputs": [
                {"model_id": model_id, "step": row.step}
                for row, model_id in models
                if row.direction == "output"
            ]
        },
    }


def metric(row: RunMetricRow | MetricPointRow) -> Json:
    return {
        "key": row.key,
        "value": number_json(number_of(row)),
        "timestamp": row.timestamp_ms,
        "step": row.step,
    }


def run_metric(row: MetricPointRow) -> Json:
    return metric(row) | {"run_id": row.run_id}


def dataset_input(row: RunInputRow) -> Json:
    dataset = {"name": row.name, "digest": row.digest, **row.dataset}
    return {
        "tags": pairs(row.tags),
        "dataset": {key: value for key, value in dataset.items() if value},
    }


def model_metric(row: LoggedModelMetricRow) -> Json:
    message = {
        "key": row.key,
        "value": number_json(number_of(row)),
        "timestamp": row.timestamp_ms,
        "step": row.step,
        "model_id": row.model_id,
        "run_id": row.run_id,
    }
    if row.dataset_name:
        message |= {"dataset_name": row.dataset_name, "dataset_digest": row.dataset_digest}
    return message


def logged_model(found: LoggedModel) -> Json:
    row = found.row
    info = {
        "model_id": row.id,
        "experiment_id": row.experiment_id,
        "name": row.name,
        "creation_timestamp_ms": row.created_ms,
        "last_updated_timestamp_ms": row.updated_ms,
        "artifact_uri": row.artifact_uri,
        "status": row.status,
        "model_type": row.model_type,
        "source_run_id": row.source_run_id,
        "status_message": row.status_message,
        "tags": pairs(found.tags),
        "registrations": [
            {"name": version.name, "version": str(version.version)} for version in found.versions
        ],
    }
    return {
        "info": {key: value for key, value in info.items() if value is not None},
        "data": {
            "params": pairs(found.params),
            "metrics": [model_metric(value) for value in found.metrics],
        },
    }


def model_version(found: VersionDetails) -> Json:
    row = found.row
    message = {
        "name": row.name,
        "version": str(row.version),
        "creation_timestamp": row.created_ms,
        "last_updated_timestamp": row.updated_ms,
        "user_id": row.user_name,
        "current_stage": row.stage,
        "description": row.description,
        "source": row.source,
        "run_id": row.run_id,
        "run_link": row.run_link,
        "status": "READY",
        "tags": pairs(found.tags),
        "aliases": found.aliases,
        "model_id": row.logged_model_id,
    }
    return {key: value for key, value in message.items() if value is not None}


def registered_model(found: RegisteredModel) -> Json:
    row = found.row
    message = {
        "name": row.name,
        "creation_timestamp": row.created_ms,
        "last_updated_timestamp": row.updated_ms,
        "user_id": row.user_name,
        "description": row.description,
        "latest_versions": [model_version(version) for version in found.latest],
        "tags": pairs(found.tags),
        "aliases": [
            {"alias": alias, "version": str(version)} for alias, version in found.aliases.items()
        ],
    }
    return {key: value for key, value in message.items() if value is not None}


def files(entries: list[ArtifactEntry], folder: str) -> list[Json]:
    """Artifacts, each with its path from the root that `folder` is relative to."""
    prefix = f"{folder}/" if folder else ""
    return [
        {"path": prefix + entry.name, "is_dir": True}
        if entry.is_folder
        else {"path": prefix + entry.name, "is_dir": False, "file_size": entry.size_bytes}
        for entry in entries
    ]
