"""The replica as a process, and models of the real libraries where they are installed."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from madang.runtimes.app import ModelApp
from madang.runtimes.signature import ModelError, read_model_folder
from tests.runtimes.conftest import ROWS, SUMS, Replica, Save, tensor
from tests.runtimes.fake_models import RowSums

REPOSITORY = Path(__file__).parents[2]


def start(model: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "madang.runtimes", "--model", str(model)]
    return subprocess.Popen(
        [*command, "--name", "digits", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def test_a_process_serves_and_ends_in_order(save_model: Save) -> None:
    with start(save_model(RowSums(), ROWS, SUMS)) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        assert "is ready" in process.stdout.readline()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/v2/health/ready")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        process.stdout.read()


def test_a_model_that_is_none(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "has no file MLmodel" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("described", ["", "[]", "flavors: [", "a: 1", "flavors: {spark: {}}"])
def test_a_description_that_says_nothing(tmp_path: Path, described: str) -> None:
    (tmp_path / "MLmodel").write_text(described)
    with pytest.raises(ModelError):
        ModelApp("digits", "1").load(read_model_folder(tmp_path))


def test_a_missing_library_is_named(save_model: Save) -> None:
    folder = save_model(RowSums(), ROWS, SUMS)
    pickled = (folder / "model.pkl").read_bytes()
    (folder / "model.pkl").write_bytes(
        pickled.replace(b"tests.runtimes.fake_models", b"no_such_library_anywhere.m")
    )
    with pytest.raises(ModelError, match="no_such_library_anywhere"):
        ModelApp("digits", "1").load(read_model_folder(folder))


def test_real_scikit_learn(save_model: Save) -> None:
    linear_model = pytest.importorskip(
        "sklearn.linear_model", reason="scikit-learn is not installed: a fake stands for it"
    )
    datasets: Any = pytest.importorskip("sklearn.datasets")
    images, labels = datasets.load_digits(return_X_y=True)
    model = linear_model.LogisticRegression(max_iter=30, tol=0.1).fit(images / 16, labels)
    inputs = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 64]}}]
    app = ModelApp("digits", "1")
    app.load(read_model_folder(save_model(model, inputs)))
    flat = (images[:20] / 16).ravel().tolist()
    status, answer = Replica(app).infer({"inputs": [tensor(flat, [20, 64])]})
    assert status == 200
    assert answer["outputs"][0]["data"] == model.predict(images[:20] / 16).tolist()


def test_real_pytorch(tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "data").mkdir()
    layer = torch.nn.Linear(3, 2)
    torch.save(layer, tmp_path / "data" / "model.pth")
    (tmp_path / "MLmodel").write_text("flavors: {pytorch: {model_data: data}}\n")
    app = ModelApp("digits", "1")
    app.load(read_model_folder(tmp_path))
    body = {"inputs": [tensor([1, 2, 3], [1, 3], "FP32")]}
    status, answer = Replica(app).infer(body)
    assert status == 200
    expected = layer(torch.tensor([[1.0, 2.0, 3.0]])).detach().numpy().ravel()
    assert answer["outputs"][0]["data"] == pytest.approx(expected.tolist())
    assert Replica(app).infer({"inputs": [tensor([1, 2], [1, 2], "FP32")]})[0] == 400
