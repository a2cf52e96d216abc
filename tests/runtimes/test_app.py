"""Conformance with the Open Inference Protocol, address by address."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from madang.runtimes.app import ModelApp
from tests.runtimes.conftest import ROWS, SUMS, Replica, tensor
from tests.runtimes.fake_models import Broken, Parrot, Several

GOOD = {"inputs": [tensor([1, 2, 3, 4, 5, 6], [2, 3])]}


def test_the_server_and_its_health(replica: Replica) -> None:
    _, about = replica.ask("GET", "/v2")
    assert set(about) == {"name", "version", "extensions"}
    for path in ("/v2/health/live", "/v2/health/ready"):
        response, health = replica.ask("GET", path)
        assert (response.status, health) == (200, {"live": True, "ready": True})


def test_live_before_ready() -> None:
    loading = Replica(ModelApp("digits", "3"))
    assert loading.ask("GET", "/v2/health/live")[0].status == 200
    response, health = loading.ask("GET", "/v2/health/ready")
    assert (response.status, health) == (503, {"live": True, "ready": False})
    response, ready = loading.ask("GET", "/v2/models/digits/ready")
    assert (response.status, ready["ready"]) == (503, False)
    assert loading.infer(GOOD)[0] == 503


@pytest.mark.parametrize("model", ["/v2/models/digits", "/v2/models/digits/versions/3"])
def test_the_model_its_versions_and_inference(replica: Replica, model: str) -> None:
    _, about = replica.ask("GET", model)
    assert about == {
        "name": "digits",
        "versions": ["3"],
        "platform": "sklearn_mlflow",
        "inputs": [{"name": "input-0", "datatype": "FP64", "shape": [-1, 3]}],
        "outputs": [{"name": "output-0", "datatype": "FP64", "shape": [-1]}],
    }
    assert replica.ask("GET", f"{model}/ready")[1] == {"name": "digits", "ready": True}
    response, answer = replica.ask("POST", f"{model}/infer", {"id": "42", **GOOD})
    assert response.status == 200
    assert answer == {
        "id": "42",
        "model_name": "digits",
        "model_version": "3",
        "outputs": [{"name": "output-0", "datatype": "FP64", "shape": [2], "data": [6.0, 15.0]}],
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/unknown", 404),
        ("GET", "/v2/models/letters", 404),
        ("POST", "/v2/models/letters/infer", 404),
        ("GET", "/v2/models/digits/versions/4", 404),
        ("POST", "/v2/models/digits/versions/4/infer", 404),
        ("GET", "/v2/models/digits/infer", 405),
        ("POST", "/v2/health/live", 405),
        ("GET", "/v2/models/digits/versions", 404),
        ("GET", "/v2/models/digits/ready/more", 404),
    ],
)
def test_what_is_not_there(replica: Replica, method: str, path: str, status: int) -> None:
    response, answer = replica.ask(method, path, GOOD)
    assert response.status == status
    assert isinstance(answer["error"], str)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"1" * 5000, "JSON"),
        (b"[]", "object"),
        (b'{"inputs": [{"name": "input-0", "shape": [1, 3], "datatype": "FP64", '
         b'"data": [1, NaN, 2]}]}', "NaN"),
        ({}, "inputs"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"inputs": [1]}, "name"),
        ({"inputs": [tensor([1, 2, 3], [1, 3], name="x")]}, "'input-0'"),
        ({"inputs": [tensor([1, 2, 3], [1, 3])] * 2}, "twice"),
        ({"inputs": [tensor([1, 2, 3], [3])]}, "shape"),
        ({"inputs": [tensor([1, 2, 3], [3, 1])]}, "shape"),
        ({"inputs": [tensor([1, 2, 3], [-1, 3])]}, "size"),
        ({"inputs": [tensor([1, 2, 3], [cast(int, 1.0), 3])]}, "size"),
        ({"inputs": [tensor([1, 2, 3], [True, 3])]}, "size"),
        ({"inputs": [tensor([1, 2, 3], [10**30, 3])]}, "size"),
        ({"inputs": [tensor([1, 2, 3], [10**9, 10**9])]}, "large"),
        ({"inputs": [{**tensor([1, 2, 3], [1, 3]), "shape": "1,3"}]}, "shape"),
        ({"inputs": [tensor([1, 2], [1, 3])]}, "needs 3 values"),
        ({"inputs": [tensor([[1, 2, 3], [4]], [2, 3])]}, "regular"),
        ({"inputs": [tensor([1, 2, "3"], [1, 3])]}, "FP64"),
        ({"inputs": [tensor([1, 2, None], [1, 3])]}, "FP64"),
        ({"inputs": [tensor([1, 2, True], [1, 3])]}, "FP64"),
        ({"inputs": [tensor([1, 2, 10**400], [1, 3])]}, "large"),
        ({"inputs": [tensor("123", [1, 3])]}, "list"),
        ({"inputs": [tensor([1, 2, 3], [1, 3], "FP32")]}, "FP64"),
        ({"inputs": [tensor([1, 2, 3], [1, 3], "float")]}, "datatype"),
        ({"inputs": [{**tensor([1, 2, 3], [1, 3]), "datatype": ["FP64"]}]}, "datatype"),
        ({"inputs": [{**tensor([1, 2, 3], [1, 3]), "parameters": 1}]}, "parameters"),
        ({**GOOD, "id": 1}, "id"),
        ({**GOOD, "parameters": []}, "parameters"),
        ({**GOOD, "outputs": [{"name": "other"}]}, "'output-0'"),
        ({**GOOD, "outputs": "all"}, "outputs"),
        ({**GOOD, "outputs": [{}]}, "name"),
    ],
)  # fmt: skip
def test_bad_requests_are_told_what_is_wrong(replica: Replica, body: Any, word: str) -> None:
    status, answer = replica.infer(body)
    assert status == 400
    assert word in answer["error"]
    assert replica.infer(GOOD)[0] == 200, "and the next one is answered"


def test_what_the_model_refuses(replica: Replica, replica_of: Callable[..., Replica]) -> None:
    status, answer = replica.infer({"inputs": [tensor([1.0] * 3003, [1001, 3])]})
    assert status == 400
    assert "ValueError: too many rows for me" in answer["error"]


def test_a_broken_model_is_no_500(replica_of: Callable[..., Replica]) -> None:
    status, answer = replica_of(Broken(), ROWS, SUMS).infer(GOOD)
    assert status == 400
    assert "ZeroDivisionError" in answer["error"]


def test_several_outputs_and_the_wanted_ones(replica_of: Callable[..., Replica]) -> None:
    replica = replica_of(Several(), ROWS)
    _, answer = replica.infer(GOOD)
    assert [output["name"] for output in answer["outputs"]] == ["sum", "max", "word"]
    assert answer["outputs"][2]["datatype"] == "BYTES"
    assert answer["outputs"][2]["data"] == ["a", "é"]
    _, answer = replica.infer({**GOOD, "outputs": [{"name": "max"}]})
    assert [output["data"] for output in answer["outputs"]] == [[3.0, 6.0]]
    status, answer = replica.infer({**GOOD, "outputs": [{"name": "min"}]})
    assert (status, "'max'" in answer["error"]) == (400, True)


def test_binary_tensors_both_ways(replica: Replica) -> None:
    rows = np.arange(6, dtype="<f8").tobytes()
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "input-0",
                    "shape": [2, 3],
                    "datatype": "FP64",
                    "parameters": {"binary_data_size": len(rows)},
                }
            ],
            "outputs": [{"name": "output-0", "parameters": {"binary_data": True}}],
        }
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    response, _ = replica.ask("POST", "/v2/models/digits/infer", head + rows, headers)
    assert response.status == 200
    length = int(dict(response.headers)["Inference-Header-Content-Length"])
    (output,) = json.loads(response.body[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(response.body[length:], "<f8").tolist() == [3.0, 12.0]
    for broken in (str(len(head) + len(rows) + 1), "x", "-1", ""):
        headers = {"Inference-Header-Content-Length": broken}
        response, answer = replica.ask("POST", "/v2/models/digits/infer", head + rows, headers)
        assert (response.status, "error" in answer) == (400, True)
    response, answer = replica.ask(
        "POST",
        "/v2/models/digits/infer",
        head + rows[:-1],
        {"Inference-Header-Content-Length": str(len(head))},
    )
    assert (response.status, "bytes are left" in answer["error"]) == (400, True)


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("BOOL", [True, False]),
        ("UINT8", [0, 255]),
        ("UINT16", [0, 65535]),
        ("UINT32", [0, 2**32 - 1]),
        ("UINT64", [0, 2**64 - 1]),
        ("INT8", [-128, 127]),
        ("INT16", [-(2**15), 2**15 - 1]),
        ("INT32", [-(2**31), 2**31 - 1]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("FP16", [0.5, 65504.0]),
        ("FP32", [1.5, -2.25]),
        ("FP64", [0.1, 1e300]),
        ("BYTES", ["ascii", "한국어\x00"]),
    ],
)
def test_every_datatype_passes_unchanged(
    replica_of: Callable[..., Replica], datatype: str, values: list[Any]
) -> None:
    parrot = replica_of(Parrot())
    status, answer = parrot.infer({"inputs": [tensor(values, [1, 2], datatype, "x")]})
    assert status == 200, answer
    (output,) = answer["outputs"]
    assert (output["datatype"], output["shape"], output["data"]) == (datatype, [1, 2], values)
    if datatype not in ("BOOL", "FP16", "FP32", "FP64", "BYTES"):
        for beyond in (values[0] - 1, values[1] + 1):
            body = {"inputs": [tensor([beyond], [1], datatype, "x")]}
            status, answer = parrot.infer(body)
            assert (status, "holds" in answer["error"]) == (400, True)


def test_columns_make_a_table(replica_of: Callable[..., Replica]) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed: no tables")
    columns = [{"type": "double", "name": "a"}, {"type": "string", "name": "b"}]
    replica = replica_of(Parrot(), columns)
    a, b = tensor([1.5, 2], [2], name="a"), tensor(["x", "y"], [2], "BYTES", "b")
    status, answer = replica.infer({"inputs": [b, a]})
    assert status == 200
    assert {o["name"]: o["data"] for o in answer["outputs"]} == {"a": [1.5, 2.0], "b": ["x", "y"]}
    status, answer = replica.infer({"inputs": [tensor([1.0], [1], name="a"), b]})
    assert (status, "same length" in answer["error"]) == (400, True)
    status, answer = replica.infer({"inputs": [a]})
    assert (status, "'b' is missing" in answer["error"]) == (400, True)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
NEARLY = st.fixed_dictionaries(
    {
        "inputs": st.lists(
            st.fixed_dictionaries(
                {
                    "name": st.sampled_from(["input-0", "x"]) | JSON_VALUES,
                    "shape": st.lists(st.integers(-1, 4), max_size=3) | JSON_VALUES,
                    "datatype": st.sampled_from(["FP64", "INT8", "BYTES", "BOOL"]) | JSON_VALUES,
                    "data": st.lists(st.integers() | st.floats() | st.text()) | JSON_VALUES,
                },
                optional={"parameters": JSON_VALUES},
            ),
            max_size=2,
        )
    },
    optional={"id": JSON_VALUES, "outputs": JSON_VALUES, "parameters": JSON_VALUES},
)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=NEARLY | JSON_VALUES | st.binary(max_size=200), length=st.none() | st.integers(0, 300))
def test_whatever_comes_is_answered_in_words(replica: Replica, body: Any, length: Any) -> None:
    headers = {} if length is None else {"Inference_Header_Content_Length": str(length)}
    status, answer = replica.infer(body, **headers)
    assert status in (200, 400)
    if status == 400:
        assert isinstance(answer["error"], str) and answer["error"]
