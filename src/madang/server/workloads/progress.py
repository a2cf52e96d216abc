"""How far jobs are and how fast they get on, from what they report: for the planner.

Reports come by the thousand; what the planner needs of them is little, and changes slowly. It is
gathered here in memory and written to the jobs' rows now and then (`upkeep`): what is lost with a
crash is reported again soon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from madang.core.states import WorkloadKind, WorkloadState
from madang.scheduling import Work
from madang.server.context import ServerContext
from madang.server.workloads.history import announce_workload, lock_workload
from madang.server.workloads.tables import TaskRow

_PART = "workloads.progress"

_LEAST_S = 1.0
"""Steps are timed over at least so long."""

_LARGEST = 2.0**62


@dataclass(slots=True)
class _Seen:
    """What one attempt has told. `first` and `last` are (time, step)."""

    attempt: int
    first: tuple[float, float] | None = None
    last: tuple[float, float] | None = None
    total: float | None = None
    saved_at: float | None = None
    changed: bool = True


class ProgressBook:
    """What jobs have told since it was last written down."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._seen: dict[str, _Seen] = {}

    @classmethod
    def of(cls, context: ServerContext) -> ProgressBook:
        book: ProgressBook = context.parts.setdefault(_PART, cls(context))
        return book

    def note(self, task: TaskRow, lines: Sequence[Mapping[str, Any]]) -> None:
        """Take in what the first task of a gang reports: it speaks for all."""
        if task.rank != 0:
            return
        seen = self._seen.get(task.workload_id)
        if seen is None or seen.attempt != task.attempt:
            seen = self._seen[task.workload_id] = _Seen(task.attempt)
        for line in lines:
            _take_in(seen, line)

    async def write(self) -> None:
        """Write what has changed to the jobs' rows; forget those that have ended."""
        changed = sorted(name for name, seen in self._seen.items() if seen.changed)
        for workload_id in changed:
            seen = self._seen[workload_id]
            seen.changed = False
            async with self._context.db.transaction() as session:
                row = await lock_workload(session, workload_id)
                if WorkloadState(row.state).ended or row.kind == WorkloadKind.SERVICE:
                    del self._seen[workload_id]
                    continue
                if seen.attempt != row.attempt:
                    continue
                row.work = _merged(row.work, seen)
                if seen.saved_at is not None:
                    row.saved_at = datetime.fromtimestamp(seen.saved_at, UTC)
                announce_workload(session, row)


def work_of(kept: Mapping[str, Any]) -> Work:
    """What a job's row says of it, as the planner takes it."""
    return Work(
        total=kept.get("total"),
        done=kept.get("done", 0.0),
        rate=kept.get("rate"),
        speeds=tuple((int(gpus), float(rate)) for gpus, rate in kept.get("speeds", ())),
    )


def with_run(kept: Mapping[str, Any], lasted_s: float) -> dict[str, Any]:
    """The same, with how long an attempt ran that is stopped for others."""
    return {**kept, "ran_s": kept.get("ran_s", 0.0) + max(0.0, lasted_s)}


def with_speed(kept: Mapping[str, Any], gpus: int) -> dict[str, Any]:
    """The same, with the rate of the attempt that ends remembered for its number of GPUs."""
    rate = kept.get("rate")
    if not rate or not gpus:
        return dict(kept)
    speeds = {int(count): speed for count, speed in kept.get("speeds", ())} | {gpus: rate}
    return {**kept, "speeds": [[count, speeds[count]] for count in sorted(speeds)]}


def _merged(kept: Mapping[str, Any], seen: _Seen) -> dict[str, Any]:
    work = dict(kept)
    if seen.total is not None:
        work["total"] = seen.total
    if seen.last is not None:
        work["done"] = max(seen.last[1], 0.0)
        rate = _rate(seen)
        if rate is not None:
            work["rate"] = rate
    return work


def _rate(seen: _Seen) -> float | None:
    if seen.first is None or seen.last is None:
        return None
    seconds = seen.last[0] - seen.first[0]
    steps = seen.last[1] - seen.first[1]
    return steps / seconds if seconds >= _LEAST_S and steps > 0 else None


def _take_in(seen: _Seen, line: Mapping[str, Any]) -> None:
    step, at = line.get("step"), line.get("time")
    if _is_number(step) and _is_number(at):
        moment = (float(at), float(step))  # type: ignore[arg-type]
        seen.first = seen.first or moment
        seen.last, seen.changed = moment, True
    if _is_number(total := line.get("total")):
        seen.total, seen.changed = float(total), True  # type: ignore[arg-type]
    if line.get("saved") is True and _is_number(at):
        seen.saved_at, seen.changed = float(at), True  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and (0 <= value < _LARGEST)
    )


def gpus_of(devices: Iterable[Sequence[Mapping[str, Any]]]) -> int:
    """Whole accelerators that tasks held together; 0 where they held parts."""
    milli = [share["milli"] for shares in devices for share in shares]
    return len(milli) if milli and all(part == 1000 for part in milli) else 0
