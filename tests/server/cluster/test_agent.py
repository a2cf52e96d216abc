from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from madang.core.errors import Conflict
from madang.core.settings import Settings
from madang.server.cluster.agent import Agent
from madang.server.cluster.agent.control import ControlClient
from madang.server.cluster.protocol import DeviceShare, Mount, NodeInventory
from madang.server.cluster.sandbox import BwrapSandbox
from madang.server.cluster.shim import records
from madang.server.paths import make_folder
from madang.testing.agents import AgentContract, FakeAgent, FakeControl, task_spec
from tests.server.cluster.conftest import Node, boxed


class TestRealAgent(AgentContract):
    @pytest.fixture
    def control(self, node: Node) -> FakeControl:
        return node.control

    @pytest.fixture
    def agent(self, node: Node) -> Node:
        return node


class TestFakeAgent(AgentContract):
    @pytest.fixture
    def control(self, idle_node: Node) -> FakeControl:
        return idle_node.control

    @pytest.fixture
    async def agent(self, idle_node: Node) -> AsyncIterator[FakeAgent]:
        client = ControlClient(idle_node.paths, "node-a")
        agent = FakeAgent(client.sync, NodeInventory("node-a", 1000, 2**30))
        running = asyncio.ensure_future(agent.run())
        yield agent
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.close()


async def test_a_second_agent_for_one_state_folder_is_refused(node: Node) -> None:
    await node.control.until(lambda: bool(node.control.syncs))
    with pytest.raises(Conflict, match="another agent"):
        await Agent(Settings(state_dir=node.paths.state_dir), node.paths).run()


