"""`madang job …` against the real API on a port, with an agent that runs nothing."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from madang.cli import _job_options as options
from madang.cli._follow import Screen
from madang.cli.main import app
from madang.core.errors import InvalidInput, MadangError
from madang.core.states import WorkloadKind, WorkloadState
from madang.schemas.jobs import Job, LogText, StateChange, Why
from madang.server.workloads import code
from tests.conftest import People
from tests.server.workloads.live import LogServer, api_on_a_port
from tests.server.workloads.platform import Platform, platform_of


@dataclass
class Terminal:
    platform: Platform
    logs: LogServer
    url: str

    async def type(self, *words: str, user: str = "member") -> Result:
        variables = {
            "MADANG_URL": self.url,
            "MADANG_TOKEN": self.platform.people.tokens[user],
            "MADANG_PROJECT": "vision",
        }
        runner = CliRunner()
        return await asyncio.to_thread(runner.invoke, app, list(words), env=variables)

    async def job(self, *words: str) -> dict[str, Any]:
        result = await self.type("job", "run", "--detach", "--json", *words)
        assert result.exit_code == 0, (result.output, result.exception)
        started: dict[str, Any] = json.loads(result.stdout)
        return started


@asynccontextmanager
async def terminal_of(people: People) -> AsyncIterator[Terminal]:
    logs = LogServer(people.context)
    async with (
        logs.serving(),
        platform_of(people, a={"cpu": 8, "gpus": 2}) as platform,
        api_on_a_port(people.context) as url,
    ):
        yield Terminal(platform, logs, url)


async def play(terminal: Terminal, exit_code: int) -> None:
    """Be the job's process: write two lines, then end."""
    while not (tasks := terminal.platform.agents["a"].tasks):
        await asyncio.sleep(0.01)
    [task] = tasks
    await terminal.logs.write(task, b"epoch 1\nno end of line")
    await terminal.logs.end(task)
    ends = {0: ("completed", 0, {}), 3: ("exit_code", 3, {"exit_code": 3})}
    terminal.platform.agents["a"].end(task, *ends[exit_code])


async def test_run_shows_the_log_and_leaves_with_the_exit_code(sqlite_people: People) -> None:
    async with terminal_of(sqlite_people) as terminal:
        playing = asyncio.ensure_future(play(terminal, 3))
        result = await terminal.type("job", "run", "--gpu", "0.5", "--", "wait", "--lr", "1")
        await playing
        assert result.exit_code == 3, result.output
        assert result.stdout == "epoch 1\nno end of line\n"
        assert "wait failed: failed with exit code 3; its log says why" in result.stderr
        [row] = json.loads((await terminal.type("job", "list", "--json")).stdout)
        assert row["command"] == ["wait", "--lr", "1"]
        assert row["resources"]["gpu"] == 0.5
        assert (await terminal.type("job", "logs", row["id"])).stdout.endswith("line")
        assert (await terminal.type("job", "logs", "--tail", "1", "wait")).stdout == (
            "no end of line"
        )
        waited = await terminal.type("job", "wait", row["id"])
        assert (waited.exit_code, "failed" in waited.stdout) == (3, True)


