"""The protocol's addresses: which question is asked, and the answer to it."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import madang
from madang.runtimes.flavors import Predict, load_model, outputs_of
from madang.runtimes.http1 import Request, Response, json_response
from madang.runtimes.protocol import check_outputs, read_request, write_response
from madang.runtimes.signature import ModelFolder
from madang.runtimes.tensors import RequestError

EXTENSIONS = ("binary_tensor_data",)
_JSON_LENGTH = "Inference-Header-Content-Length"


class ModelApp:
    """Answers for one version of one model; safe to call from many threads.

    The model is run by `concurrency` threads at a time: few are written for more than one.
    """

    def __init__(self, name: str, version: str, *, concurrency: int = 1) -> None:
        self.name = name
        self.version = version
        self._turn = threading.Semaphore(concurrency)
        self._folder: ModelFolder | None = None
        self._platform = ""
        self._predict: Predict | None = None

    def load(self, folder: ModelFolder) -> None:
        """Load the model; ready from then on. Raises ModelError."""
        self._folder = folder
        self._platform, self._predict = load_model(folder)

    @property
    def ready(self) -> bool:
        return self._predict is not None

    def handle(self, request: Request) -> Response:
        """The answer to a request, whatever it is."""
        try:
            return self._route(request)
        except RequestError as error:
            return json_response(error.status, {"error": str(error)})

    def _route(self, request: Request) -> Response:
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        method, answer = self._find(parts)
        if request.method not in (method, "HEAD" if method == "GET" else method):
            raise RequestError(f"{request.path} takes {method}, not {request.method}", 405)
        return answer(request)

    def _find(self, parts: list[str]) -> tuple[str, Callable[[Request], Response]]:
        match parts:
            case ["v2"]:
                return "GET", self._server
            case ["v2", "health", "live"]:
                return "GET", lambda _: self._health(200)
            case ["v2", "health", "ready"]:
                return "GET", lambda _: self._health(200 if self.ready else 503)
            case ["v2", "models", name, "versions", version, *rest]:
                self._check(name, version)
            case ["v2", "models", name, *rest]:
                self._check(name, self.version)
            case _:
                raise RequestError(f"there is nothing at /{'/'.join(parts)}", 404)
        match rest:
            case []:
                return "GET", self._model
            case ["ready"]:
                return "GET", self._model_ready
            case ["infer"]:
                return "POST", self._infer
        raise RequestError(f"there is nothing at /{'/'.join(parts)}", 404)

    def _check(self, name: str, version: str) -> None:
        if name != self.name:
            raise RequestError(f"there is no model {name!r} here, only {self.name!r}", 404)
        if version != self.version:
            raise RequestError(
                f"there is no version {version!r} of {name!r} here, only {self.version!r}", 404
            )

    def _server(self, request: Request) -> Response:
        about = {"name": "madang", "version": madang.__version__, "extensions": list(EXTENSIONS)}
        return json_response(200, about)

    def _health(self, status: int) -> Response:
        return json_response(status, {"live": True, "ready": self.ready})

    def _model_ready(self, request: Request) -> Response:
        return json_response(200 if self.ready else 503, {"name": self.name, "ready": self.ready})

    def _model(self, request: Request) -> Response:
        folder, _ = self._loaded()
        return json_response(
            200,
            {
                "name": self.name,
                "versions": [self.version],
                "platform": self._platform,
                "inputs": [spec.to_json() for spec in folder.signature.inputs],
                "outputs": [spec.to_json() for spec in folder.signature.outputs],
            },
        )

    def _infer(self, request: Request) -> Response:
        folder, predict = self._loaded()
        length = request.headers.get(_JSON_LENGTH.lower())
        if length is not None and not (length.isascii() and length.isdecimal()):
            raise RequestError(f"{_JSON_LENGTH} {length!r} is not a number")
        asked = read_request(
            request.body, int(length[:20]) if length else None, folder.signature.inputs
        )
        check_outputs(asked, folder.signature.outputs)
        outputs = self._run(
            lambda: outputs_of(predict(asked.inputs, asked.parameters), folder.signature)
        )
        body, json_length = write_response(asked, self.name, self.version, outputs)
        if json_length is None:
            return Response(200, body)
        headers = ((_JSON_LENGTH, str(json_length)),)
        return Response(200, body, "application/octet-stream", headers)

    def _run(self, predict: Callable[[], Any]) -> Any:
        """Run the model when it is this request's turn; what it raises is told to who asked."""
        with self._turn:
            try:
                return predict()
            except RequestError:
                raise
            except Exception as error:
                traceback.print_exc(file=sys.stderr)
                raise RequestError(
                    f"the model failed on this input: {type(error).__name__}: {error}"
                ) from error

    def _loaded(self) -> tuple[ModelFolder, Predict]:
        if self._folder is None or self._predict is None:
            raise RequestError(f"model {self.name!r} is still being loaded", 503)
        return self._folder, self._predict
