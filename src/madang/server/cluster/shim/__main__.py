"""`python -I -S -E …/cluster/shim TASK_FOLDER`: become a daemon and look after one task.

The process that was started returns once the daemon has made itself known: exit status 0, or
`ALREADY_RUNNING` when another shim has the task.
"""

from __future__ import annotations

import os
import sys

ALREADY_RUNNING = 17


def _daemonize() -> int:
    """Double fork and setsid; returns, in the daemon, where to write its exit status to its
    forefather, who waits for it."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        answer = os.read(reader, 1)
        os._exit(answer[0] if answer else 1)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.close(reader)
    return writer


def main() -> None:
    os.closerange(3, 256)  # the namespace's descriptor among them, which is no task's business
    writer = _daemonize()
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.append(os.path.dirname(here))
    # By this name it is found without importing madang, whose packages cost a quarter of a second.
    from importlib import import_module

    import_module("shim.supervisor").run(sys.argv[1], writer)


main()
