"""The whole platform as processes: up, killed, refused, down. Few tests, real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from madang.client import Client
from madang.client.config import read_login_file
from madang.server import running
from madang.server.paths import StatePaths
from tests.disks import Filler, small_disk

PATIENCE_S = 30.0


class Platform:
    """A platform in a state folder of its own, run by the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = StatePaths(folder / "state")

    def madang(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MADANG_")}
        return subprocess.run(
            [str(Path(sys.executable).with_name("madang")), *arguments],
            env=environment | {"MADANG_STATE_DIR": str(self.paths.state_dir)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def up(self, *flags: str) -> subprocess.CompletedProcess[str]:
        ports = ("--port", "0", "--gateway-port", "0", "--sandbox", "none")
        return self.madang("up", "--detach", *ports, *flags)

    def pid(self, name: str) -> int:
        return running.processes(self.paths)[name].pid

    def wait_for_another(self, name: str, killed: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while (
            process := running.processes(self.paths).get(name)
        ) is None or process.pid == killed:
            assert time.monotonic() < deadline, f"{name} was not started again"
            time.sleep(0.02)

    def client(self) -> Client:
        config = read_login_file(self.paths.client_config)
        assert config is not None
        return Client.from_config(config)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    found = Platform(tmp_path)
    try:
        yield found
    finally:
        for process in running.processes(found.paths).values():
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)


def test_up_login_kill_and_down(platform: Platform) -> None:
    up = platform.up()
    assert up.returncode == 0, up.stderr
    link = re.search(r"(http://\S+)/login\?link=(\S+)", up.stdout)
    assert link, up.stdout
    with httpx.Client(base_url=link[1]) as browser:
        logged_in = browser.post("/api/v1/auth/link", json={"link": link[2]})
        assert logged_in.json()["user"]["is_admin"]

    second = platform.up()
    assert second.returncode == 6
    assert "is up already" in second.stderr

    for name in ("control", "gateway", "agent"):
        killed = platform.pid(name)
        os.kill(killed, signal.SIGKILL)
        platform.wait_for_another(name, killed)
    with platform.client() as client:  # waits for control to be there again
        assert client.auth.session().user.is_admin

    left = running.processes(platform.paths)
    down = platform.madang("down")
    assert down.returncode == 0, down.stderr
    assert not any(process.is_alive() for process in left.values())
    assert "is not up" in platform.madang("down").stdout


def test_servers_end_with_their_supervisor(platform: Platform) -> None:
    assert platform.up().returncode == 0
    before = running.processes(platform.paths)
    for name, process in before.items():
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert "\nUmask:\t0077\n" in status, name
    os.kill(before["supervisor"].pid, signal.SIGKILL)
    again = platform.up()
    assert again.returncode == 0, again.stderr
    assert not any(process.is_alive() for process in before.values())
    assert platform.madang("down", "--all").returncode == 0


def test_refusals_name_the_way_out(platform: Platform) -> None:
    exposed = platform.up("--host", "0.0.0.0")
    assert exposed.returncode == 2
    assert "--tls-cert" in exposed.stderr
    platform.paths.create()
    platform.paths.database.write_bytes(b"this is no database" * 100)
    broken = platform.up()
    assert broken.returncode != 0
    assert f"the database {platform.paths.database} can't be used" in broken.stderr
    away = platform.up("--database", "postgresql://kim:hunter2@127.0.0.1:1/x")
    assert away.stderr.startswith("Error: the database at 127.0.0.1:1 does not answer: ")
    assert away.stderr.count("\n") == 1
    assert "hunter2" not in away.stderr


def test_a_full_disk_does_not_end_the_platform(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        platform = Platform(disk)
        filler = Filler(disk)
        assert platform.up("--simulate-gpus", "8xH100").returncode == 0
        filler.fill()
        killed = platform.pid("control")
        supervisor = running.processes(platform.paths)["supervisor"]
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 8.0
        while time.monotonic() < deadline and supervisor.is_alive():
            time.sleep(0.1)  # long enough for several tries
        assert supervisor.is_alive()
        filler.free()
        platform.wait_for_another("control", killed)
        with platform.client() as client:
            assert client.auth.session().user.is_admin
        assert platform.madang("down").returncode == 0
