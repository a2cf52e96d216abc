"""Arrays to the Open Inference Protocol and back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from madang.client._inference import outputs_of, request_of
from madang.core.errors import InvalidInput

IMAGES = {"inputs": [{"name": "input-0", "datatype": "FP32", "shape": [-1, 2]}]}


def test_an_array_becomes_what_the_model_takes() -> None:
    (tensor,) = request_of(np.array([[1, 2], [3, 4]], np.float64), IMAGES)["inputs"]
    assert tensor == {
        "name": "input-0",
        "datatype": "FP32",
        "shape": [2, 2],
        "data": [1.0, 2.0, 3.0, 4.0],
    }
    with pytest.raises(InvalidInput, match="the model takes FP32"):
        request_of(np.array([["a", "b"]]), IMAGES)


def test_several_inputs_are_named() -> None:
    columns = {
        "inputs": [
            {"name": "age", "datatype": "INT64", "shape": [-1]},
            {"name": "city", "datatype": "BYTES", "shape": [-1]},
        ]
    }
    request = request_of({"age": [30], "city": ["서울"]}, columns)
    assert [tensor["data"] for tensor in request["inputs"]] == [[30], ["서울"]]
    assert json.loads(json.dumps(request)) == request
    with pytest.raises(InvalidInput, match="more than one input"):
        request_of([1], columns)


def test_answers_become_arrays() -> None:
    arrays = outputs_of(
        {
            "outputs": [
                {"name": "a", "datatype": "FP32", "shape": [2, 1], "data": [1.5, None]},
                {"name": "b", "datatype": "BYTES", "shape": [1], "data": ["x"]},
            ]
        }
    )
    assert arrays["a"].dtype == np.float32 and arrays["a"].shape == (2, 1)
    assert math.isnan(arrays["a"][1, 0])
    assert arrays["b"].tolist() == ["x"]
