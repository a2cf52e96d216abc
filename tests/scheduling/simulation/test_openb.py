"""The openb trace: its files, its protocol, and figures where the data is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from madang.core.errors import InvalidInput
from madang.core.resources import Resources
from madang.scheduling.simulation.openb import OpenbResult, arrival_sequence, replay, replay_pods
from madang.scheduling.simulation.openb_files import Pod, read_nodes, read_pods
from tests.scheduling.simulation.traces import node

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("MADANG_SHARED_DATA", ROOT.parent / "shared" / "data")) / "openb"
NODES = DATA / "openb_node_list_gpu_node.csv"

with_data = pytest.mark.skipif(not NODES.exists(), reason=f"the trace is not at {DATA}")

# Rows of the Alibaba GPU trace of 2023 (hkust-adsl/kubernetes-scheduler-simulator, Apache-2.0).
NODE_ROWS = """sn,cpu_milli,memory_mib,gpu,model
openb-node-0000,64000,262144,2,P100
openb-node-0001,96000,393216,8,G2
"""
POD_ROWS = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos
openb-pod-0000,12000,16384,1,1000,,LS
openb-pod-0001,6000,12288,1,460,V100M16|P100,LS
openb-pod-0002,12500,57344,0,0,,LS
openb-pod-0003,32000,65536,4,1000,,LS
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    nodes, pods = tmp_path / "nodes.csv", tmp_path / "pods.csv"
    nodes.write_text(NODE_ROWS)
    pods.write_text(POD_ROWS)
    return nodes, pods


def test_reading(files: tuple[Path, Path]) -> None:
    nodes, pods = read_nodes(files[0]), read_pods(files[1])
    assert [(n.cpu_milli, len(n.devices)) for n in nodes] == [(64_000, 2), (96_000, 8)]
    assert [pod.gpu_milli for pod in pods] == [1000, 460, 0, 4000]
    assert [pod.gpu_milli_each for pod in pods] == [1000, 460, 0, 1000]
    assert pods[1].need.device_models == ("V100M16", "P100")
    assert pods[2].need == Resources(12_500, 57_344 << 20)


@pytest.mark.parametrize(
    ("which", "old", "new", "said"),
    [
        (0, "cpu_milli,", "cpus,", "nodes.csv, row 1: there is no column 'cpu_milli'"),
        (0, "64000", "64", "row 2, column 'cpu_milli': '64' can't be used"),
        (0, "393216", "412316860416", "row 3, column 'memory_mib'"),
        (0, "8,G2", "8,", "row 3, column 'model'"),
        (1, "460", "0.46", "pods.csv, row 3, column 'gpu_milli': '0.46' can't be used"),
        (1, "1,1000", "1,0", "row 2, column 'gpu_milli'"),
        (1, "4,1000", "4,500", "row 5, column 'gpu_milli': '500' can't be used"),
        (1, "0,0,,LS", "0,0,,LS,9", "row 4: 8 cells, 7 columns"),
    ],
)
def test_what_is_wrong_is_said_with_row_and_column(
    files: tuple[Path, Path], which: int, old: str, new: str, said: str
) -> None:
    text = files[which].read_text()
    assert old in text
    files[which].write_text(text.replace(old, new, 1))
    with pytest.raises(InvalidInput) as error:
        replay(*files)
    assert said in str(error.value)


def test_arrivals_repeat_the_list_until_the_load_is_reached() -> None:
    pods = [Pod(f"p{i}", Resources(1000, 0, "gpu", milli)) for i, milli in enumerate([1000, 500])]
    arrivals = arrival_sequence(pods, 10_000, 1.3, seed=1)
    assert {pod.name for pod in arrivals[:2]} == {"p0", "p1"}
    assert 12_000 < sum(pod.gpu_milli for pod in arrivals) <= 13_000
    assert arrivals == arrival_sequence(pods, 10_000, 1.3, seed=1)
    assert arrivals != arrival_sequence(pods, 10_000, 1.3, seed=2)
    fewer = arrival_sequence(pods * 20, 10_000, 1.3, seed=1)
    assert sum(pod.gpu_milli for pod in fewer) <= 13_000


def test_a_pod_that_fits_nowhere_is_dropped(files: tuple[Path, Path]) -> None:
    result = replay(*files, policy="first-fit")
    assert result.unplaced > 0
    assert 50 < max(result.curve.values()) <= 100
    assert not result.partial


def test_stopping_gives_what_there_is(files: tuple[Path, Path]) -> None:
    told: list[tuple[int, int]] = []
    result = replay(*files, progress=lambda *at: told.append(at), stop=lambda: True)
    assert (result.partial, result.pods, result.curve) == (True, 0, {})
    assert told


def small(workload: str, policy: str, mix: str = "given") -> OpenbResult:
    """An eighth of the cluster."""
    pods = read_pods(DATA / f"openb_pod_list_{workload}.csv")
    return replay_pods(read_nodes(NODES)[::8], pods, policy=policy, mix=mix)


@with_data
def test_the_same_replay_gives_the_same_result() -> None:
    first, second = small("default", "default"), small("default", "default")
    assert (first.curve, first.unplaced) == (second.curve, second.unplaced)


@with_data
@pytest.mark.parametrize(("workload", "gain"), [("default", 0.2), ("gpuspec33", 1.0)])
def test_the_default_policy_allocates_more_than_fgd(workload: str, gain: float) -> None:
    fgd = small(workload, "fgd").curve["100"]
    assert small(workload, "default").curve["100"] > fgd + gain
    assert small(workload, "default", "learned").curve["100"] > fgd


@with_data
def test_fgd_comes_out_as_published() -> None:
    result = replay(NODES, DATA / "openb_pod_list_gpuspec33.csv", policy="fgd")
    assert result.curve["100"] == pytest.approx(87.84, abs=0.5)  # sd of a seed: 0.2


def test_pods_move_within_the_budget_and_more_find_room() -> None:
    """Chance has spread the shares; joined, they leave whole devices."""
    nodes = [node(f"n{number}", gpus=1) for number in range(8)]
    pods = [
        Pod(f"p{number}", Resources.parse(("cpu=1", "memory=1GiB", f"gpu={share}")))
        for number, share in enumerate([0.3, 0.4, 0.6, 0.7, 1.0] * 4)
    ]
    kept = replay_pods(nodes, pods, policy="random", seed=3)
    moved = replay_pods(nodes, pods, policy="random", seed=3, migration_budget=1.0)
    assert kept.moved == 0
    assert moved.moved > 0
    assert list(moved.curve.values())[-1] > list(kept.curve.values())[-1]
    few = replay_pods(nodes, pods, policy="random", seed=3, migration_budget=0.1)
    assert few.moved <= 0.1 * moved.pods
