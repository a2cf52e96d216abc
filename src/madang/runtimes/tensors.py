"""Tensors of the Open Inference Protocol, to and from numpy: JSON values and raw bytes."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

NUMPY_OF: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
"""Datatypes, and how numpy holds them: BYTES as objects, `str` from JSON and `bytes` from raw."""

_DATATYPE_OF = {dtype: name for name, dtype in NUMPY_OF.items()}
_TYPES: dict[str, set[type]] = {
    "b": {bool},
    "u": {int},
    "i": {int},
    "f": {int, float},
    "O": {str},
}
"""For each kind of datatype, what its values are in JSON."""

_SURROGATES = re.compile("[\ud800-\udfff]")

MAX_DIMENSIONS = 32
MAX_SIZE = 2**31 - 1


class RequestError(Exception):
    """The request is wrong; the message says what and `status` is the answer's."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a model takes or gives: -1 in the shape stands for any size, None for any shape."""

    name: str
    datatype: str
    shape: tuple[int, ...] | None

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape or (-1,))}

    def check(self, datatype: str, shape: Sequence[int]) -> None:
        """Raises RequestError for a tensor that is not of this kind."""
        if datatype != self.datatype:
            raise RequestError(
                f"input {self.name!r} has datatype {datatype}; the model takes {self.datatype}"
            )
        if self.shape is None:
            return
        fits = len(shape) == len(self.shape) and all(
            wanted in (-1, size) for wanted, size in zip(self.shape, shape, strict=True)
        )
        if not fits:
            raise RequestError(
                f"input {self.name!r} has shape {list(shape)}; the model takes {list(self.shape)}"
                " (-1: any size)"
            )


def check_shape(name: str, shape: object) -> tuple[int, ...]:
    """A shape as it came in JSON. Raises RequestError unless it is a list of sizes."""
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise RequestError(f"input {name!r}: 'shape' must be a list of sizes, such as [1, 64]")
    for size in shape:
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
            raise RequestError(f"input {name!r}: {size!r} is not a size for its shape")
    if math.prod(size or 1 for size in shape) > MAX_SIZE:
        raise RequestError(f"input {name!r}: a shape of {shape} is too large")
    return tuple(shape)


def from_values(name: str, datatype: str, shape: tuple[int, ...], values: object) -> Array:
    """The array of JSON `values`: flat or nested lists, in row-major order.

    Raises RequestError when they are too many, too few, or not of the datatype.
    """
    if not isinstance(values, list):
        raise RequestError(f"input {name!r}: 'data' must be a list")
    flat = _flatten(name, values)
    if len(flat) != math.prod(shape):
        raise RequestError(
            f"input {name!r}: shape {list(shape)} needs {math.prod(shape)} values, "
            f"'data' has {len(flat)}"
        )
    dtype = NUMPY_OF[datatype]
    strange = set(map(type, flat)) - _TYPES[dtype.kind]
    if strange:
        raise RequestError(f"input {name!r}: 'data' has values that are not {datatype}")
    return _array(name, datatype, flat).reshape(shape)


def from_bytes(name: str, datatype: str, shape: tuple[int, ...], raw: bytes) -> Array:
    """The array of raw little-endian bytes (the binary tensor extension). Raises RequestError."""
    num_values = math.prod(shape)
    if datatype == "BYTES":
        return _byte_strings(name, num_values, raw).reshape(shape)
    dtype = NUMPY_OF[datatype].newbyteorder("<")
    if len(raw) != num_values * dtype.itemsize:
        raise RequestError(
            f"input {name!r}: shape {list(shape)} of {datatype} needs "
            f"{num_values * dtype.itemsize} bytes, there are {len(raw)}"
        )
    if datatype == "BOOL":
        return np.frombuffer(raw, np.uint8).astype(np.bool_).reshape(shape)
    return np.frombuffer(raw, dtype).astype(NUMPY_OF[datatype]).reshape(shape)


def datatype_of(dtype: np.dtype[Any]) -> str:
    """The protocol's name; text, bytes, objects and times are BYTES. Raises RequestError for what
    it has no name for."""
    if dtype.kind in "OSUTMm":
        return "BYTES"
    name = _DATATYPE_OF.get(dtype.newbyteorder("="))
    if name is None:
        raise RequestError(f"the model gives values of {dtype}, which can't be sent")
    return name


def to_values(array: Array) -> list[Any]:
    """The values for JSON, flat in row-major order. What is not finite becomes null."""
    flat = array.ravel()
    if flat.dtype.kind == "f":
        values: list[Any] = flat.tolist()
        if not np.isfinite(flat).all():
            values = [value if math.isfinite(value) else None for value in values]
        return values
    if flat.dtype.kind not in "biu":
        return [_text(value) for value in flat.tolist()]
    whole: list[Any] = flat.tolist()
    return whole


def to_bytes(array: Array) -> bytes:
    """The values as raw little-endian bytes; BYTES each with its length in four bytes before."""
    flat = array.ravel()
    if flat.dtype.kind in "biuf":
        return flat.astype(flat.dtype.newbyteorder("<")).tobytes()
    parts = []
    for value in flat.tolist():
        raw = value if isinstance(value, bytes) else _text(value).encode()
        parts += [struct.pack("<I", len(raw)), raw]
    return b"".join(parts)


def _flatten(name: str, values: list[Any]) -> list[Any]:
    """Lists in lists, all of one length, as one list."""
    while values and isinstance(values[0], list):
        lengths = {len(item) if isinstance(item, list) else -1 for item in values}
        if len(lengths) > 1:
            raise RequestError(f"input {name!r}: 'data' is not a regular list of lists")
        values = list(chain.from_iterable(values))
    return values


def _array(name: str, datatype: str, flat: list[Any]) -> Array:
    dtype = NUMPY_OF[datatype]
    if dtype.kind == "O":
        if any(_SURROGATES.search(text) for text in flat):
            raise RequestError(f"input {name!r}: 'data' has text that is not Unicode")
        array: Array = np.empty(len(flat), object)
        array[:] = flat
        return array
    if dtype.kind in "iu" and flat:
        limits = np.iinfo(dtype)
        if min(flat) < limits.min or max(flat) > limits.max:
            raise RequestError(
                f"input {name!r}: {datatype} holds {limits.min} to {limits.max}, 'data' has more"
            )
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(flat, np.float64 if dtype.kind == "f" else dtype).astype(dtype)
    except OverflowError:
        array = np.asarray([math.inf])
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise RequestError(f"input {name!r}: 'data' has numbers too large for {datatype}")
    return array


def _byte_strings(name: str, num_values: int, raw: bytes) -> Array:
    found = []
    position = 0
    while position < len(raw):
        start = position + 4
        length = int.from_bytes(raw[position:start], "little")
        position = start + length
        if start > len(raw) or position > len(raw):
            raise RequestError(f"input {name!r}: a string ends after its bytes do")
        found.append(raw[start:position])
    if len(found) != num_values:
        raise RequestError(
            f"input {name!r}: its shape needs {num_values} strings, there are {len(found)}"
        )
    array = np.empty(num_values, object)
    array[:] = found
    return array


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else str(value)
