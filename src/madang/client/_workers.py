"""Doing several things at once, in both clients: tasks in the one, threads in the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait


class AsyncWorkers:
    """Runs at most `limit` calls at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    async def run(self, calls: Iterable[Callable[[], Awaitable[None]]]) -> None:
        """Make all calls, read as needed; the first error ends the rest and is raised."""
        pending: set[asyncio.Task[None]] = set()
        try:
            for call in calls:
                if len(pending) >= self._limit:
                    done, pending = await asyncio.wait(
                        pending, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done:
                        task.result()
                pending.add(asyncio.create_task(_as_coroutine(call)))
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)


class Workers:
    """Runs at most `limit` calls at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def run(self, calls: Iterable[Callable[[], None]]) -> None:
        """Make all calls, read as needed; the first error ends the rest and is raised."""
        executor = ThreadPoolExecutor(self._limit, thread_name_prefix="madang-transfer")
        pending: set[Future[None]] = set()
        try:
            for call in calls:
                if len(pending) >= self._limit:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                pending.add(executor.submit(call))
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


async def _as_coroutine(call: Callable[[], Awaitable[None]]) -> None:
    await call()
