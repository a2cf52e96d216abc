"""Writing down why workloads wait and until when, without writing all day."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from madang.core.states import WorkloadState
from madang.scheduling import Wait
from madang.server.context import ServerContext
from madang.server.workloads.history import announce_workload, lock_workload

_SMALL_CHANGES_S = 2.0
"""A changed number in a reason (`waits behind 3`) may be this old; another reason is not."""

_SAME_START_S = 60.0
"""An expected start that moved by less than this, or by less than a tenth of what is left until
then, is the same: it is said as `about`."""


class WaitBook:
    """Remembers what was written, writes what is new."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._written: dict[str, Wait] = {}
        self._newest: dict[str, Wait] = {}
        self._write_again_at: float | None = None

    def next_time_in_s(self) -> float | None:
        """Seconds until small changes are to be written; None when there are none."""
        if self._write_again_at is None:
            return None
        return max(0.0, self._write_again_at - time.monotonic())

    async def write(self, waits: Sequence[Wait], owner_of: Callable[[str], str]) -> None:
        """Take in the newest words on all that are told why they wait."""
        self._newest = {owner_of(wait.request_id): wait for wait in reversed(waits)}
        self._written = {key: wait for key, wait in self._written.items() if key in self._newest}
        changed = {key for key in self._newest if self._changed(key)}
        if not changed:
            self._write_again_at = None
            return
        now = time.monotonic()
        if self._write_again_at is None:
            self._write_again_at = now + _SMALL_CHANGES_S
        if now >= self._write_again_at:
            self._write_again_at = None
            await self._write(changed)
            return
        large = {key for key in changed if self._is_other(key)}
        if large:
            await self._write(large)
        if large == changed:
            self._write_again_at = None

    def _changed(self, workload_id: str) -> bool:
        written, newest = self._written.get(workload_id), self._newest[workload_id]
        if written is None or written.reason != newest.reason:
            return True
        now = self._context.clock.now().timestamp()
        return _moved(written.expected_start, newest.expected_start, now)

    def _is_other(self, workload_id: str) -> bool:
        written = self._written.get(workload_id)
        return written is None or written.reason.code is not self._newest[workload_id].reason.code

    async def _write(self, workload_ids: set[str]) -> None:
        async with self._context.db.transaction() as session:
            for workload_id in sorted(workload_ids):
                wait = self._written[workload_id] = self._newest[workload_id]
                row = await lock_workload(session, workload_id)
                if row.state != WorkloadState.PENDING or row.stop is not None:
                    continue
                expected_start = start_of(wait)
                reason = wait.reason.to_json()
                if (row.reason, row.expected_start) != (reason, expected_start):
                    row.reason, row.expected_start = reason, expected_start
                    announce_workload(session, row)


def start_of(wait: Wait) -> datetime | None:
    """When the planner expects a start."""
    at = wait.expected_start
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _moved(before: float | None, after: float | None, now: float) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(before - after) > max(_SAME_START_S, 0.1 * abs(after - now))
