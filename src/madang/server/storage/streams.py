"""Between an event loop and code that reads or writes files: a pipe and a thread."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import os
from collections.abc import AsyncIterator, Callable
from typing import IO, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

CHUNK_BYTES = 2**18
_PIPE_BYTES = 2**20


async def run_to_end(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Run `work` in a thread. A cancellation waits until it has ended, so that what it uses can
    be closed afterwards."""
    running = asyncio.get_running_loop().run_in_executor(
        None, functools.partial(work, *arguments, **named)
    )
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


async def feed(chunks: AsyncIterator[bytes], work: Callable[[IO[bytes]], T]) -> T:
    """Run `work` in a thread with a file that yields `chunks`; its result.

    When the chunks fail (or this is cancelled) the file raises BrokenStream in `work`, which must
    undo what it did; the first error is then raised here.
    """
    reading, writing = _pipe()
    broken = False

    def run() -> T:
        with os.fdopen(reading, "rb", buffering=0) as raw:
            result = work(_Checked(raw, lambda: broken))  # type: ignore[arg-type]
            while raw.read(CHUNK_BYTES):
                pass  # what comes after the end, so that the sender is not cut off
        return result

    loop = asyncio.get_running_loop()
    working = loop.run_in_executor(None, run)
    try:
        async for chunk in chunks:
            if working.done():
                break
            await run_to_end(_write_all, writing, chunk)
    except BrokenPipeError:
        pass  # `work` has ended early; its error follows
    except BaseException:
        broken = True
        os.close(writing)
        with contextlib.suppress(Exception):
            await asyncio.shield(working)
        raise
    os.close(writing)
    return await working


async def drain(work: Callable[[IO[bytes]], None]) -> AsyncIterator[bytes]:
    """What `work` writes into its file, in a thread, as chunks. Its error is raised at the end."""
    reading, writing = _pipe()

    def run() -> None:
        with os.fdopen(writing, "wb", buffering=0) as raw:
            work(raw)

    loop = asyncio.get_running_loop()
    working = loop.run_in_executor(None, run)
    arriving = loop.run_in_executor(None, os.read, reading, CHUNK_BYTES)
    try:
        while chunk := await asyncio.shield(arriving):
            yield chunk
            arriving = loop.run_in_executor(None, os.read, reading, CHUNK_BYTES)
    finally:
        await asyncio.wait([arriving])  # a descriptor must not be closed under a reader
        os.close(reading)  # `work` gets a BrokenPipeError when it is still writing
        if not working.done():
            with contextlib.suppress(BrokenPipeError):
                await asyncio.shield(working)
    await working


class BrokenStream(OSError):
    """The other side went away before the end."""


class _Checked:
    """A file that tells an end from a break."""

    def __init__(self, raw: IO[bytes], is_broken: Callable[[], bool]) -> None:
        self._raw = raw
        self._is_broken = is_broken

    def read(self, size: int) -> bytes:
        parts = []
        while size > 0 and (part := self._raw.read(size)):
            parts.append(part)
            size -= len(part)
        if self._is_broken():
            raise BrokenStream("the connection was cut")
        return b"".join(parts)


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return reading, writing


def _write_all(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
