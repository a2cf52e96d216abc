"""What is asked for: kept, read again, refused where it makes no sense."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from madang.core.errors import InvalidInput
from madang.core.states import WorkloadKind
from madang.schemas.jobs import JobCreate, JobRole
from madang.server.workloads.jobs import to_request, to_spec
from madang.server.workloads.spec import WorkloadSpec, check_spec

FULL = JobCreate(
    ["python", "train.py"],
    name="train",
    project="vision",
    queue="night",
    priority="high",
    resources={"cpu": 2, "gpu": 2, "gpu_profile": "1g.10gb", "counted": {"matlab": 1}},
    replicas=2,
    replicas_max=8,
    resizable=True,
    pool="train",
    node_labels={"rack": "r1", "disk": "nvme"},
    together="rack",
    apart="node",
    time_limit_s=7200.0,
    expected_s=3600.0,
    preemptible=False,
    reservation="nightly",
    wait_for_nodes=True,
    roles=[JobRole("server", ["python", "serve.py"], {"cpu": 4}, replicas=2, pool="serve")],
)


def spec_of(**options: Any) -> WorkloadSpec:
    return to_spec(JobCreate(["true"], **options), "proj-1", "user-1")


def test_what_is_asked_for_is_kept_and_can_be_asked_for_again() -> None:
    spec = to_spec(FULL, "proj-1", "user-1")
    assert WorkloadSpec.from_json(spec.to_json()) == check_spec(spec)
    again = to_request(spec, "vision")
    assert again.priority == 100
    assert [role.name for role in spec.roles] == ["worker", "server"]
    assert to_spec(again, "proj-1", "user-1") == spec
    assert (again.pool, again.together, again.apart) == ("train", "rack", "node")
    assert again.node_labels == FULL.node_labels


def test_a_spec_from_before_a_field_existed_is_still_read() -> None:
    stored = to_spec(FULL, "proj-1", "user-1").to_json()
    for name in ("expected_s", "preemptible", "resizable", "reservation", "wait_for_nodes"):
        del stored[name]
    for role in stored["roles"]:
        del role["where"]
        del role["resources"]["device_profile"], role["resources"]["counted"]
    spec = WorkloadSpec.from_json(stored)
    assert spec.roles[0].where == spec_of().roles[0].where
    assert not spec.resizable and not spec.roles[0].resources.counted


def test_jobs_may_be_preempted_unless_told_otherwise() -> None:
    job = spec_of()
    assert job.may_be_preempted
    assert not replace(job, preemptible=False).may_be_preempted
    assert not replace(job, kind=WorkloadKind.SERVICE).may_be_preempted
    assert replace(job, kind=WorkloadKind.SESSION, preemptible=True).may_be_preempted


@pytest.mark.parametrize(
    ("asked", "number"), [("high", 100), ("Low", -100), ("50", 50), (-1000, -1000), ("normal", 0)]
)
def test_priorities_have_names(asked: int | str, number: int) -> None:
    assert spec_of(priority=asked).priority == number


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"roles": [JobRole("worker", ["true"])]}, "roles", "same name"),
        ({"roles": [JobRole("a", ["true"], replicas=3, replicas_max=2)]}, "replicas_max", "3..2"),
        ({"priority": "huge"}, "priority", "low, normal, high, urgent"),
        ({"priority": 1001}, "priority", "out of range"),
        ({"replicas": 4, "replicas_max": 2}, "replicas_max", "4..2"),
        ({"resizable": True}, "resizable", "2..8"),
        ({"together": "node", "apart": "node", "replicas": 2}, "apart", "together rack"),
        ({"together": "node", "apart": "rack", "replicas": 2}, "apart", "together rack"),
        ({"node_labels": {"disk": "a b"}}, "node_labels", "'a b'"),
        ({"pool": "No Pool"}, "name", "pool"),
        ({"time_limit_s": 60.0, "expected_s": 61.0}, "expected", "stopped after"),
        ({"resources": {"gpu": 1.5}}, "resources.gpu", "for 1 or 2"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(
    options: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        check_spec(spec_of(**options))
    assert error.value.field == field
    assert words in str(error.value)
