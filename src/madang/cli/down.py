"""`madang down`"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from madang.core.errors import Unavailable

if TYPE_CHECKING:
    from madang.core.settings import Settings
    from madang.server.paths import StatePaths

_STOP_WITHIN_S = 40.0
_ASK_EVERY_S = 0.3


def down(
    everything: Annotated[
        bool, typer.Option("--all", help="Stop all tasks too, and wait for their end.")
    ] = False,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="Which installation.", show_default=False)
    ] = None,
) -> None:
    """Stop the platform on this machine. Tasks that run go on, unless --all stops them too."""
    from madang.server import running
    from madang.server.paths import StatePaths
    from madang.server.settings import load_settings

    settings = load_settings({"state_dir": str(state_dir.absolute())} if state_dir else {})
    paths = StatePaths(settings.state_dir)
    if everything:
        if "supervisor" not in running.processes(paths) and paths.client_config.exists():
            _start_again(settings)  # tasks outlive the servers: somebody has to stop them
        if "supervisor" in running.processes(paths):
            _stop_tasks(paths)
    supervisor = running.processes(paths).get("supervisor")
    if supervisor is None:
        print(f"The platform in {paths.state_dir} is not up.")
        return
    os.kill(supervisor.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_WITHIN_S
    while supervisor.is_alive():
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the supervisor (process {supervisor.pid}) did not end within "
                f"{_STOP_WITHIN_S:.0f} s",
                hint=f"Its log is in {paths.server_logs}; `kill -9 {supervisor.pid}` ends it.",
            )
        time.sleep(0.05)
    print("Stopped." if everything else "Stopped. Tasks that were running go on.")


def _start_again(settings: Settings) -> None:
    from madang.server.settings import to_environment

    command = [sys.executable, "-m", "madang.server.supervisor", "--detach"]
    started = subprocess.run(
        command,
        env=os.environ | to_environment(settings),
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if started.returncode != 0:
        raise Unavailable(
            "the platform is not up, and could not be started to stop its tasks",
            hint="Start it with `madang up`, then try again.",
        )


def _stop_tasks(paths: StatePaths) -> None:
    from madang.client import Client
    from madang.client.config import read_login_file

    config = read_login_file(paths.client_config)
    assert config is not None, "the platform writes it before it answers"
    said = 0
    with Client.from_config(config) as client:
        while live := client.platform.drain().live:
            if live != said:
                print(f"{live} still to end…" if said else f"Stopping {live}…", flush=True)
                said = live
            time.sleep(_ASK_EVERY_S)
