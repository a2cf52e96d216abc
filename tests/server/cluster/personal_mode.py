"""Run by test_agent.py as somebody who is not root: one sandboxed task, its report as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from madang.core.settings import Settings
from madang.server.cluster.agent import Agent
from madang.server.cluster.codec import to_json
from madang.server.paths import StatePaths
from madang.testing.agents import FakeControl, task_spec


async def main(state_dir: Path) -> None:
    paths = StatePaths(state_dir / "own")
    paths.create()
    control = FakeControl(paths)
    await control.start()
    agent = asyncio.ensure_future(Agent(Settings(state_dir=paths.state_dir), paths).run())
    script = "id -u; pwd; exit 3"
    await control.run(task_spec("task-1", "sh", "-c", script, sandbox="bwrap"))
    report = await control.until_exited("task-1")
    log = (paths.tasks / "task-1" / "log.0000000000000000").read_text()
    agent.cancel()
    await asyncio.gather(agent, return_exceptions=True)
    await control.stop_serving()
    print(json.dumps(to_json(report) | {"log": log}))


asyncio.run(main(Path(sys.argv[1])))
