"""Between numpy and the Open Inference Protocol, for `client.endpoints.infer`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from madang.core.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_DATATYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}


def request_of(inputs: Any, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The request for `inputs`: an array for the model's only input, or arrays by name.

    Values are converted to the datatypes that the model's `metadata` asks for. Raises InvalidInput
    for what can't be.
    """
    import numpy as np

    specs = {spec["name"]: spec for spec in metadata.get("inputs", ())}
    if not isinstance(inputs, Mapping):
        if len(specs) > 1:
            raise InvalidInput(
                "the model takes more than one input",
                field="inputs",
                hint=f"Give arrays by name: {', '.join(specs)}.",
            )
        inputs = {next(iter(specs), "input-0"): inputs}
    tensors = []
    for name, value in inputs.items():
        array = np.asarray(value)
        datatype = specs[name]["datatype"] if name in specs else _datatype_of(array)
        tensors.append(_tensor(name, datatype, array))
    return {"inputs": tensors}


def outputs_of(answer: Mapping[str, Any]) -> dict[str, Array]:
    """The arrays of an answer, by name."""
    import numpy as np

    arrays: dict[str, Array] = {}
    for output in answer["outputs"]:
        dtype = np.dtype(_DATATYPES[output["datatype"]])
        values = output["data"]
        if dtype.kind == "f":
            values = [math.nan if value is None else value for value in values]
        arrays[output["name"]] = np.asarray(values, dtype).reshape(output["shape"])
    return arrays


def _tensor(name: str, datatype: str, array: Array) -> dict[str, Any]:
    if datatype == "BYTES":
        values = [item.decode() if isinstance(item, bytes) else item for item in array.ravel()]
        values = [str(item) for item in values]
    else:
        try:
            values = array.astype(_DATATYPES[datatype], casting="same_kind").ravel().tolist()
        except TypeError:
            raise InvalidInput(
                f"input {name!r} has values of {array.dtype}, the model takes {datatype}",
                field="inputs",
                hint=f"Convert them: array.astype({_DATATYPES[datatype]!r}).",
            ) from None
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": values}


def _datatype_of(array: np.ndarray[Any, Any]) -> str:
    for datatype, name in _DATATYPES.items():
        if array.dtype.name == name:
            return datatype
    return "BYTES"
