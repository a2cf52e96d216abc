"""Inference requests and answers, from and to bytes: plain functions, no I/O.

The binary tensor extension is understood: a JSON part of `Inference-Header-Content-Length` bytes,
then the raw tensors in order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from madang.runtimes.tensors import (
    NUMPY_OF,
    Array,
    RequestError,
    TensorSpec,
    check_shape,
    datatype_of,
    from_bytes,
    from_values,
    to_bytes,
    to_values,
)


@dataclass(frozen=True, slots=True)
class WantedOutput:
    name: str
    binary: bool


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A request that is in order. `outputs` None asks for all of them."""

    inputs: dict[str, Array]
    id: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[WantedOutput, ...] | None = None
    binary_outputs: bool = False


def read_request(
    body: bytes, json_length: int | None, specs: Sequence[TensorSpec]
) -> InferenceRequest:
    """Read a request for a model that takes `specs` (none: one tensor of any kind).

    `json_length` is where the JSON part ends, None when all is JSON. Raises RequestError.
    """
    if json_length is not None and not 0 <= json_length <= len(body):
        raise RequestError(
            f"Inference-Header-Content-Length is {json_length}, the body has {len(body)} bytes"
        )
    raw = body[json_length:] if json_length is not None else b""
    request = _read_json(body[:json_length] if json_length is not None else body)
    if not isinstance(request, dict):
        raise RequestError("the request must be a JSON object")
    request_id = request.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise RequestError("'id' must be a string")
    parameters = _parameters(request, "the request")
    return InferenceRequest(
        inputs=_read_inputs(request.get("inputs"), raw, specs),
        id=request_id,
        parameters=parameters,
        outputs=_read_outputs(request.get("outputs")),
        binary_outputs=parameters.get("binary_data_output") is True,
    )


def write_response(
    request: InferenceRequest, name: str, version: str, outputs: dict[str, Array]
) -> tuple[bytes, int | None]:
    """The answer's body, and the length of its JSON part when raw tensors follow it.

    Raises RequestError for a wanted output that the model does not give.
    """
    listed, raw = [], []
    for wanted in _wanted(request, outputs):
        array = outputs[wanted.name]
        tensor: dict[str, Any] = {
            "name": wanted.name,
            "datatype": datatype_of(array.dtype),
            "shape": list(array.shape),
        }
        if wanted.binary:
            raw.append(to_bytes(array))
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = to_values(array)
        listed.append(tensor)
    answer: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": listed}
    if request.id is not None:
        answer["id"] = request.id
    head = json.dumps(answer).encode()
    return (b"".join([head, *raw]), len(head)) if raw else (head, None)


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestError("the request is not valid JSON: nested too deeply") from None
    except ValueError as error:
        raise RequestError(f"the request is not valid JSON: {error}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise RequestError(f"{name} is not valid JSON; send such values as binary data")


def _parameters(holder: dict[str, Any], what: str) -> dict[str, Any]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestError(f"'parameters' of {what} must be an object")
    return parameters


def _read_inputs(inputs: object, raw: bytes, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    if not isinstance(inputs, list) or not inputs:
        raise RequestError("'inputs' must be a list of at least one tensor")
    by_name = {spec.name: spec for spec in specs}
    arrays: dict[str, Array] = {}
    position = 0
    for tensor in inputs:
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise RequestError("each input must be an object with a 'name'")
        name = tensor["name"]
        if name in arrays:
            raise RequestError(f"input {name!r} is there twice")
        if by_name and name not in by_name:
            raise RequestError(
                f"the model has no input {name!r}; it takes {', '.join(map(repr, by_name))}"
            )
        arrays[name], num_bytes = _read_tensor(tensor, raw[position:], by_name.get(name))
        position += num_bytes
    if position != len(raw):
        raise RequestError(f"{len(raw) - position} bytes follow the last tensor")
    missing = [name for name in by_name if name not in arrays]
    if missing:
        raise RequestError(f"input {missing[0]!r} is missing")
    return arrays


def _read_tensor(tensor: dict[str, Any], raw: bytes, spec: TensorSpec | None) -> tuple[Array, int]:
    """The tensor, and how many of the raw bytes were its."""
    name, datatype = tensor["name"], tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in NUMPY_OF:
        raise RequestError(
            f"input {name!r}: {datatype!r} is not a datatype; there are {', '.join(NUMPY_OF)}"
        )
    shape = check_shape(name, tensor.get("shape"))
    if spec is not None:
        spec.check(datatype, shape)
    size = _parameters(tensor, f"input {name!r}").get("binary_data_size")
    if size is None:
        return from_values(name, datatype, shape, tensor.get("data")), 0
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(raw):
        raise RequestError(
            f"input {name!r}: binary_data_size is {size!r}, {len(raw)} bytes are left"
        )
    if "data" in tensor:
        raise RequestError(f"input {name!r} has both 'data' and binary_data_size")
    return from_bytes(name, datatype, shape, raw[:size]), size


def _read_outputs(outputs: object) -> tuple[WantedOutput, ...] | None:
    if outputs is None:
        return None
    if not isinstance(outputs, list):
        raise RequestError("'outputs' must be a list")
    wanted: dict[str, WantedOutput] = {}
    for output in outputs:
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise RequestError("each of 'outputs' must be an object with a 'name'")
        name = output["name"]
        binary = _parameters(output, f"output {name!r}").get("binary_data") is True
        wanted[name] = WantedOutput(name, binary)
    return tuple(wanted.values()) or None


def check_outputs(request: InferenceRequest, specs: Sequence[TensorSpec]) -> None:
    """Raises RequestError for a wanted output that the model says it does not have; before it is
    run for nothing."""
    known = {spec.name for spec in specs}
    for wanted in request.outputs or ():
        if known and wanted.name not in known:
            raise RequestError(_no_output(wanted.name, known))


def _wanted(request: InferenceRequest, outputs: dict[str, Array]) -> Sequence[WantedOutput]:
    if request.outputs is None:
        return [WantedOutput(name, request.binary_outputs) for name in outputs]
    for wanted in request.outputs:
        if wanted.name not in outputs:
            raise RequestError(_no_output(wanted.name, set(outputs)))
    return request.outputs


def _no_output(name: str, known: set[str]) -> str:
    return f"the model has no output {name!r}; it gives {', '.join(map(repr, sorted(known)))}"


def as_array(value: Any) -> Array:
    """What a model gave for one output, as an array the protocol can carry."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    elif hasattr(value, "toarray"):
        value = value.toarray()
    elif hasattr(value, "to_numpy"):
        value = value.to_numpy()
    array = np.asarray(value)
    return array.reshape(1) if array.ndim == 0 else array
