"""`python -m madang.server.agent`: this machine as a node, until SIGTERM or SIGINT.

Tasks go on when it ends, however it ends. Settings come from `MADANG_*`, `madang.toml` and
`--name value`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from madang.core.errors import InvalidInput, MadangError
from madang.server.cluster.agent import Agent
from madang.server.paths import SERVER_UMASK, StatePaths
from madang.server.settings import load_settings


async def run(arguments: list[str]) -> None:
    settings = load_settings(_flags(arguments))
    paths = StatePaths(settings.state_dir)
    paths.create()
    agent = asyncio.ensure_future(Agent(settings, paths).run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.cancel)
    try:
        await agent
    except asyncio.CancelledError:
        logging.getLogger("madang.agent").info("stopped; its tasks go on")


def _flags(arguments: list[str]) -> dict[str, str]:
    names, values = arguments[::2], arguments[1::2]
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        raise InvalidInput(
            f"{' '.join(arguments)!r} can't be read", hint="Write settings as --name value."
        )
    return {name[2:].replace("-", "_"): value for name, value in zip(names, values, strict=True)}


def main() -> int:
    os.umask(SERVER_UMASK)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s agent %(levelname)s %(message)s")
    try:
        asyncio.run(run(sys.argv[1:]))
    except MadangError as error:
        print(f"madang agent: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
