"""`madang down`"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from madang.core.errors import Unavailable

_STOP_WITHIN_S = 40.0


def down(
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="Which installation.", show_default=False)
    ] = None,
) -> None:
    """Stop the platform on this machine. Tasks that run go on."""
    from madang.server import running
    from madang.server.paths import StatePaths
    from madang.server.settings import load_settings

    flags = {"state_dir": str(state_dir.absolute())} if state_dir else {}
    paths = StatePaths(load_settings(flags).state_dir)
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
    print("Stopped. Tasks that were running go on; `madang up` finds them again.")
