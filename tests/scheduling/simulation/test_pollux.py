from __future__ import annotations

import os
from pathlib import Path

import pytest

from madang.core.errors import InvalidInput
from madang.scheduling.simulation.pollux import EPOCHS, Application, Submission, read_workload
from madang.scheduling.simulation.pollux_baselines import run_tiresias
from madang.scheduling.simulation.pollux_run import PolluxRun, Setting

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("MADANG_SHARED_DATA", ROOT.parent / "shared" / "data")) / "pollux"
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"Pollux's workloads and profiles are not at {DATA}"
)


@pytest.fixture(scope="module")
def applications() -> dict[str, Application]:
    return {name: Application(DATA / "profiles" / name) for name in EPOCHS}


@pytest.fixture(scope="module")
def workload() -> list[Submission]:
    return read_workload(DATA / "workloads" / "workload-6.csv")


@needs_data
def test_tiresias_is_exactly_as_published(
    workload: list[Submission], applications: dict[str, Application]
) -> None:
    outcome = run_tiresias(workload, applications)
    assert len(outcome.completion_s) == 160
    assert outcome.mean_s == pytest.approx(3469.69375)


@needs_data
@pytest.mark.parametrize(
    ("setting", "most_s"),
    [
        (Setting("shortest"), 2800),
        (Setting("attained", declared=False, learned=False), 3200),
        (Setting("goodput"), 2100),
    ],
)
def test_completion_times_through_the_planner(
    workload: list[Submission],
    applications: dict[str, Application],
    setting: Setting,
    most_s: float,
) -> None:
    outcome = PolluxRun(workload, applications, setting).run()
    assert len(outcome.completion_s) == 160
    assert outcome.mean_s < most_s


@needs_data
def test_a_run_comes_out_the_same_again(
    workload: list[Submission], applications: dict[str, Application]
) -> None:
    first, again = (
        PolluxRun(workload[:40], applications, Setting("goodput")).run().completion_s
        for _ in range(2)
    )
    assert first == again


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,soon,bert,1,12", "row 2, column 'time': 'soon'"),
        ("a,1e300,bert,1,12", "row 2, column 'time': '1e300'"),
        ("a,1,word2vec,1,12", "row 2, column 'application': 'word2vec'"),
        ("a,1,bert,-3,12", "row 2, column 'num_replicas': '-3'"),
        ("a,1,bert,1.5,12", "row 2, column 'num_replicas': '1.5'"),
        ("a,1,bert,1", "row 2: 4 cells, 5 columns"),
        ("", "has no jobs"),
    ],
)
def test_a_wrong_workload_is_refused_by_row_and_column(
    tmp_path: Path, row: str, said: str
) -> None:
    path = tmp_path / "workload.csv"
    path.write_text(f"name,time,application,num_replicas,batch_size\n{row}\n")
    with pytest.raises(InvalidInput, match=said):
        read_workload(path)


def test_a_workload_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "workload.csv"
    path.write_text("name,time,application,num_replicas\na,1,bert,1\n")
    with pytest.raises(InvalidInput, match="no column 'batch_size'"):
        read_workload(path)


def test_what_is_no_workload_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary.csv"
    binary.write_bytes(bytes(range(128, 256)))
    with pytest.raises(InvalidInput, match="is not a CSV file"):
        read_workload(binary)
    with pytest.raises(InvalidInput, match="can't be read: Is a directory"):
        read_workload(tmp_path)
    with pytest.raises(InvalidInput, match="there is no file"):
        read_workload(tmp_path / "none.csv")
