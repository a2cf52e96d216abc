"""Nothing running dies with the agent or the shim, and nothing runs twice."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from madang.server.cluster.shim import cgroups, log, records
from madang.testing.agents import task_spec
from tests.server.cluster.conftest import Node, boxed
from tests.server.cluster.kills import count_under_fire
from tests.server.cluster.test_relays import CALL, ECHO_APP, exchange


async def until_other_shim(node: Node, task_id: str, old: int) -> int:
    async with asyncio.timeout(10):
        while (pid := node.shim_pid(task_id)) == old:
            await asyncio.sleep(0.01)
    return pid


@pytest.mark.root
async def test_a_new_shim_serves_the_same_relays(node: Node) -> None:
    call = CALL + (
        "import time\nprint('ready', flush=True)\n"
        "while not os.path.exists('/tmp/go'): time.sleep(0.01)\n"
        "for _ in range(500):\n"  # refused until the new shim listens
        "    try:\n"
        "        print(call('GET', '/api')[0], flush=True)\n"
        "        break\n"
        "    except OSError:\n"
        "        time.sleep(0.01)\n"
    )
    await node.control.run(boxed("task-1", "python", "-c", call + ECHO_APP, app_port=7000))
    await node.until_log("task-1", "ready")
    old = node.shim_pid("task-1")
    os.kill(old, signal.SIGKILL)
    await until_other_shim(node, "task-1", old)
    (node.folder("task-1") / "scratch/tmp/go").touch()
    await node.until_log("task-1", "200\nlistening")
    assert await exchange(str(node.paths.app_socket("task-1")), b"hello") == b"got 5 hello"
    await node.control.stop("task-1")
    report = await node.control.until_exited("task-1")
    assert report.exit is not None
    assert report.exit.exit_code == 143


@pytest.mark.parametrize("sandbox", ["none", pytest.param("bwrap", marks=pytest.mark.root)])
async def test_the_exit_code_is_known_without_any_shim(idle_node: Node, sandbox: str) -> None:
    make = boxed if sandbox == "bwrap" else task_spec
    node = idle_node
    await node.spawn_agent()
    await node.control.run(make("task-1", "sh", "-c", "echo a; sleep 0.3; echo b; exit 9"))
    await node.until_log("task-1", "a")
    await node.kill_agent()
    os.kill(node.shim_pid("task-1"), signal.SIGKILL)
    async with asyncio.timeout(10):
        while "ended" not in records.read_status(str(node.folder("task-1"))):
            await asyncio.sleep(0.01)
    assert not (node.folder("task-1") / "exit.json").exists()
    await node.spawn_agent()
    report = await node.control.until_exited("task-1")
    assert report.exit is not None
    assert report.exit.exit_code == 9
    assert node.log("task-1") == "a\nb\n"


@pytest.mark.parametrize("sandbox", ["none", pytest.param("bwrap", marks=pytest.mark.root)])
async def test_without_its_sandbox_a_task_ends_as_lost(node: Node, sandbox: str) -> None:
    make = boxed if sandbox == "bwrap" else task_spec
    await node.control.run(make("task-1", "sh", "-c", "echo a; sleep 4243"))
    await node.until_log("task-1", "a")
    child = records.read_json(str(node.folder("task-1")), records.CHILD)
    os.kill(child["pid"], signal.SIGKILL)
    report = await node.control.until_exited("task-1")
    assert report.exit is not None
    assert (report.exit.reason, report.exit.exit_code) == ("supervisor_lost", None)
    assert os.system("pgrep -fx 'sleep 4243' >/dev/null") != 0


async def test_a_launched_task_is_never_launched_again(idle_node: Node) -> None:
    """As after a power cut: the marker is there, the process is not."""
    node = idle_node
    node.start_agent()
    await node.control.run(task_spec("task-1", "sh", "-c", "echo ran; sleep 60"))
    await node.until_log("task-1", "ran")
    await node.stop_agent()
    node.end_everything()
    for path in node.folder("task-1").glob("exit.json"):
        path.unlink()
    marker = records.read_json(str(node.folder("task-1")), records.LAUNCHED)
    marker["boot_id"] = "another-boot"
    records.write_json(str(node.folder("task-1")), records.LAUNCHED, marker)
    node.start_agent()
    report = await node.control.until_exited("task-1")
    assert report.exit is not None
    assert report.exit.reason == "supervisor_lost"
    assert report.exit.facts["cause"] == "rebooted"
    assert node.log("task-1") == "ran\n"


async def test_a_task_whose_shim_was_killed_before_its_child_is_launched(idle_node: Node) -> None:
    """The mark of the launch is there, but no child has written down who it is."""
    node, folder = idle_node, str(idle_node.folder("task-1"))
    node.start_agent()
    await node.control.run(task_spec("task-1", "sh", "-c", "echo ran; sleep $0", "4244"))
    await node.until_log("task-1", "ran")
    await node.stop_agent()
    for name in (records.SHIM, records.CHILD):
        records.kill_process(records.read_json(folder, name))
    groups = records.read_json(folder, records.PLAN)["cgroups"]
    async with asyncio.timeout(10):
        while pids := cgroups.pids(groups):
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)
    for name in (records.CHILD, records.STATUS, log.segment_path(folder, 0)):
        Path(folder, name).unlink()
    node.start_agent()
    await node.until_log("task-1", "ran")
    await node.control.stop("task-1")
    report = await node.control.until_exited("task-1")
    assert report.exit is not None
    assert report.exit.exit_code == 143
    assert node.log("task-1") == "ran\n"


async def test_the_time_limit_goes_on_over_a_new_shim(node: Node) -> None:
    await node.control.run(task_spec("task-1", "sleep", "60", time_limit_s=0.8))
    await node.control.until_running("task-1")
    os.kill(node.shim_pid("task-1"), signal.SIGKILL)
    report = await node.control.until_exited("task-1", timeout_s=5)
    assert report.exit is not None
    assert report.exit.reason == "time_limit"
    assert report.started_at is not None
    assert report.exit.ended_at - report.started_at < 1.5


@pytest.mark.root
@pytest.mark.parametrize("seed", [1, 2])
async def test_counting_under_fire(idle_node: Node, state_dir: Path, seed: int) -> None:
    folder = state_dir / "counts"
    folder.mkdir()
    killed = await count_under_fire(idle_node, folder, tasks=6, kills=14, seed=seed)
    assert killed.agents + killed.shims


async def test_a_plan_of_an_earlier_version_is_understood(node: Node) -> None:
    await node.control.run(task_spec("task-1", "sh", "-c", "echo a; sleep 0.3; echo b; exit 9"))
    await node.until_log("task-1", "a")
    folder = str(node.folder("task-1"))
    plan = records.read_json(folder, records.PLAN)
    for key in ("arguments", "cgroups", "exit_code_key", "isolation", "lease_file", "log_files"):
        del plan[key]
    # What ended without a sandbox wrote its exit code under another key, which stays.
    plan |= {"exit_code_key": "keeper-code", "facts": {}}
    records.write_json(folder, records.PLAN, plan)
    old = node.shim_pid("task-1")
    os.kill(old, signal.SIGKILL)
    await until_other_shim(node, "task-1", old)
    report = await node.control.until_exited("task-1")
    assert report.exit is not None
    assert report.exit.exit_code == 9
    assert node.log("task-1") == "a\nb\n"
