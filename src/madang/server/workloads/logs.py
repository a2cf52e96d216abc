"""Logs: a part of one, or all of a job's tasks as they write, attempt after attempt."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from madang.core.errors import NotFound, Unavailable
from madang.core.states import WorkloadState
from madang.server.cluster.agents import AgentClient
from madang.server.context import ServerContext
from madang.server.workloads.tables import TaskRow, WorkloadRow

_WAIT_S = 20.0
_QUEUE_LENGTH = 64
_AWAY_S = 0.25
_UNKNOWN_S = (0.01, 0.02, 0.05, 0.1)


@dataclass(frozen=True, slots=True)
class LogText:
    """A piece of a task's log. `next_offset` is where a later read goes on, in bytes: never
    within a character."""

    task_id: str
    rank: int
    attempt: int
    offset: int
    next_offset: int
    text: str


@dataclass(frozen=True, slots=True)
class StateChange:
    """The workload's state, reason and exit code, as of now."""

    state: WorkloadState
    reason: dict[str, Any] | None
    exit_code: int | None
    attempt: int


async def read_log(
    context: ServerContext, task: TaskRow, *, offset: int, limit: int, wait_s: float = 0.0
) -> tuple[LogText, bool]:
    """Text of a task's log from a byte on (negative: that many bytes before its end), and
    whether it has ended there. Raises Unavailable while the node's agent is away."""
    agent = AgentClient.of(context)
    try:
        if offset < 0:
            offset = max(0, await _log_size(agent, task.id) + offset)
        part = await agent.read_log(task.id, offset, limit=limit, wait_s=wait_s)
    except NotFound:
        return LogText(task.id, task.rank, task.attempt, 0, 0, ""), task.ended_at is not None
    data = part.data if part.ended else _whole_characters(part.data)
    text = data.decode(errors="replace")
    end = part.offset + len(data)
    return LogText(task.id, task.rank, task.attempt, part.offset, end, text), part.ended


async def follow(
    context: ServerContext,
    workload_id: str,
    *,
    rank: int | None = None,
    attempt: int | None = None,
    offsets: Mapping[str, int] | None = None,
    tail_bytes: int | None = None,
) -> AsyncIterator[LogText | StateChange | None]:
    """What the tasks of a workload write, from the present attempt on, and each change of its
    state, until it has ended and all is told; None now and then when there is nothing to tell.

    `offsets` (task → byte) is where an earlier call stopped; `tail_bytes` begins that far before
    the end of what is there already.
    """
    follower = _Follower(context, workload_id, rank, attempt, dict(offsets or {}), tail_bytes)
    try:
        async for item in follower.items():
            yield item
    finally:
        await follower.close()


class _Follower:
    def __init__(
        self,
        context: ServerContext,
        workload_id: str,
        rank: int | None,
        attempt: int | None,
        offsets: dict[str, int],
        tail_bytes: int | None,
    ) -> None:
        self._context = context
        self._workload_id = workload_id
        self._rank = rank
        self._attempt = attempt
        self._offsets = offsets
        self._tail_bytes = tail_bytes
        self._first_attempt: int | None = None
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._items: asyncio.Queue[LogText | StateChange | None] = asyncio.Queue(_QUEUE_LENGTH)
        self._watcher: asyncio.Task[None] | None = None

    async def items(self) -> AsyncIterator[LogText | StateChange | None]:
        self._watcher = asyncio.ensure_future(self._watch())
        while not self._watcher.done() or not self._items.empty():
            getter = asyncio.ensure_future(self._items.get())
            await asyncio.wait(
                (getter, self._watcher),
                timeout=_WAIT_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if getter.done():
                yield getter.result()
                continue
            getter.cancel()
            if not self._watcher.done():
                yield None
        self._watcher.result()

    async def close(self) -> None:
        for task in (self._watcher, *self._readers.values()):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _watch(self) -> None:
        """Tell of changes, have each task's log read, until the workload has ended."""
        told: StateChange | None = None
        with self._context.bus.subscribe(f"workload:{self._workload_id}") as changes:
            while True:
                row, tasks = await self._look()
                change = StateChange(
                    WorkloadState(row.state), row.reason, row.exit_code, row.attempt
                )
                for task in tasks:
                    if task.id not in self._readers:
                        reading = asyncio.ensure_future(self._read(task))
                        self._readers[task.id] = reading
                if change.state.ended:
                    for reader in self._readers.values():
                        await reader
                    await self._items.put(change)
                    return
                if change != told:
                    told = change
                    await self._items.put(change)
                await changes.wait(_WAIT_S)

    async def _look(self) -> tuple[WorkloadRow, list[TaskRow]]:
        async with self._context.db.read() as session:
            row = await session.get_one(WorkloadRow, self._workload_id)
            if self._first_attempt is None:
                self._first_attempt = row.attempt if self._attempt is None else self._attempt
            query = (
                select(TaskRow)
                .where(
                    TaskRow.workload_id == self._workload_id,
                    TaskRow.attempt >= self._first_attempt,
                )
                .order_by(TaskRow.attempt, TaskRow.rank)
            )
            if self._rank is not None:
                query = query.where(TaskRow.rank == self._rank)
            if self._attempt is not None:
                query = query.where(TaskRow.attempt == self._attempt)
            return row, list(await session.scalars(query))

    async def _read(self, task: TaskRow) -> None:
        """Put a task's log into the queue, to its end."""
        agent = AgentClient.of(self._context)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        offset = self._offsets.get(task.id, 0)
        misses = 0
        if self._tail_bytes is not None and task.id not in self._offsets:
            with suppress(NotFound, Unavailable):
                offset = max(0, await _log_size(agent, task.id) - self._tail_bytes)
        while True:
            try:
                part = await agent.read_log(task.id, offset, wait_s=_WAIT_S)
            except NotFound:
                if await self._has_ended(task.id):
                    return  # it never began there
                await asyncio.sleep(_UNKNOWN_S[min(misses, len(_UNKNOWN_S) - 1)])
                misses += 1
                continue
            except Unavailable:
                await asyncio.sleep(_AWAY_S)
                misses += 1
                continue
            offset = part.next_offset
            text = decoder.decode(part.data, part.ended)
            held_back = len(decoder.getstate()[0])
            if text:
                await self._items.put(
                    LogText(
                        task.id, task.rank, task.attempt, part.offset, offset - held_back, text
                    )
                )
            if part.ended:
                return

    async def _has_ended(self, task_id: str) -> bool:
        async with self._context.db.read() as session:
            task = await session.get_one(TaskRow, task_id)
            return task.ended_at is not None


async def _log_size(agent: AgentClient, task_id: str) -> int:
    """Where the log ends now: a read from far beyond begins there."""
    part = await agent.read_log(task_id, (1 << 62), limit=1)
    return part.next_offset


def _whole_characters(data: bytes) -> bytes:
    """Without the first bytes of a character whose last ones are still to come."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return data[:-back] if length > back else data
    return data