async def test_everything_that_run_can_ask_for_arrives(
    sqlite_people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text("print(1)")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/a.py").write_text("")
    monkeypatch.chdir(tmp_path)
    async with terminal_of(sqlite_people) as terminal:
        job = await terminal.job(
            *("--name", "big", "--cpu", "2", "--memory", "4GiB", "--gpu", "1", "--priority", "7"),
            *(
                "--gpu-model",
                "H100|A100",
                "--replicas",
                "2..4",
                "--retries",
                "2",
                "--env",
                "A=b=c",
            ),
            *("--retry-exit-codes", "75,128-255", "--time-limit", "1h30m", "--grace", "30s"),
            *("--label", "team=x", "--on-node-lost", "restart", "--upload", "train.py,lib"),
            *("--", "python", "train.py"),
        )
        detail = json.loads((await terminal.type("job", "show", "--json", job["id"])).stdout)
    request = detail["request"]
    expected = {
        "name": "big",
        "command": ["python", "train.py"],
        "resources": {"cpu": 2, "memory": "4GiB", "gpu": 1, "gpu_model": "H100|A100"},
        "replicas": 2,
        "replicas_max": 4,
        "retries": 2,
        "retry_exit_codes": [[75, 75], [128, 255]],
        "time_limit_s": 5400.0,
        "grace_s": 30.0,
        "priority": 7,
        "environment_variables": {"A": "b=c"},
        "labels": {"team": "x"},
        "on_node_lost": "restart",
    }
    assert {key: request[key] for key in expected} == expected
    bundle = code.bundle_path(sqlite_people.context, request["code"])
    assert (bundle / "train.py").read_text() == "print(1)"


async def test_a_local_script_that_is_not_sent_is_noticed(
    sqlite_people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    async with terminal_of(sqlite_people) as terminal:
        result = await terminal.type("job", "run", "-d", "--", "python", "train.py")
        assert "Note: train.py is here, but not where the job runs" in result.stderr


async def test_where_it_runs_and_its_further_roles_are_shown(sqlite_people: People) -> None:
    async with terminal_of(sqlite_people) as terminal:
        server = {"name": "server", "command": ["serve"], "resources": {"cpu": 2}}
        job = await terminal.job(
            *("--priority", "high", "--apart", "node", "--role", json.dumps(server)),
            *("--resource", "matlab=1", "--wait-for-nodes", "--", "work"),
        )
        shown = (await terminal.type("job", "show", job["id"])).stdout
    for words in ("matlab=1", "apart=node", "role server", "1 × cpu=2", "-- serve", "100"):
        assert words in shown


async def test_cancel_clone_events_nodes_queues(sqlite_people: People) -> None:
    async with terminal_of(sqlite_people) as terminal:
        job = await terminal.job("--", "wait")
        await terminal.platform.until_state(job["id"], WorkloadState.RUNNING)
        result = await terminal.type("job", "cancel", job["id"])
        assert result.stdout == f"wait ({job['id']}) is stopping\n"
        await terminal.platform.until_ended(job["id"])
        clone = json.loads((await terminal.type("job", "clone", "--json", job["id"])).stdout)
        assert clone["id"] != job["id"]
        assert clone["command"] == ["wait"]
        events = (await terminal.type("job", "events", job["id"])).stdout
        for words in ("submitted", "pending → starting", "cancel", "was cancelled by member"):
            assert words in events
        nodes = (await terminal.type("node", "list")).stdout
        assert "2 H100 (simulated)" in nodes
        queues = json.loads((await terminal.type("queue", "list", "--json")).stdout)
        assert [queue["name"] for queue in queues] == ["default"]
        shown = (await terminal.type("node", "show", "a")).stdout
        assert "gpu 0" in shown
        refused = await terminal.type("node", "drain", "a")
        assert isinstance(refused.exception, MadangError)
        drained = await terminal.type("node", "drain", "a", user="admin")
        assert "cordoned" in drained.stdout
        assert "drained" in (await terminal.type("event", "list", user="admin")).stdout


async def test_ctrl_c_leaves_the_job_running(sqlite_people: People) -> None:
    """The real command in a process of its own, interrupted as a terminal does it."""
    async with terminal_of(sqlite_people) as terminal:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "madang.cli", "job", "run", "--", "wait"),
            env={
                "MADANG_URL": terminal.url,
                "MADANG_TOKEN": sqlite_people.tokens["member"],
                "PATH": "/usr/bin:/bin",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # In the background of a shell interrupts are ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stderr is not None
        while b"running" not in (line := await process.stderr.readline()):
            assert line, "it ended before the job ran"
        process.send_signal(signal.SIGINT)
        said = (await process.stderr.read()).decode()
        assert await process.wait() == 130
        [row] = json.loads((await terminal.type("job", "list", "--json")).stdout)
        assert row["state"] == "running"
        assert f"madang job cancel {row['id']}" in said


# -- pure parts -------------------------------------------------------------------------------


def job_with(replicas: int) -> Job:
    return Job(
        id="job-1", kind=WorkloadKind.JOB, name="train", project="p", user="u", queue="q",
        state=WorkloadState.PENDING, reason=None, attempt=1, priority=0, replicas=replicas,
        replicas_max=replicas, resources={}, command=["x"], environment="",
        created_at=datetime.now(UTC), started_at=None, ended_at=None, exit_code=None, labels={},
    )  # fmt: skip


def test_lines_of_several_processes_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    log = io.StringIO()
    screen = Screen(job_with(2), several=True, quiet=False, log=log)
    pieces = [("a", 0, "one\ntw"), ("b", 1, "eins\n"), ("a", 0, "o\n"), ("b", 1, "rest")]
    for task_id, rank, text in pieces:
        screen.show(LogText(task_id, rank, 1, 0, 0, text))
    screen.finish_line()
    assert log.getvalue() == "[0] one\n[1] eins\n[0] two\n[1] rest\n"
    for _ in range(2):
        why = Why("resources", "waits for gpu=1")
        screen.show(StateChange(WorkloadState.PENDING, why, None, 1))
    assert capsys.readouterr().err == "train pending: waits for gpu=1\n"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert options.parse_duration(text, "time-limit") == seconds


@pytest.mark.parametrize("text", ["", "h", "1x", "-5s", "1h 30m"])
def test_no_durations(text: str) -> None:
    with pytest.raises(InvalidInput):
        options.parse_duration(text, "time-limit")


def test_mounts() -> None:
    parse = options.parse_mount
    assert (parse("data").folder, parse("data").target, parse("data").read_only) == (
        "data", None, False,
    )  # fmt: skip
    assert parse("data:/d:ro").target == "/d"
    assert parse("data:ro").read_only
    assert parse("team/data:/d").folder == "team/data"
    for wrong in ("", ":/d", "a:b", "a:/b:/c"):
        with pytest.raises(InvalidInput):
            parse(wrong)


def test_replicas_pairs_ranges() -> None:
    assert options.parse_replicas("2") == (2, None)
    assert options.parse_replicas("2..4") == (2, 4)
    assert options.parse_pairs(["A=1", "B="], "env") == {"A": "1", "B": ""}
    assert options.parse_ranges("75,128-255") == [(75, 75), (128, 255)]
    for call in (
        lambda: options.parse_replicas("2.."),
        lambda: options.parse_replicas("x"),
        lambda: options.parse_pairs(["A"], "env"),
        lambda: options.parse_ranges("a-b"),
    ):
        with pytest.raises(InvalidInput):
            call()
