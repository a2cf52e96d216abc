"""The simple CSV format: what is read, and what is said of what can't be."""

from __future__ import annotations

from pathlib import Path

import pytest

from madang.core.errors import InvalidInput
from madang.scheduling.simulation import csv
from madang.scheduling.simulation.driver import Simulation

EXAMPLES = Path(__file__).parents[3] / "examples" / "simulate"
JOBS = "submitted_at,duration_s,gpu,cpu,memory\n"
NODES = "name,cpu,memory,gpu\n"


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_the_examples_run() -> None:
    trace = csv.read(*(EXAMPLES / f"{name}.csv" for name in ("jobs", "nodes", "queues")))
    assert len(trace.nodes) == 7
    assert {queue.id for queue in trace.queues} == {"research", "vision", "language", "notebooks"}
    ran = Simulation(trace).run()
    assert all(record.ended_at is not None for record in ran.jobs)


def test_times_may_be_dates(tmp_path: Path) -> None:
    text = JOBS + "2026-11-21T09:00:00Z,10,1,1,1GiB\n2026-11-21T10:00:10+01:00,10,1,1,1GiB\n"
    first, second = csv.read_jobs(write(tmp_path, "jobs.csv", text))
    assert second.request.submitted_at - first.request.submitted_at == 10


def test_elastic_jobs_and_counts_of_nodes(tmp_path: Path) -> None:
    text = "submitted_at,duration_s,gpu,replicas\n0,60,1,2..8\n"
    (job,) = csv.read_jobs(write(tmp_path, "jobs.csv", text))
    assert (job.request.groups[0].replicas_min, job.request.groups[0].replicas_max) == (2, 8)
    assert job.request.resizable
    nodes = csv.read_nodes(write(tmp_path, "nodes.csv", "name,cpu,memory,count\nn,8,1GiB,3\n"))
    assert [node.name for node in nodes] == ["n-0", "n-1", "n-2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("submitted,duration_s\n0,1\n", "jobs.csv, row 1: there is no column 'submitted_at'"),
        (JOBS.replace("gpu", "gpus") + "0,1,1,1,1GiB\n", "row 1: unknown column 'gpus'"),
        (JOBS + "0,60,1,1,1GiB\n5,ten,1,1,1GiB\n", "row 3, column 'duration_s': 'ten'"),
        (JOBS + "0,-60,1,1,1GiB\n", "row 2, column 'duration_s': '-60'"),
        (JOBS + "soon,60,1,1,1GiB\n", "row 2, column 'submitted_at': 'soon'"),
        (JOBS + "0,60,1.5,1,1GiB\n", "row 2, column 'gpu': '1.5'"),
        (JOBS + "0,60,1,1,8\n", "row 2, column 'memory': '8'"),
        (JOBS + "0,60,1,1\n", "row 2: 4 cells, 5 columns"),
        (JOBS, "jobs.csv has no jobs"),
        (
            JOBS + "0,60,1,1,1GiB\n2026-11-21,60,1,1,1GiB\n",
            "row 3, column 'submitted_at': '2026-11-21'",
        ),
        (JOBS + "2026-11-21,60,1,1,1GiB\n5,60,1,1,1GiB\n", "row 3, column 'submitted_at': '5'"),
        (JOBS + "1e300,60,1,1,1GiB\n", "row 2, column 'submitted_at': '1e300'"),
        (JOBS + "nan,60,1,1,1GiB\n", "row 2, column 'submitted_at': 'nan'"),
        (JOBS + "0,1e300,1,1,1GiB\n", "row 2, column 'duration_s': '1e300'"),
        ("submitted_at,duration_s,replicas\n0,1,1..1000000000\n", "row 2, column 'replicas'"),
        ("submitted_at,duration_s,priority\n0,1,1e300\n", "row 2, column 'priority': '1e300'"),
        (JOBS.replace("cpu", "id") + "0,1,1,x,1GiB\n0,1,1,x,1GiB\n", "row 3, column 'id': 'x'"),
    ],
)
def test_wrong_jobs(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        csv.read_jobs(write(tmp_path, "jobs.csv", text))
    assert said in refused.value.message
    assert refused.value.exit_code == 2
    assert refused.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NODES + "n,8,lots,1\n", "row 2, column 'memory': 'lots'"),
        (NODES + "n,8,1GiB,1\nn,8,1GiB,1\n", "node 'n' twice"),
        (NODES + "n,8,1GiB,1.5\n", "row 2, column 'gpu': '1.5'"),
        (NODES + ",8,1GiB,1\n", "row 2, column 'name'"),
        ("name,cpu,memory,count\nn,1,1GiB,100000000\n", "row 2, column 'count': '100000000'"),
        ("name,cpu,memory,count\nn,1,1GiB,20000\nm,1,1GiB,1\n", "row 3, column 'count': '1'"),
        ("name,cpu,memory,count,gpu\nn,1,1GiB,10000,64\n", "row 2, column 'count': '10000'"),
        (NODES + "n,1e300,1GiB,1\n", "row 2, column 'cpu': '1e300'"),
    ],
)
def test_wrong_nodes(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        csv.read_nodes(write(tmp_path, "nodes.csv", text))
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,parent\na,b\n", "row 2, column 'parent': 'b'"),
        ("name,guarantee\na,gpu\n", "row 2, column 'guarantee': 'gpu'"),
        ("name,weight\na,heavy\n", "row 2, column 'weight': 'heavy'"),
        ("name,weight\na,1\nb,0\n", "row 3, column 'weight': '0'"),
        ("name,weight\na,nan\n", "row 2, column 'weight': 'nan'"),
        ("name,parent\na,b\nb,a\n", "row 2, column 'parent': 'b'"),
        ("name,parent\na,b\nb,b\n", "row 3, column 'parent': 'b'"),
        ("name,parent\na,\na,\n", "row 3, column 'name': 'a'"),
        ("name,ordering\na,best\n", "row 2, column 'ordering': 'best'"),
        ("name,guarantee,limit\na,gpu=4,gpu=2\n", "row 2, column 'limit': 'gpu=2'"),
        (
            "name,parent,guarantee\na,,gpu=2\nb,a,gpu=2\nc,a,gpu=1\n",
            "row 4, column 'guarantee': 'gpu=1'",
        ),
    ],
)
def test_wrong_queues(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        csv.read_queues(write(tmp_path, "queues.csv", text))
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("a,gpu=3", "2, column 'guarantee': 'gpu=3'"),
        ("a,gpu=1\nb,gpu=2", "3, column 'guarantee': 'gpu=2'"),
        ("a,gpu=1\nb,gpu/H100=2", "3, column 'guarantee': 'gpu/H100=2'"),
        ("a,gpu/A100=1", "2, column 'guarantee': 'gpu/A100=1'"),
        ("a,memory=2TiB", "2, column 'guarantee': 'memory=2TiB'"),
    ],
)
def test_more_guaranteed_than_there_is(tmp_path: Path, text: str, column: str) -> None:
    nodes = csv.read_nodes(
        write(tmp_path, "nodes.csv", "name,cpu,memory,gpu,gpu_model\nn,8,1TiB,2,H100\n")
    )
    fine = write(tmp_path, "queues.csv", "name,guarantee\na,gpu/H100=1 gpu=1\nb,gpu=1 cpu=8\n")
    assert len(csv.read_queues(fine, nodes)) == 2
    with pytest.raises(InvalidInput) as refused:
        csv.read_queues(write(tmp_path, "queues.csv", f"name,guarantee\n{text}\n"), nodes)
    assert f"row {column}" in refused.value.message


def test_amounts_are_counted_as_queues_count() -> None:
    assert csv.parse_amounts("gpu=8 cpu=1.5 memory=1TiB", "limit") == (
        ("cpu", 1500),
        ("gpu", 8000),
        ("memory", 2**40),
    )


def test_no_file() -> None:
    with pytest.raises(InvalidInput, match="there is no file"):
        csv.read_jobs(Path("/nowhere/jobs.csv"))
