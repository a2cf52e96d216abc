"""Starting a task's shim."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from madang.server.cluster import shim
from madang.server.cluster.agent.folder import TaskFolder

ALREADY_RUNNING = 17

_SHIM = Path(shim.__file__).parent
_START_TIMEOUT_S = 30.0


def start_shim(folder: TaskFolder, network: int | None, python: str = "") -> None:
    """Start a shim for the task and return once it can be found; nothing happens when another
    one has the task. `network` is a descriptor of the namespace it shall live in.

    Raises OSError with what it said when it can't be started.
    """
    # The interpreter itself: a virtual environment's would read files that -S has no use for.
    interpreter = python or os.path.realpath(sys.executable)
    command = [interpreter, "-I", "-S", "-E", str(_SHIM), str(folder)]
    if network is not None:
        command = ["nsenter", f"--net=/proc/self/fd/{network}", *command]
    result = subprocess.run(
        command,
        env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=() if network is None else (network,),
        timeout=_START_TIMEOUT_S,
        check=False,
    )
    if result.returncode not in (0, ALREADY_RUNNING):
        said = result.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(
            f"the task's supervisor could not be started: {said[-1] if said else 'no word'}"
        )
