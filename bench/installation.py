"""A platform of the benchmark's own: started on free ports in a new folder, stopped at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from madang.client import Client
from madang.client.config import ClientConfig, read_login_file

MADANG = Path(sys.executable).with_name("madang")
SERVERS = ("control", "gateway", "agent")


@dataclass(frozen=True, slots=True)
class Platform:
    """A running installation; `started_s` is how long it took to answer its first request."""

    state_dir: Path
    config: ClientConfig
    started_s: float

    @classmethod
    @contextmanager
    def started(cls, *flags: str) -> Iterator[Platform]:
        with tempfile.TemporaryDirectory(prefix="madang-bench-") as folder:
            state_dir = Path(folder) / "state"
            command: list[str | Path] = [
                MADANG,
                "up",
                "--state-dir",
                state_dir,
                "--port",
                "0",
                "--gateway-port",
                "0",
            ]
            log = open(Path(folder) / "up.log", "wb")  # noqa: SIM115 - outlives this block's start
            began = time.perf_counter()
            process = subprocess.Popen([*command, *flags], stdout=log, stderr=log)
            try:
                config = _wait_until_it_answers(process, state_dir, Path(log.name))
                yield cls(state_dir, config, time.perf_counter() - began)
            finally:
                down: list[str | Path] = [MADANG, "down", "--all", "--state-dir", state_dir]
                subprocess.run(down, capture_output=True, check=False)
                process.send_signal(signal.SIGTERM)
                process.wait(30)
                log.close()

    @property
    def environment(self) -> dict[str, str]:
        """For commands that shall find this platform."""
        return {**os.environ, "MADANG_CONFIG": str(self.state_dir / "client.toml")}

    def client(self) -> Client:
        return Client(self.config.url, self.config.token)

    def processes(self) -> dict[str, psutil.Process]:
        """The supervisor and its servers, by name; tasks and their shims are not among them."""
        found = {}
        for process in psutil.process_iter():
            name = self._server_name(process)
            if name:
                found[name] = process
        return found

    def shims(self) -> list[psutil.Process]:
        tasks = str(self.state_dir / "tasks")
        return [
            process
            for process in psutil.process_iter()
            if any("shim" in word for word in _command(process))
            and any(tasks in word for word in _command(process))
        ]

    def _server_name(self, process: psutil.Process) -> str:
        command = _command(process)
        module = next((word for word in command if word.startswith("madang.server.")), "")
        try:
            mine = process.environ().get("MADANG_STATE_DIR") == str(self.state_dir)
        except psutil.Error:
            return ""
        return module.removeprefix("madang.server.") if mine else ""


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], state_dir: Path, log: Path
) -> ClientConfig:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"`madang up` ended:\n{log.read_text()}")
        config = read_login_file(state_dir / "client.toml")
        if config is not None:
            try:
                if httpx.get(f"{config.url}/api/v1/health").is_success:
                    return config
            except httpx.TransportError:
                pass
        time.sleep(0.02)
    raise SystemExit(f"`madang up` did not answer within a minute:\n{log.read_text()}")