async def test_the_environment_is_the_tasks_alone(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "hunter2")
    spec = task_spec("task-1", "env", environment_variables={"MADANG_TASK_ID": "task-1"})
    await node.run(spec)
    variables = dict(line.split("=", 1) for line in node.log("task-1").splitlines())
    assert set(variables) - {"PWD", "OLDPWD", "_"} == {
        *("HOME", "USER", "LOGNAME", "PATH", "LANG", "TMPDIR", "SHELL"),
        *("MADANG_API_URL", "MADANG_REPORT_SOCKET", "MADANG_TASK_ID"),
        *("MLFLOW_TRACKING_URI", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"),
    }
    assert variables["MADANG_API_URL"].startswith("http://127.0.0.1:")
    assert not variables["MADANG_API_URL"].endswith("%")


@pytest.mark.parametrize("sandbox", ["none", pytest.param("bwrap", marks=pytest.mark.root)])
async def test_only_the_command_sees_the_tasks_variables(node: Node, sandbox: str) -> None:
    """Not the keeper, the sandbox or setpriv, which are root: the loader of each program complains
    of what it can't preload."""
    make = boxed if sandbox == "bwrap" else task_spec
    variables = {"LD_PRELOAD": "/no/such.so", "MARK": "treasure"}
    spec = make("task-1", "sleep", "60", environment_variables=variables)
    await node.control.run(spec)
    await node.until_log("task-1", "/no/such.so")
    status = records.read_status(str(node.folder("task-1")))
    keeper = records.read_json(str(node.folder("task-1")), records.CHILD)["pid"]
    for pid in filter(None, (keeper, status.get("child-pid"))):
        assert b"treasure" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert b"treasure" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    await node.control.stop("task-1")
    await node.control.until_exited("task-1")
    assert node.log("task-1").count("/no/such.so") == 1


@pytest.mark.parametrize("sandbox", ["none", pytest.param("bwrap", marks=pytest.mark.root)])
async def test_any_value_arrives_as_it_is(node: Node, sandbox: str) -> None:
    make = boxed if sandbox == "bwrap" else task_spec
    odd = {
        "QUOTES": 'it\'s "$HOME" `id` $(id) \\',
        "LINES": "a\n\nexport B=1\n",
        "UNICODE": "Mädang \U0001f680",
        "EMPTY": "",
        "IFS": "/",
        "LONG": "x" * 100_000,
    }
    code = f"import os; print({{name: os.environ[name] for name in {list(odd)}}} == {odd!r})"
    await node.run(make("task-1", "python", "-c", code, environment_variables=odd))
    assert node.log("task-1") == "True\n"


@pytest.mark.root
async def test_the_file_of_the_variables_is_the_users_alone(node: Node) -> None:
    script = "stat -c '%a %u' /run/task/environment; echo x >> /run/task/environment"
    await node.run(boxed("task-1", "sh", "-c", script, environment_variables={"MARK": "1"}))
    first, second = node.log("task-1").splitlines()
    assert first == "400 20001"
    assert "environment" in second


@pytest.mark.root
async def test_an_environment_comes_first_in_the_path(node: Node, state_dir: Path) -> None:
    environment = node.paths.environments / "vision"
    for folder in (environment, environment / "bin"):
        make_folder(folder, 0o755)
    (environment / "bin/python").symlink_to(os.path.realpath(sys.executable))
    spec = boxed(
        "task-1",
        *("sh", "-c", "command -v python; echo $VIRTUAL_ENV; touch $VIRTUAL_ENV/x || python -V"),
        environment_path=str(environment),
        environment_name="vision",
    )
    await node.run(spec)
    lines = node.log("task-1").splitlines()
    assert lines[:2] == [f"{environment}/bin/python", str(environment)]
    assert "Read-only file system" in lines[2]
    assert lines[3].startswith("Python 3")


@pytest.mark.root
async def test_mounts_are_read_only_or_not_as_the_spec_says(node: Node, state_dir: Path) -> None:
    for name in ("one", "two"):
        (state_dir / name).mkdir()
        os.chown(state_dir / name, 20001, 20001)
    mounts = (
        Mount(str(state_dir / "one"), "/data/one", read_only=True),
        Mount(str(state_dir / "two"), "/data/two", read_only=False),
    )
    script = "touch /data/one/x; touch /data/two/x; umask"
    await node.run(boxed("task-1", "sh", "-c", script, mounts=mounts))
    assert "/data/one/x': Read-only file system" in node.log("task-1")
    assert (state_dir / "two/x").stat().st_uid == 20001
    assert node.log("task-1").splitlines()[-1] == "0007"


async def test_simulated_devices_are_named_and_labelled(idle_node: Node) -> None:
    idle_node.settings["simulate_gpus"] = "2xH100"
    idle_node.start_agent()
    share = DeviceShare(index=1, kind="gpu", milli=1000, simulated=True)
    spec = task_spec("task-1", "sh", "-c", "echo $MADANG_SIMULATED_DEVICES", devices=(share,))
    ended = await idle_node.run(spec)
    assert idle_node.log("task-1") == "1\n"
    assert ended["isolation"]["devices"] == "simulated"
    assert idle_node.control.syncs[-1].inventory.labels == {"simulated": "true"}


async def test_a_task_says_what_separates_it(node: Node) -> None:
    isolation = (await node.run(task_spec("task-1", "true")))["isolation"]
    assert isolation["sandbox"] == "none"
    assert isolation["network"] == "shared-network"
    assert isolation["memory"].startswith(("enforced", "not enforced ("))


async def test_a_missing_sandbox_is_never_replaced(idle_node: Node) -> None:
    idle_node.start_agent({"bwrap": BwrapSandbox("no-such-program")})
    ended = await idle_node.run(boxed("task-1", "true"))
    assert ended["reason"] == "start_failed"
    assert "apt install bubblewrap" in ended["facts"]["cause"]
    ended = await idle_node.run(task_spec("task-2", "true"))
    assert "no sandbox 'none'" in ended["facts"]["cause"]


async def test_tasks_go_on_while_control_is_away(node: Node) -> None:
    await node.control.run(task_spec("task-1", "sh", "-c", "sleep 0.3; echo done"))
    await node.control.until_running("task-1")
    await node.control.stop_serving()
    await node.until_log("task-1", "done")
    await node.control.start()
    report = await node.control.until_exited("task-1")
    assert report.exit is not None
    assert report.exit.reason == "completed"


async def test_a_forgotten_task_keeps_its_log_and_its_end(node: Node) -> None:
    await node.run(task_spec("task-1", "echo", "hello"))
    await node.control.drop("task-1")
    kept = {"log.0000000000000000", "exit.json", "forgotten"}
    async with asyncio.timeout(5):
        while {path.name for path in node.folder("task-1").iterdir()} != kept:
            await asyncio.sleep(0.01)
    # Asked for again, by orders from a backup, it is not run again.
    ended = await node.run(task_spec("task-1", "echo", "hello"))
    assert ended["reason"] == "completed"
    assert node.log("task-1") == "hello\n"


@pytest.mark.root
def test_personal_mode(state_dir: Path) -> None:
    """The same, as somebody who is not root: in a user namespace, on the machine's network."""
    code = Path(__file__).with_name("personal_mode.py").read_text()
    source = Path(__file__).parents[3] / "src"
    packages = sysconfig.get_path("purelib")
    interpreter = "/usr/bin/python3"
    state_dir.mkdir()
    state_dir.chmod(0o777)
    command = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", interpreter]
    find = f"import sys; sys.path.append({packages!r}); import aiohttp"
    tried = subprocess.run([*command, "-c", find], check=False, capture_output=True)
    if tried.returncode:
        pytest.skip("no Python on this machine can be used by another user")
    done = subprocess.run(
        [*command, "-c", code, str(state_dir)],
        env={"PYTHONPATH": f"{source}:{packages}", "HOME": "/tmp", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree("/tmp/madang-12345", ignore_errors=True)
    report = json.loads(done.stdout)
    if "namespace" in str(report["exit"]["facts"].get("cause")):
        pytest.skip("this machine gives user namespaces to root alone")
    assert report["exit"]["exit_code"] == 3
    assert report["isolation"]["sandbox"] == "bwrap"
    assert report["isolation"]["network"] == "shared-network"
    assert report["log"].splitlines() == ["12345", "/home/mina"]
