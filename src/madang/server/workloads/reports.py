"""What tasks report of themselves (`madang.train.report`): taken in once, and in order.

Reports go to the telemetry database through a writer that commits for all who wait at once, so
that chatty tasks cost a commit together and the scheduler none.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict, NotFound
from madang.core.states import TaskState, WorkloadKind
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.workloads.progress import ProgressBook
from madang.server.workloads.tables import (
    ReportOffsetRow,
    ReportPointRow,
    TaskRow,
    WorkloadRow,
)

_PART = "workloads.reports"
_LONGEST_KEY = 250
_LARGEST_STEP = 2**62


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one number of one rank in one attempt."""

    key: str
    rank: int
    attempt: int
    points: list[tuple[int, float, datetime]]


@dataclass(slots=True)
class _Batch:
    """Lines of one task that wait for a commit; `offset` is the number of the first one."""

    task: TaskRow
    offset: int
    lines: Sequence[Mapping[str, Any]]
    done: asyncio.Future[int]


class ReportWriter:
    """Group commit: whoever comes while a commit is under way goes with the next one."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._waiting: list[_Batch] = []
        self._turn = asyncio.Lock()

    @classmethod
    def of(cls, context: ServerContext) -> ReportWriter:
        writer: ReportWriter = context.parts.setdefault(_PART, cls(context))
        return writer

    async def write(self, task: TaskRow, offset: int, lines: Sequence[Mapping[str, Any]]) -> int:
        """Keep the lines that are not known yet; returns how many lines of the task are known
        once they are committed."""
        batch = _Batch(task, offset, lines, asyncio.get_running_loop().create_future())
        self._waiting.append(batch)
        async with self._turn:
            batches, self._waiting = self._waiting, []
            if batches:
                try:
                    await self._commit(batches)
                except BaseException as error:
                    for waiting in batches:
                        if not waiting.done.done():
                            waiting.done.set_exception(error)
        return await batch.done

    async def _commit(self, batches: list[_Batch]) -> None:
        known: dict[str, int] = {}
        points: list[dict[str, Any]] = []
        async with self._context.telemetry.transaction() as session:
            for batch in batches:
                task_id = batch.task.id
                if task_id not in known:
                    known[task_id] = await _offset(session, task_id)
                fresh = batch.lines[max(0, known[task_id] - batch.offset) :]
                end = max(known[task_id], batch.offset + len(batch.lines))
                for line in fresh:
                    points += _points(batch.task, line, self._context.clock.now())
                known[task_id] = end
                announce(session, f"metrics:{batch.task.workload_id}")
            if points:
                await session.execute(insert(ReportPointRow), points)
            for task_id, offset in known.items():
                await _keep_offset(session, self._context.telemetry.dialect, task_id, offset)
        for batch in batches:
            batch.done.set_result(known[batch.task.id])


async def take_in_reports(
    context: ServerContext,
    task_id: str,
    *,
    attempt: int,
    offset: int,
    lines: Sequence[Mapping[str, Any]],
) -> int:
    """Keep what a task reports; lines that came before are dropped.

    Raises NotFound for an unknown task, Conflict for one that was given up: another attempt may
    be running, and its numbers must not be mixed with these.
    """
    async with context.db.read() as session:
        task = await session.get(TaskRow, task_id)
        if task is None:
            raise NotFound(f"there is no task {task_id!r}")
        row = await session.get_one(WorkloadRow, task.workload_id)
    superseded = row.kind != WorkloadKind.SERVICE and task.attempt != row.attempt
    if attempt != task.attempt or task.state == TaskState.LOST or superseded:
        raise Conflict(f"attempt {attempt} of {task.workload_id} is over")
    ProgressBook.of(context).note(task, lines)
    return await ReportWriter.of(context).write(task, offset, lines)


async def read_series(
    context: ServerContext, workload_id: str, *, keys: Sequence[str], max_points: int
) -> list[Series]:
    """All numbers of a workload over time, thinned to `max_points` each, by key, attempt, rank."""
    async with context.telemetry.read() as session:
        query = select(ReportPointRow).where(ReportPointRow.workload_id == workload_id)
        if keys:
            query = query.where(ReportPointRow.key.in_(keys))
        stride = await _stride(session, workload_id, max_points)
        series: dict[tuple[str, int, int], Series] = {}
        numbers: dict[tuple[str, int, int], int] = {}
        last: dict[tuple[str, int, int], tuple[int, float, datetime]] = {}
        async for point in await session.stream_scalars(
            query.order_by(ReportPointRow.key, ReportPointRow.id)
        ):
            which = (point.key, point.attempt, point.rank)
            found = series.setdefault(which, Series(point.key, point.rank, point.attempt, []))
            value = (point.step, point.value, point.at)
            number = numbers.get(which, 0)
            numbers[which] = number + 1
            if number % stride == 0:
                found.points.append(value)
            last[which] = value
    for which, found in series.items():
        if found.points[-1] != last[which]:
            found.points.append(last[which])
    return [series[which] for which in sorted(series)]


async def _stride(session: AsyncSession, workload_id: str, max_points: int) -> int:
    """Every how manieth point is shown, so that the longest series has about `max_points`."""
    counts = (
        select(func.count().label("points"))
        .where(ReportPointRow.workload_id == workload_id)
        .group_by(ReportPointRow.key, ReportPointRow.attempt, ReportPointRow.rank)
        .subquery()
    )
    longest = await session.scalar(select(func.max(counts.c.points))) or 0
    return max(1, math.ceil(longest / max_points))


async def _offset(session: AsyncSession, task_id: str) -> int:
    found = await session.scalar(
        select(ReportOffsetRow.offset).where(ReportOffsetRow.task_id == task_id).with_for_update()
    )
    return found or 0


async def _keep_offset(session: AsyncSession, dialect: str, task_id: str, offset: int) -> None:
    insert_into = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = insert_into(ReportOffsetRow).values(task_id=task_id, offset=offset)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[ReportOffsetRow.task_id], set_={"offset": offset}
        )
    )


def _points(task: TaskRow, line: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The numbers in a line such as `{"step": 12, "time": 1764000000.5, "metrics": {"loss":
    0.3}}`; what is no finite number is passed over."""
    metrics = line.get("metrics")
    if not isinstance(metrics, Mapping):
        return []
    return [
        {
            "workload_id": task.workload_id,
            "task_id": task.id,
            "rank": _small(line.get("rank"), task.rank),
            "attempt": task.attempt,
            "key": key[:_LONGEST_KEY],
            "step": _small(line.get("step"), 0),
            "value": float(value),
            "at": _time(line.get("time"), now),
        }
        for key, value in metrics.items()
        if "\0" not in key and _is_number(value)
    ]


def _small(value: Any, default: int) -> int:
    return int(value) if _is_number(value) and abs(value) < _LARGEST_STEP else default


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**1000


def _time(seconds: object, now: datetime) -> datetime:
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return now
    return now
