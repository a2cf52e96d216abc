"""Counting attempts: how often somebody tried something in the last minute."""

from __future__ import annotations

from collections import OrderedDict, deque

from madang.core.clock import Clock
from madang.core.errors import RateLimited

_WINDOW_S = 60.0
_MOST_KEYS = 10_000
"""Memory is bounded: beyond it the key that was quiet longest is forgotten."""


class AttemptLimiter:
    """At most `limit` attempts a minute for each key; belongs to one event loop."""

    def __init__(self, limit: int, clock: Clock, most_keys: int = _MOST_KEYS) -> None:
        self._limit = limit
        self._clock = clock
        self._most_keys = most_keys
        self._attempts: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, *keys: str) -> None:
        """Count an attempt for each key, before its outcome is known, so that attempts at the
        same time can't slip through. Raises RateLimited, counting nothing, when one has had its
        share."""
        now = self._clock.monotonic()
        for key in keys:
            recent = self._recent(key, now)
            if len(recent) >= self._limit:
                raise RateLimited(
                    "too many failed logins",
                    retry_after_s=recent[0] + _WINDOW_S - now,
                    hint="Wait a minute and try again.",
                )
        for key in keys:
            self._attempts.setdefault(key, deque()).append(now)
            self._attempts.move_to_end(key)
        while len(self._attempts) > self._most_keys:
            self._attempts.popitem(last=False)

    def forgive(self, *keys: str) -> None:
        """Take the last attempt of each key back: it was a good one."""
        for key in keys:
            if attempts := self._attempts.get(key):
                attempts.pop()
                if not attempts:
                    del self._attempts[key]

    def __len__(self) -> int:
        return len(self._attempts)

    def _recent(self, key: str, now: float) -> deque[float]:
        attempts = self._attempts.get(key, deque())
        while attempts and attempts[0] <= now - _WINDOW_S:
            attempts.popleft()
        return attempts
