"""Kueue's generator: what it makes, and how long that takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from madang.core.errors import InvalidInput
from madang.scheduling.simulation import kueue
from madang.scheduling.simulation.driver import Simulation, Timing

SMALL = """
cohorts:
- className: cohort
  count: 2
  queuesSets:
  - className: cq
    count: 3
    nominalQuota: 4
    borrowingLimit: "8"
    reclaimWithinCohort: Any
    withinClusterQueue: LowerPriority
    workloadsSets:
    - count: 5
      creationIntervalMs: 100
      workloads:
      - {className: small, runtimeMs: 200, priority: 50, request: 500m}
      - {className: medium, runtimeMs: 300, priority: 100, request: 2}
    - count: 2
      creationIntervalMs: 400
      workloads:
      - {className: large, runtimeMs: 1000, priority: 200, request: 4}
"""


def read(tmp_path: Path, text: str):
    path = tmp_path / "generator.yaml"
    path.write_text(text)
    return kueue.read(path)


def test_expanded_as_the_generator_does(tmp_path: Path) -> None:
    trace = read(tmp_path, SMALL)
    assert len(trace.jobs) == 2 * 3 * (5 * 2 + 2)
    own = [job for job in trace.jobs if job.request.queue == "cq-0-1-cohort-1"]
    made = [(j.request.id.rpartition("/")[2], round(j.request.submitted_at, 3)) for j in own]
    assert made[:3] == [("small-0-0-0", 0.1), ("medium-0-0-1", 0.2), ("small-0-1-0", 0.3)]
    assert ("large-1-1-0", 0.8) in made
    assert made[-1] == ("medium-0-4-1", 1.0)
    small = own[0]
    assert small.duration_s == 0.2
    assert small.request.groups[0].resources.cpu_milli == 500
    queue = next(queue for queue in trace.queues if queue.id == "cq-0-1-cohort-1")
    assert (queue.parent, queue.guarantee) == ("cohort-1", (("cpu", 4000),))
    assert queue.borrowing_limit == (("cpu", 8000),)
    assert trace.nodes[0].cpu_milli == 2 * 3 * 4 * 1000


def test_the_capacity_bound_is_work_over_quota(tmp_path: Path) -> None:
    work = 5 * (0.5 * 0.2 + 2 * 0.3) + 2 * 4 * 1.0
    assert kueue.capacity_bound_s(read(tmp_path, SMALL)) == pytest.approx(work / 4)


def test_queues_stay_within_their_cohort(tmp_path: Path) -> None:
    trace = read(tmp_path, SMALL)
    ran = Simulation(trace, timing=Timing(save_every_s=None)).run()
    assert all(record.ended_at is not None for record in ran.jobs)
    assert max(ran.series.cpu_milli) <= 24_000


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("count: 3", "count: -3", "queuesSets[0]: count can't be -3"),
        ("nominalQuota: 4", "nominalQuota: four", "nominalQuota can't be 'four'"),
        ("runtimeMs: 200", "runtimeMs: fast", "workloads[0]: runtimeMs can't be 'fast'"),
        ("request: 500m", "request: 500x", "request can't be '500x'"),
        ("  queuesSets:", "  queueSets:", "queuesSets is missing"),
        ("cohorts:", "cohorts: [", "row "),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, old: str, new: str, where: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(tmp_path, SMALL.replace(old, new, 1))
    assert where in refused.value.message
    assert "generator.yaml" in refused.value.message


TOPOLOGY = """
topology:
  levels:
  - {name: rack, count: 2, nodeLabel: topology-rack}
  - {name: node, count: 3, nodeLabel: kubernetes.io/hostname, capacity: {cpu: "8", memory: 32Gi}}
"""
IN_RACKS = (
    SMALL.replace("request: 4}", "request: 4, podCount: 2, tasConstraint: required, "
                  "tasLevel: topology-rack}")
)  # fmt: skip


def test_topology_becomes_nodes_in_racks(tmp_path: Path) -> None:
    trace = read(tmp_path, TOPOLOGY + IN_RACKS)
    assert len(trace.nodes) == 6
    assert trace.nodes[0].cpu_milli == 8000
    assert {node.labels for node in trace.nodes} == {(("rack", "0"),), (("rack", "1"),)}
    large = next(job for job in trace.jobs if job.request.template == "large")
    assert large.request.groups[0].where.together == "rack"
    assert large.request.groups[0].replicas_min == 2
