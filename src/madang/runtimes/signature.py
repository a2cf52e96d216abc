"""What a saved MLflow model says of itself: flavors, inputs, outputs (its file `MLmodel`)."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from madang.runtimes.tensors import RequestError, TensorSpec, datatype_of

_COLUMN_DATATYPES = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
}
"""MLflow's column types; all others travel as BYTES."""


class ModelError(Exception):
    """The model can't be loaded; the message says why and what would help."""


@dataclass(frozen=True, slots=True)
class Signature:
    """`is_columns`: the inputs are the columns of a table. Without a signature all is empty."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    parameters: frozenset[str] = frozenset()
    is_columns: bool = False
    is_unnamed: bool = False
    """The one input is a tensor without a name of its own."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A saved model: where it is, and its description."""

    path: Path
    flavors: Mapping[str, Mapping[str, Any]]
    signature: Signature = field(default_factory=Signature)


def read_model_folder(path: Path) -> ModelFolder:
    """Read `MLmodel`. Raises ModelError when there is none, or none that can be understood."""
    try:
        yaml = importlib.import_module("yaml")
    except ModuleNotFoundError:
        raise ModelError(
            "the package PyYAML is missing: add mlflow (or pyyaml) to the environment"
        ) from None
    try:
        described = yaml.safe_load((path / "MLmodel").read_text())
        signature = described.get("signature") or {}
        return ModelFolder(path, described["flavors"], read_signature(signature))
    except FileNotFoundError:
        raise ModelError(f"{path} is not a saved model: it has no file MLmodel") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}/MLmodel can't be read: {error!r}") from error


def read_signature(signature: Mapping[str, Any]) -> Signature:
    """The signature as MLflow writes it: lists of tensors or columns, as JSON in strings."""
    inputs = json.loads(signature.get("inputs") or "[]")
    outputs = json.loads(signature.get("outputs") or "[]")
    parameters = json.loads(signature.get("params") or "[]")
    is_columns = bool(inputs) and any(item.get("type") != "tensor" for item in inputs)
    return Signature(
        inputs=_specs(inputs, "input"),
        outputs=_specs(outputs, "output"),
        parameters=frozenset(parameter["name"] for parameter in parameters),
        is_columns=is_columns,
        is_unnamed=len(inputs) == 1 and not inputs[0].get("name"),
    )


def _specs(items: list[dict[str, Any]], default_name: str) -> tuple[TensorSpec, ...]:
    specs = []
    for index, item in enumerate(items):
        name = str(item.get("name") or f"{default_name}-{index}")
        if item.get("type") == "tensor":
            spec = item["tensor-spec"]
            datatype = _tensor_datatype(spec["dtype"])
            specs.append(TensorSpec(name, datatype, tuple(spec["shape"])))
        else:
            datatype = _COLUMN_DATATYPES.get(str(item.get("type")), "BYTES")
            specs.append(TensorSpec(name, datatype, (-1,)))
    return tuple(specs)


def _tensor_datatype(name: str) -> str:
    try:
        return datatype_of(np.dtype(name))
    except RequestError as error:
        raise ValueError(str(error)) from None
