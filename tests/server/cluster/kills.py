"""Killing agents and shims at random while tasks count: used by the tests and the benchmark."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from dataclasses import dataclass
from pathlib import Path

from madang.server.cluster.protocol import Mount, TaskReport, TaskSpec
from tests.server.cluster.conftest import Node, boxed

COUNT = """
import os, sys, time
name, numbers, code = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(f"/counts/{name}.starts", "a") as file:
    file.write("started\\n")
with open(f"/counts/{name}", "a") as file:
    for number in range(numbers):
        print(number, file=file, flush=True)
        print("line", number, "of", name, flush=True)
        time.sleep(0.002)
sys.exit(code)
"""


@dataclass
class Killed:
    """What was done, for the message of a failure."""

    agents: int = 0
    shims: int = 0


async def count_under_fire(
    node: Node, folder: Path, *, tasks: int, kills: int, seed: int
) -> Killed:
    """Run `tasks` counting tasks while `kills` times an agent or a shim is killed with -9.

    Asserts that each task ran once, counted to its end, and that its file, log and exit record
    agree.
    `node` has no agent yet; `folder` is where they count.
    """
    chance = random.Random(seed)
    folder.chmod(0o777)
    specs = [_counting(folder, f"task-{seed}-{index}", chance) for index in range(tasks)]
    await node.spawn_agent()
    await node.control.run(*specs)
    killed = Killed()
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0, 0.25))
        if chance.random() < 0.3:
            await node.kill_agent()
            killed.agents += 1
            await asyncio.sleep(chance.uniform(0, 0.1))
            await node.spawn_agent()
        else:
            killed.shims += _kill_shim(node, chance.choice(specs).task_id)
    for spec in specs:
        report = await node.control.until_exited(spec.task_id, timeout_s=60)
        _check(node, folder, spec, report, killed)
    return killed


def _counting(folder: Path, task_id: str, chance: random.Random) -> TaskSpec:
    numbers, code = chance.randint(1, 1200), chance.choice([0, 3, 77])
    return boxed(
        task_id,
        *("python", "-c", COUNT, task_id, str(numbers), str(code)),
        mounts=(Mount(str(folder), "/counts", read_only=False),),
        memory_bytes=128 * 2**20,
    )


def _kill_shim(node: Node, task_id: str) -> int:
    with contextlib.suppress(TypeError, ProcessLookupError, FileNotFoundError):
        pid = node.shim_pid(task_id)
        if not (node.folder(task_id) / "exit.json").exists():
            os.kill(pid, signal.SIGKILL)
            return 1
    return 0


def _check(node: Node, folder: Path, spec: TaskSpec, report: TaskReport, killed: Killed) -> None:
    task_id, numbers, code = spec.task_id, int(spec.command[-2]), int(spec.command[-1])
    where = f"{task_id} after {killed}: {report.exit}"
    assert report.exit is not None
    assert report.exit.reason != "supervisor_lost", where
    assert (folder / f"{task_id}.starts").read_text() == "started\n", where
    assert report.exit.exit_code == code, where
    assert (folder / task_id).read_text().split() == [str(n) for n in range(numbers)], where
    expected = "".join(f"line {number} of {task_id}\n" for number in range(numbers))
    assert node.log(task_id) == expected, where
