"""Control: the API, the portal, and the loops that make what is into what should be.

Run by the supervisor as `python -m madang.server.control`; its settings come from `MADANG_*`.
"""

from __future__ import annotations

import gc

if __name__ == "__main__":
    gc.disable()  # imports make no garbage; looking for some would cost a sixth of the start

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import structlog
from sqlalchemy.exc import DBAPIError

from madang.core.errors import MadangError, Unavailable
from madang.server.api.app import create_app
from madang.server.api.front import Front
from madang.server.cluster import controller as cluster
from madang.server.context import ServerContext
from madang.server.db.migrate import migrate
from madang.server.environments import controller as environments
from madang.server.http import running_tasks, serve
from madang.server.identity import controller as identity
from madang.server.identity.bootstrap import prepare_installation
from madang.server.listeners import listen
from madang.server.logs import configure_logs
from madang.server.paths import SERVER_UMASK
from madang.server.serving import controller as serving
from madang.server.settings import check_exposure, load_settings
from madang.server.storage import controller as storage
from madang.server.workloads import controller as workloads
from madang.server.workloads import readiness, upkeep
from madang.server.workloads.service import (
    task_is_live,
    users_of_environment,
    users_of_folder,
)

log = structlog.get_logger()

CONTROLLERS: list[Callable[[ServerContext], Awaitable[None]]] = [
    identity.run,
    environments.run,
    storage.run,
    cluster.run,
    workloads.run,
    upkeep.run,
    readiness.run,
    serving.run,
]
"""The loops; each runs until it is cancelled, and is started again when it fails."""


async def run(inherited: Sequence[int] = ()) -> None:
    """Serve until SIGTERM or SIGINT. Tasks that run go on without us.

    `inherited` are listening sockets of the supervisor: who connects while control starts again
    waits instead of being refused.
    """
    settings = load_settings({})
    check_exposure(settings)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        context = ServerContext.from_settings(settings)
        stack.push_async_callback(context.close)
        context.task_is_live = task_is_live
        context.environment_users = users_of_environment
        context.folder_users = users_of_folder
        context.paths.create()
        await _migrate(context)
        await prepare_installation(context)
        front = Front(create_app(context), context)
        listeners = stack.enter_context(listen(settings, context.paths, inherited))
        await stack.enter_async_context(running_tasks(context, CONTROLLERS))
        await stack.enter_async_context(serve(front, listeners, settings))
        log.info("control is ready", port=settings.port)
        gc.freeze()
        gc.enable()
        await stack.enter_async_context(front.portal())
        await stop.wait()
        log.info("control stops; tasks that run go on")


async def _migrate(context: ServerContext) -> None:
    """Raises Unavailable for a database that does not let us in."""
    try:
        await migrate(context.db, context.telemetry)
    except (OSError, DBAPIError) as error:
        url = urlsplit(context.settings.database)
        place = f"at {url.hostname}:{url.port or 5432}" if url.hostname else context.paths.database
        what = "does not answer" if isinstance(error, OSError) else "can't be used"
        cause = " ".join(str(getattr(error, "orig", None) or error).split())
        raise Unavailable(f"the database {place} {what}: {cause}") from None


def main() -> int:
    os.umask(SERVER_UMASK)
    configure_logs()
    try:
        asyncio.run(run([int(number) for number in sys.argv[1:]]))
    except MadangError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except DBAPIError as error:
        print(f"Error: the database can't be used: {error.orig}", file=sys.stderr)
        return Unavailable.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
