"""A node for tests: control (a fake), an agent, and tasks that really run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from madang.core.settings import Settings
from madang.server.cluster.agent import Agent
from madang.server.cluster.protocol import TaskSpec, TaskUser
from madang.server.cluster.sandbox import Sandbox
from madang.server.cluster.shim import cgroups, records
from madang.server.paths import StatePaths
from madang.testing.agents import FakeControl, task_spec

MINA = TaskUser("mina", 20001, 20001)
JUNO = TaskUser("juno", 20002, 20002)


@dataclass
class Node:
    """`start_agent` has one in this process, `spawn_agent` one that can be killed."""

    paths: StatePaths
    control: FakeControl
    settings: dict[str, Any] = field(default_factory=dict)
    agent: asyncio.Future[None] | None = None
    process: asyncio.subprocess.Process | None = None

    def start_agent(self, sandboxes: Mapping[str, Sandbox] | None = None) -> None:
        settings = Settings(state_dir=self.paths.state_dir, node_name="node-a", **self.settings)
        self.agent = asyncio.ensure_future(Agent(settings, self.paths, sandboxes=sandboxes).run())

    async def stop_agent(self) -> None:
        if self.agent is not None:
            self.agent.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.agent
            self.agent = None

    async def spawn_agent(self) -> None:
        with open(self.paths.server_logs / "agent.log", "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "madang.server.agent",
                *("--state-dir", str(self.paths.state_dir), "--node-name", "node-a"),
                stderr=log,
            )

    async def kill_agent(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
            self.process = None

    def folder(self, task_id: str) -> Path:
        return self.paths.tasks / task_id

    def log(self, task_id: str) -> str:
        segments = sorted(self.folder(task_id).glob("log.*"))
        return b"".join(path.read_bytes() for path in segments).decode()

    async def until_log(self, task_id: str, text: str, timeout_s: float = 10.0) -> str:
        async with asyncio.timeout(timeout_s):
            while text not in self.log(task_id):
                await asyncio.sleep(0.01)
        return self.log(task_id)

    def shim_pid(self, task_id: str) -> int:
        return int(records.read_json(str(self.folder(task_id)), records.SHIM)["pid"])

    async def run(self, spec: TaskSpec, timeout_s: float = 20.0) -> dict[str, Any]:
        """Run a task to its end; returns its exit record and isolation in one dictionary."""
        await self.control.run(spec)
        report = await self.control.until_exited(spec.task_id, timeout_s)
        assert report.exit is not None
        code, facts = report.exit.reason, report.exit.facts
        return {"reason": code, "facts": facts, "exit_code": report.exit.exit_code} | {
            "isolation": report.isolation,
            "report": report,
        }

    def end_everything(self) -> None:
        """Kill what the test left running: shims first, then tasks."""
        for folder in self.paths.tasks.iterdir():
            if not folder.is_dir():
                continue
            shim = records.open_process(records.read_json(str(folder), records.SHIM))
            plan = {"cgroups": {}} | (records.read_json(str(folder), records.PLAN) or {})
            child = records.open_process(records.read_json(str(folder), records.CHILD))
            for descriptor in (shim, child):
                if descriptor is not None:
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    os.close(descriptor)
            deadline_s = time.monotonic() + 5
            while (pids := cgroups.pids(plan["cgroups"])) and time.monotonic() < deadline_s:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.005)
            cgroups.remove(plan["cgroups"])
            shutil.rmtree(Path(plan.get("scratch", "/nowhere/x")).parent, ignore_errors=True)
            for group in plan["cgroups"].values():
                with contextlib.suppress(OSError):
                    os.rmdir(os.path.dirname(group))


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """Not in pytest's own folder, whose parents other users can't enter."""
    folder = Path(tempfile.mkdtemp(prefix="madang-node-"))
    folder.chmod(0o755)
    yield folder / "state"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def idle_node(state_dir: Path) -> AsyncIterator[Node]:
    """A node with no agent yet."""
    paths = StatePaths(state_dir)
    paths.create()
    node = Node(paths, FakeControl(paths))
    await node.control.start()
    yield node
    await node.kill_agent()
    await node.stop_agent()
    await node.control.stop_serving()
    node.end_everything()
    shutil.rmtree(paths.sockets, ignore_errors=True)


@pytest.fixture
async def node(idle_node: Node) -> Node:
    idle_node.start_agent()
    return idle_node


def boxed(task_id: str, *command: str, user: TaskUser = MINA, **changes: Any) -> TaskSpec:
    """A task in a real sandbox, as a user of her own."""
    return task_spec(task_id, *command, sandbox="bwrap", user=user, **changes)
