"""How tasks end, each with its reason and all facts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from madang.core.reasons import Reason, ReasonCode
from madang.server.cluster.protocol import Mount
from madang.testing.agents import FakeControl, task_spec
from tests.server.cluster.conftest import Node, boxed


def sentence(ended: dict[str, Any]) -> str:
    """What people read; a reason without all its facts would raise here."""
    return str(Reason(ReasonCode(ended["reason"]), ended["facts"]))


@pytest.mark.parametrize(
    ("script", "reason", "exit_code"),
    [
        ("exit 0", "completed", 0),
        ("exit 7", "exit_code", 7),
        ("no-such-command-in-the-script", "exit_code", 127),
        ("kill -KILL $$", "signal", 137),
        ("kill -SEGV $$", "signal", 139),
    ],
)
@pytest.mark.parametrize("sandbox", ["none", pytest.param("bwrap", marks=pytest.mark.root)])
async def test_exit_codes(
    node: Node, sandbox: str, script: str, reason: str, exit_code: int
) -> None:
    make = boxed if sandbox == "bwrap" else task_spec
    ended = await node.run(make("task-1", "sh", "-c", script))
    assert (ended["reason"], ended["exit_code"]) == (reason, exit_code)
    assert sentence(ended)


@pytest.mark.parametrize("sandbox", ["none", pytest.param("bwrap", marks=pytest.mark.root)])
async def test_missing_command(node: Node, sandbox: str) -> None:
    make = boxed if sandbox == "bwrap" else task_spec
    ended = await node.run(make("task-1", "no-such-program", "--fast", environment_name="vision"))
    assert sentence(ended) == "the command no-such-program was not found in environment vision"
    assert ended["exit_code"] == 127


async def test_missing_working_directory(node: Node) -> None:
    ended = await node.run(task_spec("task-1", "true", working_directory="/no/such/place"))
    assert ended["reason"] == "start_failed"
    assert "/no/such/place" in sentence(ended)


async def test_missing_environment(node: Node) -> None:
    spec = task_spec("task-1", "true", environment_path="/no/env", environment_name="vision")
    ended = await node.run(spec)
    assert sentence(ended) == (
        "environment vision could not be used: its folder /no/env is not there"
    )


async def test_missing_mount_source(node: Node) -> None:
    mount = Mount("/no/such/folder", "/data", read_only=True, folder="images")
    ended = await node.run(task_spec("task-1", "true", mounts=(mount,)))
    assert sentence(ended) == ("folder images could not be mounted: /no/such/folder is not there")


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (("/mnt/a", "/mnt/a/x/deep"), "/mnt/a/x/deep, and that of one, /mnt/a, overlap"),
        (("/mnt/a/x", "/mnt/a"), "/mnt/a, and that of one, /mnt/a/x, overlap"),
        (("/mnt/a", "/mnt/a"), "/mnt/a, and that of one, /mnt/a, overlap"),
        (("/mnt/a", os.path.dirname(sys.base_prefix)), "system is; mount it elsewhere"),
        (("/mnt/a", "/home/mina/x"), "'/home/mina/x' is where the task's own system is"),
        (("/mnt/a", "/mnt/b/../../etc"), "is not an absolute path without '..'"),
        (("/mnt/a", "/mnt//b"), "is not a path in its shortest form"),
    ],
)
async def test_a_mount_within_another_is_refused(
    node: Node, state_dir: Path, targets: tuple[str, ...], words: str
) -> None:
    """Its way would lead through links that whoever can write to the other has made."""
    mounts = tuple(
        Mount(str(state_dir), target, read_only=False, folder=name)
        for name, target in zip(("one", "two"), targets, strict=True)
    )
    ended = await node.run(task_spec("task-1", "true", mounts=mounts))
    assert ended["reason"] == "folder_missing"
    assert sentence(ended).startswith("folder two could not be mounted: ")
    assert words in sentence(ended)


@pytest.mark.root
async def test_a_sandbox_that_fails_says_why(node: Node, state_dir: Path) -> None:
    (state_dir / "file").touch()
    too_long = "/not-there/" + "x" * 300
    mount = Mount(str(state_dir / "file"), too_long, read_only=True, folder="images")
    ended = await node.run(boxed("task-1", "true", mounts=(mount,)))
    assert ended["reason"] == "start_failed"
    assert "/not-there" in sentence(ended)


async def test_time_limit(node: Node) -> None:
    spec = task_spec("task-1", "sleep", "60", time_limit_s=0.3)
    ended = await node.run(spec)
    assert sentence(ended) == "was stopped at its time limit of 0.3 s"
    assert ended["exit_code"] == 143


@pytest.mark.parametrize("sandbox", ["none", pytest.param("bwrap", marks=pytest.mark.root)])
async def test_stop_asks_every_process_and_waits(node: Node, sandbox: str) -> None:
    make = boxed if sandbox == "bwrap" else task_spec
    script = (
        "(trap 'echo child heard; exit' TERM; echo ready; while :; do sleep 0.05; done) &\n"
        "trap 'echo parent heard; wait; exit 5' TERM; wait; wait"
    )
    await node.control.run(make("task-1", "sh", "-c", script))
    await node.until_log("task-1", "ready")
    await node.control.stop("task-1")
    report = await node.control.until_exited("task-1")
    assert {"child heard", "parent heard"} <= set(node.log("task-1").splitlines())
    assert report.exit is not None
    assert report.exit.exit_code == 5
    assert report.exit.facts == {"exit_code": 5, "stopped_by": "order"}


@pytest.mark.parametrize("sandbox", ["none", pytest.param("bwrap", marks=pytest.mark.root)])
async def test_after_the_grace_it_is_killed(node: Node, sandbox: str) -> None:
    make = boxed if sandbox == "bwrap" else task_spec
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    await node.control.run(make("task-1", "sh", "-c", script, grace_s=0.3))
    await node.until_log("task-1", "ready")
    await node.control.stop("task-1")
    report = await node.control.until_exited("task-1", timeout_s=5)
    assert report.exit is not None
    assert (report.exit.reason, report.exit.exit_code) == ("signal", 137)


@pytest.mark.parametrize("sandbox", ["none", pytest.param("bwrap", marks=pytest.mark.root)])
async def test_nothing_of_a_task_outlives_it(node: Node, sandbox: str, state_dir: Path) -> None:
    make = boxed if sandbox == "bwrap" else task_spec
    ended = await node.run(make("task-1", "sh", "-c", "setsid sleep 4242 & echo $!"))
    assert ended["reason"] == "completed"
    found = subprocess.run(["pgrep", "-fx", "sleep 4242"], capture_output=True, check=False)
    assert found.stdout == b""


@pytest.mark.root
async def test_out_of_memory_ends_the_task_and_no_other(node: Node) -> None:
    await node.control.run(boxed("task-other", "sleep", "60"))
    eat = "import os,time\npid=os.fork()\nif pid: time.sleep(60)\nelse: x=bytearray(300<<20)\n"
    ended = await node.run(boxed("task-1", "python", "-c", eat, memory_bytes=64 * 2**20))
    assert sentence(ended) == "out of memory: limit 64MiB; ask for more with --memory"
    assert ended["exit_code"] == 137
    assert node.control.seen["task-other"].phase == "running"


@pytest.fixture
def small_disk(state_dir: Path) -> Iterator[Path]:
    """A file system of 1 MiB where tasks have their folders."""
    tasks = state_dir / "tasks"
    tasks.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tasks)], check=True)
    yield tasks
    subprocess.run(["umount", "-l", str(tasks)], check=True)


@pytest.mark.root
async def test_disk_full_while_writing_its_log(small_disk: Path, node: Node) -> None:
    ended = await node.run(task_spec("task-1", "sh", "-c", "yes; sleep 60"))
    assert sentence(ended) == f"the disk that holds {small_disk / 'task-1'} is full"


@pytest.mark.root
async def test_disk_full_before_the_start(small_disk: Path, node: Node) -> None:
    await node.control.until(lambda: bool(node.control.syncs))
    with open(small_disk / "ballast", "wb") as file:
        while True:
            try:
                os.write(file.fileno(), bytes(4096))
            except OSError:
                break
    ended = await node.run(task_spec("task-1", "true"))
    assert ended["reason"] == "disk_full"
    assert sentence(ended)


@pytest.mark.parametrize(("policy", "survives"), [("restart", False), ("keep", True)])
async def test_a_lost_lease(idle_node: Node, policy: Any, survives: bool) -> None:
    idle_node.control.lease_s = 0.6
    idle_node.start_agent()
    await idle_node.control.run(task_spec("task-1", "sleep", "60", on_node_lost=policy))
    await idle_node.control.until_running("task-1")
    await idle_node.control.stop_serving()
    control: FakeControl = idle_node.control
    exit_file = idle_node.folder("task-1") / "exit.json"
    import asyncio

    await asyncio.sleep(1.0)
    assert exit_file.exists() != survives
    await control.start()
    if not survives:
        report = await control.until_exited("task-1")
        assert report.exit is not None
        ended = {"reason": report.exit.reason, "facts": report.exit.facts}
        assert sentence(ended).startswith("node node-a has not answered since 2")
