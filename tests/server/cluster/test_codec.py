from __future__ import annotations

import json

import pytest

from madang.server.cluster.codec import from_json, to_json
from madang.server.cluster.protocol import (
    DeviceShare,
    ExitRecord,
    Mount,
    NodeOrders,
    TaskOrder,
    TaskReport,
)
from madang.testing.agents import task_spec


def test_orders_survive_the_wire() -> None:
    spec = task_spec(
        "task-1",
        "python",
        "train.py",
        mounts=(Mount("/a", "/b", True, "images"),),
        devices=(DeviceShare(0, "gpu", 250, simulated=True),),
        environment_variables={"A": "B"},
    )
    orders = NodeOrders(7, (TaskOrder(spec, "run"),), 30.0)
    assert from_json(NodeOrders, json.loads(json.dumps(to_json(orders)))) == orders


def test_reports_survive_the_wire() -> None:
    ended = ExitRecord("exit_code", {"exit_code": 1}, 1, None, 2.5)
    for report in (TaskReport("task-1", "running"), TaskReport("task-1", "exited", exit=ended)):
        assert from_json(TaskReport, json.loads(json.dumps(to_json(report)))) == report


def test_what_a_newer_side_adds_is_ignored_and_what_lacks_is_not() -> None:
    value = to_json(NodeOrders(1, (), 30.0))
    assert from_json(NodeOrders, value | {"new": 1}) == NodeOrders(1, (), 30.0)
    del value["lease_s"]
    with pytest.raises(TypeError, match="lease_s"):
        from_json(NodeOrders, value)
