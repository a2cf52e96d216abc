"""Loading saved MLflow models: scikit-learn and PyTorch directly, everything else by `mlflow`.

Importing mlflow takes seconds and much memory, so a file that its own library can read is read by
that; when that is not possible mlflow's loader is asked, which knows every flavor.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from madang.runtimes.protocol import as_array
from madang.runtimes.signature import ModelError, ModelFolder, Signature
from madang.runtimes.tensors import Array, RequestError

Inputs = Mapping[str, Array]


class Predict(Protocol):
    """A loaded model: from arrays by name to whatever it gives, with the request's parameters."""

    def __call__(self, inputs: Inputs, parameters: Mapping[str, Any]) -> Any: ...


def load_model(folder: ModelFolder) -> tuple[str, Predict]:
    """The platform's name (as the protocol has it) and the model. Raises ModelError."""
    _add_code(folder)
    for flavor, (platform, load) in _LOADERS.items():
        if flavor in folder.flavors:
            return platform, load(folder)
    raise ModelError(
        f"its flavors are {', '.join(folder.flavors)}; one of {', '.join(_LOADERS)} is needed"
    )


def outputs_of(result: Any, signature: Signature) -> dict[str, Array]:
    """A model's result as named arrays: by its own names, else the signature's, else numbered."""
    if isinstance(result, Mapping):
        return {str(name): as_array(value) for name, value in result.items()}
    if hasattr(result, "columns"):
        return {str(name): as_array(result[name]) for name in result.columns}
    names = [spec.name for spec in signature.outputs]
    if isinstance(result, tuple) or (isinstance(result, list) and len(names) == len(result) > 1):
        parts = [as_array(part) for part in result]
    else:
        parts = [as_array(result)]
    if len(names) != len(parts):
        names = [f"output-{index}" for index in range(len(parts))]
    return dict(zip(names, parts, strict=True))


def _add_code(folder: ModelFolder) -> None:
    """Modules that were saved with the model are imported from there."""
    for flavor in folder.flavors.values():
        code = flavor.get("code")
        if isinstance(code, str) and str(folder.path / code) not in sys.path:
            sys.path.insert(0, str(folder.path / code))


def _load_sklearn(folder: ModelFolder) -> Predict:
    flavor = folder.flavors["sklearn"]
    file = folder.path / flavor["pickled_model"]
    if flavor.get("serialization_format") in ("pickle", "cloudpickle"):
        model = _unpickled(file)
    elif flavor.get("serialization_format") == "skops":
        model = _import("skops.io").load(file, trusted=flavor.get("skops_trusted_types") or [])
    else:
        model = _by_mlflow("mlflow.sklearn", folder.path)
    signature = folder.signature

    def predict(inputs: Inputs, parameters: Mapping[str, Any]) -> Any:
        return model.predict(_table_or_array(inputs, signature))

    return predict


def _load_pytorch(folder: ModelFolder) -> Predict:
    torch = _import("torch")
    flavor = folder.flavors["pytorch"]
    data = folder.path / flavor.get("model_data", "data")
    exported, pickled = data / "model.pt2", data / "model.pth"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if exported.is_file():
        module = torch.export.load(exported).module()
    elif pickled.is_file() and not (data / "pickle_module_info.txt").is_file():
        module = torch.load(pickled, map_location=device, weights_only=False)
    else:
        module = _torch_by_its_pickle_module(torch, data, device) or _by_mlflow(
            "mlflow.pytorch", folder.path
        )
    module = module.to(device)
    if not exported.is_file():
        module.eval()  # an exported program has no other mode
    signature = folder.signature

    def predict(inputs: Inputs, parameters: Mapping[str, Any]) -> Any:
        if signature.is_columns:
            stacked = np.stack([inputs[spec.name] for spec in signature.inputs], axis=-1)
            arrays = [stacked.astype(np.float32)]
        else:
            ordered = [spec.name for spec in signature.inputs] or list(inputs)
            arrays = [inputs[name] for name in ordered]
        with torch.inference_mode():
            return module(*[torch.from_numpy(array).to(device) for array in arrays])

    return predict


def _torch_by_its_pickle_module(torch: Any, data: Path, device: str) -> Any:
    """A file written through mlflow's pickle module is an ordinary one; None when it is not."""
    name = (data / "pickle_module_info.txt").read_text().strip()
    if name not in ("mlflow.pytorch.pickle_module", "pickle"):
        return None
    try:
        return torch.load(data / "model.pth", map_location=device, weights_only=False)
    except (pickle.UnpicklingError, ModuleNotFoundError, RuntimeError):
        return None


def _load_pyfunc(folder: ModelFolder) -> Predict:
    model = _by_mlflow("mlflow.pyfunc", folder.path)
    signature = folder.signature

    def predict(inputs: Inputs, parameters: Mapping[str, Any]) -> Any:
        given = _table_or_array(inputs, signature)
        known = {name: parameters[name] for name in signature.parameters & set(parameters)}
        return model.predict(given, params=known or None)

    return predict


def _table_or_array(inputs: Inputs, signature: Signature) -> Any:
    """What scikit-learn and pyfunc models take: a table of columns, or tensors."""
    if signature.is_columns or (not signature.inputs and len(inputs) > 1):
        pandas = _import("pandas")
        names = [spec.name for spec in signature.inputs] or list(inputs)
        columns = {name: _column(name, inputs[name]) for name in names}
        if len({len(column) for column in columns.values()}) > 1:
            raise RequestError("the inputs are columns of one table: give all the same length")
        return pandas.DataFrame(columns)
    if signature.is_unnamed or not signature.inputs:
        (array,) = inputs.values()
        return array
    return dict(inputs)


def _column(name: str, array: Array) -> Array:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise RequestError(f"input {name!r} is a column: its shape must be [rows]")
    if array.dtype == object:
        decoded = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in array]
        array = np.empty(len(decoded), object)
        array[:] = decoded
    return array


def _unpickled(file: Path) -> Any:
    try:
        with file.open("rb") as stream:
            return pickle.load(stream)
    except ModuleNotFoundError as error:
        raise ModelError(_missing(error.name or str(error))) from error
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error}") from error


def _by_mlflow(module: str, path: Path) -> Any:
    return _import(module).load_model(str(path))


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModelError(_missing(error.name or name)) from error


def _missing(module: str) -> str:
    return f"the module {module} is missing: add its package to the environment"


_LOADERS: dict[str, tuple[str, Callable[[ModelFolder], Predict]]] = {
    "pytorch": ("pytorch_mlflow", _load_pytorch),
    "sklearn": ("sklearn_mlflow", _load_sklearn),
    "python_function": ("python_mlflow", _load_pyfunc),
}
"""The first flavor that a model has is taken: the native ones are quicker than the generic one."""
