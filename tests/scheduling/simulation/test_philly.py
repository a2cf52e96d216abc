"""Philly's jobs: what is read, and the clusters that are made for them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from madang.core.errors import InvalidInput
from madang.scheduling.simulation import philly
from madang.scheduling.simulation.driver import Simulation

HEADER = "timestamp,duration,num_gpus,gpu_time,cluster\n"
# The first rows of philly.csv of the Pollux artifact (Apache-2.0), derived from Microsoft's Philly
# traces (CC-BY-4.0).
ROWS = (
    "2017-10-09 07:01:55,66.0,1,66.0,11cb48\n"
    "2017-10-09 06:13:03,2951.0,1,2951.0,6214e9\n"
    "2017-10-09 06:13:36,2759.0,16,44144.0,6214e9\n"
)
DATA = Path(os.environ.get("MADANG_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "philly.csv"
    path.write_text(text)
    return path


def test_jobs_in_order_and_large_ones_on_whole_nodes(tmp_path: Path) -> None:
    jobs = philly.read_jobs(write(tmp_path, HEADER + ROWS))
    assert [job.duration_s for job in jobs] == [2951.0, 2759.0, 66.0]
    (group,) = jobs[1].request.groups
    assert (group.replicas_min, group.resources.device_milli) == (2, 8000)


def test_quotas_are_shares_of_gpu_time(tmp_path: Path) -> None:
    jobs = philly.read_jobs(write(tmp_path, HEADER + ROWS))
    assert philly.gpu_time(jobs) == {"11cb48": 66.0, "6214e9": 2951.0 + 44144.0}
    quota = philly.quota_milli(jobs, 10)
    assert sum(quota.values()) <= 80_000
    assert quota["11cb48"] == int(80_000 * 66 / 47161)
    assert philly.private_nodes(jobs, 10) == {"11cb48": 1, "6214e9": 10}


def test_the_cluster_is_as_large_as_the_load_says(tmp_path: Path) -> None:
    jobs = philly.read_jobs(write(tmp_path, HEADER + ROWS))
    span_s = 48 * 60 + 52
    assert philly.nodes_for(jobs, 0.85) == -(-47161 // int(span_s * 0.85 * 8))


def test_a_queue_alone_has_its_own_jobs(tmp_path: Path) -> None:
    jobs = philly.read_jobs(write(tmp_path, HEADER + ROWS))
    alone = philly.private(jobs, "6214e9", 2)
    ran = Simulation(alone).run()
    assert len(ran.jobs) == 2
    assert all(record.ended_at is not None for record in ran.jobs)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2017-10-09 07:01:55,66.0,0,0.0,11cb48\n", "row 2, column 'num_gpus': '0'"),
        ("2017-10-09 07:01:55,1.1,1,66.0,11cb48\n", "row 2, column 'gpu_time': '66.0'"),
        ("yesterday,66.0,1,66.0,11cb48\n", "row 2, column 'timestamp': 'yesterday'"),
        ("2017-10-09 07:01:55,66.0,1,66.0,\n", "row 2, column 'cluster'"),
    ],
)
def test_wrong_rows(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        philly.read_jobs(write(tmp_path, HEADER + row))
    assert said in refused.value.message


def test_the_whole_trace() -> None:
    path = DATA / "pollux" / "philly.csv"
    if not path.exists():
        pytest.skip("philly.csv is not here: set MADANG_SHARED_DATA")
    jobs = philly.read_jobs(path)
    assert len(jobs) == 82_247
    assert philly.nodes_for(jobs, 0.85) == 56
    shares = philly.quota_milli(jobs, 56)
    assert len(shares) == 15
    assert shares["ee9e8c"] / (56 * 8000) == pytest.approx(0.2619, abs=1e-4)
