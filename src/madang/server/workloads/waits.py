"""Writing down why workloads wait, without writing all day."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from madang.core.reasons import Reason
from madang.core.states import WorkloadState
from madang.scheduling import Wait
from madang.server.context import ServerContext
from madang.server.workloads.history import announce_workload, lock_workload

_SMALL_CHANGES_S = 2.0
"""A changed number in a reason (`waits behind 3`) may be this old; another reason is not."""


class WaitBook:
    """Remembers what was written, writes what is new."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._written: dict[str, Reason] = {}
        self._newest: dict[str, Reason] = {}
        self._write_again_at: float | None = None

    def next_time_in_s(self) -> float | None:
        """Seconds until small changes are to be written; None when there are none."""
        if self._write_again_at is None:
            return None
        return max(0.0, self._write_again_at - time.monotonic())

    async def write(self, waits: Sequence[Wait], owner_of: Callable[[str], str]) -> None:
        """Take in the newest reasons of all that are told why they wait."""
        self._newest = {owner_of(wait.request_id): wait.reason for wait in reversed(waits)}
        self._written = {
            key: reason for key, reason in self._written.items() if key in self._newest
        }
        changed = {key for key, reason in self._newest.items() if self._written.get(key) != reason}
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

    def _is_other(self, workload_id: str) -> bool:
        written = self._written.get(workload_id)
        return written is None or written.code is not self._newest[workload_id].code

    async def _write(self, workload_ids: set[str]) -> None:
        async with self._context.db.transaction() as session:
            for workload_id in sorted(workload_ids):
                reason = self._newest[workload_id]
                self._written[workload_id] = reason
                row = await lock_workload(session, workload_id)
                if row.state != WorkloadState.PENDING or row.stop is not None:
                    continue
                if row.reason != reason.to_json():
                    row.reason = reason.to_json()
                    announce_workload(session, row)
