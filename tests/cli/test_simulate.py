"""`madang simulate`: formats, what-ifs, output, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from madang.cli.main import app
from madang.core.errors import InvalidInput, MadangError

EXAMPLES = Path(__file__).parents[2] / "examples" / "simulate"
CSV = ("-w", str(EXAMPLES / "jobs.csv"), "-n", str(EXAMPLES / "nodes.csv"))
QUEUES = ("--queues", str(EXAMPLES / "queues.csv"))
# The columns of the trace (Apache-2.0, hkust-adsl/kubernetes-scheduler-simulator), own rows.
PODS = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,"
    "deletion_time,scheduled_time\n"
    + "".join(f"p{n},500,2048,1,{(50, 100, 250)[n % 3]},,LS,Running,0,1,0\n" for n in range(60))
)
NODES = "sn,cpu_milli,memory_mib,gpu,model\n" + "".join(f"n{n},96000,393216,8,T4\n" for n in "abc")


def simulate(*words: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *words])


def refusal(*words: str) -> MadangError:
    result = simulate(*words)
    assert isinstance(result.exception, MadangError), result.output
    return result.exception


@pytest.fixture
def openb(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "nodes.csv").write_text(NODES)
    (tmp_path / "pods.csv").write_text(PODS)
    return ("--format", "openb", "--nodes", str(tmp_path / "nodes.csv"),
            "--workloads", str(tmp_path / "pods.csv"))  # fmt: skip


def test_openb_prints_the_figures_that_benchmarks_read(openb: tuple[str, ...]) -> None:
    options = ("--inflate", "1.3", "--seed", "42", "--policy", "fgd", "--json")
    plain = json.loads(simulate(*openb, *options).stdout)
    assert {"allocation_at", "decisions_per_s", "unplaced"} <= plain.keys()
    assert {"100", "130"} <= plain["allocation_at"].keys()
    assert 50 < plain["allocation_at"]["100"] <= 100
    assert isinstance(plain["unplaced"], int)


def test_openb_compares_policies_and_nodes(openb: tuple[str, ...], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = simulate(*openb, "--policy", "fgd", "--policy", "bestfit", "--html", str(page))
    assert result.exit_code == 0, result.output
    assert "allocation_at 100" in result.stdout
    assert "<svg" in page.read_text()
    less = simulate(*openb, "--without-node", "na", "--policy", "fgd", "--json", "--compare")
    before, after = json.loads(less.stdout)["scenarios"]
    assert (before["scenario"], after["scenario"]) == ("fgd, as it is", "fgd")
    assert after["pods"] < before["pods"]


def test_a_csv_in_a_table_and_as_a_page(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = simulate(*CSV, *QUEUES, "--compare", "--html", str(page))
    assert result.exit_code == 0, result.output
    for words in ("as it is", "GPU allocation", "wait: p50 / p90 / p99", "vision", str(page)):
        assert words in result.stdout
    assert page.read_text().startswith("<!doctype html>")


def test_orders_are_compared_in_json() -> None:
    result = simulate(*CSV, "--ordering", "fifo", "--ordering", "fair", "--json")
    names = [item["scenario"] for item in json.loads(result.stdout)["scenarios"]]
    assert names == ["default, fifo", "default, fair"]


def test_more_nodes_make_waits_shorter() -> None:
    plain = json.loads(simulate(*CSV, "--json").stdout)
    more = json.loads(simulate(*CSV, "--add-nodes", "2:H100", "--json").stdout)
    assert more["gpus"] == plain["gpus"] + 16
    assert more["wait_s"]["mean"] < plain["wait_s"]["mean"]


def test_the_table_says_why_something_was_never_placed(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.csv"
    jobs.write_text("id,submitted_at,duration_s,gpu\nsmall,0,5,1\nlarge,0,5,64\n")
    result = simulate("-w", str(jobs), *CSV[2:])
    assert "Never placed:\nlarge: " in result.stdout
    assert len(result.stdout.partition("large: ")[2].strip()) > 10
    assert "small" not in result.stdout


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("--policy", "nope"), "'nope' is not a policy", "default, fgd, bestfit"),
        (("--ordering", "nope"), "'nope' is not a ordering", "fifo"),
        (("--format", "nope"), "'nope' is not a format", "openb, pollux, philly, kueue"),
        (("--inflate", "0"), "--inflate 0 is out of range", "From"),
        (("--set", "speech.weight=2"), "no queue 'speech'", "vision"),
        (("--set", "vision.guarantee=gpu=999"), "the cluster has 40", "At most gpu=40"),
        (("--set", "vision.parent=vision"), "would be above itself", "Choose a parent"),
        (("--without-node", "z"), "no node 'z'", "h100-0"),
        (("--add-nodes", "many:H100"), "says not how many", "4:H100"),
        (("--html", "/nowhere/report.html"), "can't be written", "another file"),
    ],
)
def test_what_can_t_be_is_said_with_what_would_do(
    words: tuple[str, ...], said: str, hint: str
) -> None:
    error = refusal(*CSV, *words)
    assert said in error.message
    assert hint in str(error.hint)
    assert error.exit_code == InvalidInput.exit_code == 2


def test_a_wrong_unit_names_row_and_column(openb: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text(NODES.replace("nb,96000", "nb,96"))
    error = refusal(*openb)
    assert "row 3, column 'cpu_milli'" in error.message
    assert error.exit_code == 2


def test_ctrl_c_shows_what_there_is_until_then(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.csv"
    rows = "".join(f"{number},5,1\n" for number in range(60_000))
    jobs.write_text(f"submitted_at,duration_s,gpu\n{rows}")
    command = [sys.executable, "-m", "madang.cli", "simulate", "-w", str(jobs), *CSV[2:], "--json"]
    # Interrupted as soon as it says that it listens.
    code = (
        "import signal, os, threading\n"
        "from madang.scheduling.simulation import driver\n"
        "begun = driver.Simulation.run\n"
        "def run(self, *args, **options):\n"
        "    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    return begun(self, *args, **options)\n"
        "driver.Simulation.run = run\n"
        "from madang.cli.main import main\n"
        "main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *command[3:]],
        capture_output=True, text=True, timeout=60, env=os.environ | {"NO_COLOR": "1"},
    )  # fmt: skip
    assert result.returncode == 128 + signal.SIGINT, result.stderr
    plain = json.loads(result.stdout)
    assert plain["partial"]
    assert 0 < plain["ended"] < 60_000
    assert "Stopping" in result.stderr


def test_nothing_of_the_scheduler_is_loaded_for_help() -> None:
    code = (
        "import sys, madang.cli.main; "
        "sys.exit(any(n.startswith('madang.scheduling') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_moves_within_a_budget_are_compared_and_counted(openb: tuple[str, ...]) -> None:
    budgets = ("--migration-budget", "0", "--migration-budget", "0.5")
    result = simulate(*openb, *budgets, "--json")
    none, some = json.loads(result.stdout)["scenarios"]
    assert (none["scenario"], some["scenario"]) == ("default", "default, moves 0.5")
    assert none["moved"] == 0
    assert some["allocation_at"]["100"] >= none["allocation_at"]["100"]
    plain = json.loads(simulate(*CSV, *budgets, "--json").stdout)["scenarios"]
    assert plain[0]["migrations"] == 0
    assert "out of range" in str(refusal(*openb, "--migration-budget", "1.5"))
