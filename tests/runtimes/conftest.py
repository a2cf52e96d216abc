"""Saved models in the layout that MLflow writes, and the replica that serves one in process."""

from __future__ import annotations

import http.client
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from madang.runtimes.app import ModelApp
from madang.runtimes.http1 import Request, Response, Server
from madang.runtimes.signature import read_model_folder
from tests.runtimes.fake_models import RowSums

pytest.importorskip("yaml", reason="PyYAML is not installed: saved models can't be read")

ROWS = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]
SUMS = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]

Save = Callable[..., Path]


@pytest.fixture
def save_model(tmp_path: Path) -> Save:
    """Writes `model` as a scikit-learn flavor with a signature."""

    def save(
        model: Any, inputs: list[Any] | None = None, outputs: list[Any] | None = None
    ) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "model.pkl").write_bytes(pickle.dumps(model))
        flavor = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}
        signature = {"inputs": json.dumps(inputs or []), "outputs": json.dumps(outputs or [])}
        described = {"flavors": {"sklearn": flavor}, "signature": signature}
        (folder / "MLmodel").write_text(json.dumps(described))  # JSON is YAML, too
        return folder

    return save


@dataclass
class Replica:
    app: ModelApp

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[Response, Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        response = self.app.handle(Request(method, path, lowered, raw))
        is_json = response.content_type == "application/json"
        return response, json.loads(response.body) if is_json else None

    def infer(self, body: Any, **headers: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response, answer = self.ask("POST", "/v2/models/digits/infer", body, named)
        return response.status, answer


@pytest.fixture
def replica_of(save_model: Save) -> Callable[..., Replica]:
    def make(model: Any, inputs: Any = None, outputs: Any = None) -> Replica:
        app = ModelApp("digits", "3")
        app.load(read_model_folder(save_model(model, inputs, outputs)))
        return Replica(app)

    return make


@pytest.fixture
def replica(replica_of: Callable[..., Replica]) -> Replica:
    """Serves `RowSums`: FP64 [-1, 3] → FP64 [-1]."""
    return replica_of(RowSums(), ROWS, SUMS)


@dataclass
class Listening:
    server: Server
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        self.connections.append(connection)
        return connection

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


@pytest.fixture
def listening(replica: Replica) -> Iterator[Listening]:
    server = Server(("127.0.0.1", 0), replica.app.handle, max_body_bytes=1 << 20)
    thread = threading.Thread(target=server.serve)
    thread.start()
    listening = Listening(server)
    yield listening
    listening.close()
    server.stop()
    thread.join()


def tensor(data: Any, shape: list[int], datatype: str = "FP64", name: str = "input-0") -> Any:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}
