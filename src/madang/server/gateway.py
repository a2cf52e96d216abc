"""The gateway process: relays to apps, endpoints and files; `python -m madang.server.gateway`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from madang.core.errors import MadangError
from madang.server.paths import SERVER_UMASK
from madang.server.settings import load_settings


async def serve() -> None:
    """Run until SIGTERM or SIGINT; answers that are under way are finished first."""
    from madang.server.serving.gateway.serve import running_gateway

    settings = load_settings({})
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_gateway(settings) as port:
        print(f"gateway on {settings.host}:{port}", flush=True)
        await stop.wait()


def main() -> int:
    os.umask(SERVER_UMASK)
    try:
        asyncio.run(serve())
    except (MadangError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
