"""What the platform ran, as its API tells it, becomes a trace."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from madang.core.errors import InvalidInput
from madang.scheduling.simulation import history
from madang.scheduling.simulation.driver import Simulation

WORK: dict[str, Any] = {
    "id": "job-1", "kind": "job", "name": "train", "project": "vision", "user": "kim",
    "queue": "vision/train", "priority": 0,
    "roles": [{"name": "worker", "replicas_min": 1, "replicas_max": 1,
               "resources": {"cpu": 2, "memory": "4GiB", "gpu": 1}}],
    "submitted_at": "2026-11-20T09:00:00Z", "started_at": "2026-11-20T09:10:00Z",
    "ended_at": "2026-11-20T10:10:00Z", "state": "completed", "time_limit_s": 0.0,
    "preemptible": True, "resizable": False, "template": "train",
    "runs": [
        {"attempt": 1, "start": "2026-11-20T09:10:00Z", "end": "2026-11-20T09:40:00Z",
         "nodes": ["a"], "preempted": True},
        {"attempt": 2, "start": "2026-11-20T09:40:00Z", "end": "2026-11-20T10:10:00Z",
         "nodes": ["a"], "preempted": False},
    ],
}  # fmt: skip
DATA: dict[str, Any] = {
    "at": "2026-11-20T12:00:00Z",
    "nodes": [{"id": "node-1", "name": "a", "state": "ready", "cpu": 8.0,
               "memory_bytes": 64 << 30, "pool": "", "labels": {"rack": "r1"}, "counted": {},
               "devices": [{"index": 0, "kind": "gpu", "model": "H100",
                            "memory_bytes": 80 << 30}]}],
    "queues": [{"id": "queue-1", "name": "train", "path": "vision/train", "parent": None,
                "weight": 1.0, "guarantee": {"gpu": 1}, "limit": {}, "borrowing_limit": {},
                "lending_limit": {}, "reclaimable": True, "ordering": "priority",
                "min_runtime_s": 0.0, "open": True}],
    "work": [WORK],
}  # fmt: skip


def more(**changes: Any) -> dict[str, Any]:
    return deepcopy(WORK) | changes


def test_what_ran_runs_again_as_long() -> None:
    trace = history.from_json(DATA)
    (job,) = trace.jobs
    assert job.duration_s == 3600
    assert job.request.queue == trace.queues[0].name == "vision/train"
    assert job.request.groups[0].resources.device_milli == 1000
    assert trace.queues[0].guarantee == (("gpu", 1000),)
    assert trace.nodes[0].labels == (("rack", "r1"),)
    (record,) = Simulation(trace).run().jobs
    assert record.ended_at == record.submitted_at + 3600


def test_what_still_runs_or_waits_lasts_as_others_of_its_kind() -> None:
    still = [{"attempt": 1, "start": "2026-11-20T11:50:00Z", "end": None, "nodes": ["a"],
              "preempted": False}]  # fmt: skip
    work = [
        WORK,
        more(id="job-2", ended_at=None, runs=still, state="running"),
        more(id="job-3", ended_at=None, started_at=None, runs=[], state="pending"),
    ]
    trace = history.from_json(DATA | {"work": work})
    assert [job.duration_s for job in trace.jobs] == [3600, 3600, 3600]


@pytest.mark.parametrize("broken", [{}, [], {"at": "now"}, DATA | {"work": [{"id": "x"}]}])
def test_what_is_no_history_is_refused(broken: Any) -> None:
    with pytest.raises(InvalidInput, match="not a history"):
        history.from_json(broken)


def test_nothing_ran() -> None:
    with pytest.raises(InvalidInput, match="nothing ran"):
        history.from_json(DATA | {"work": []})


def test_queues_that_are_not_told_of_are_roots_and_that_is_said() -> None:
    work = [WORK, more(id="job-2", name="", project="", queue="queue-9")]
    trace = history.from_json(DATA | {"work": work})
    assert [queue.id for queue in trace.queues] == ["vision/train", "not seen 1"]
    assert (trace.queues[1].parent, trace.queues[1].weight) == ("", 1.0)
    assert trace.jobs[1].request.queue == "not seen 1"
    assert trace.notes[0].startswith("Jobs of 1 queue that you do not see")
    assert not history.from_json(DATA).notes


def test_queues_of_the_same_name_are_told_apart() -> None:
    (queue,) = DATA["queues"]
    default = {"name": "default", "path": "default", "guarantee": {}}
    queues = [
        queue | default | {"id": f"queue-{project}", "project": project}
        for project in ("vision", "speech", None)
    ]
    work = [
        more(id=f"job-{project}", project=project, queue="default")
        for project in ("vision", "speech", "text")
    ]
    trace = history.from_json(DATA | {"queues": queues, "work": work})
    assert [job.request.queue for job in trace.jobs] == [
        "default (vision)",
        "default (speech)",
        "default (platform)",
    ]
    assert not trace.notes
