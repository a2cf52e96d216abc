"""What one user or one project may have at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from madang.scheduling import sums
from madang.scheduling.model import Amounts, Limit


@dataclass(frozen=True, slots=True)
class Spent:
    """A subject (`user:ID`, `project:ID`) that may not have more. resource: `running`, or what."""

    subject: str
    resource: str
    used: int
    asked: int
    bound: int


class Limits:
    """Limits, and what those who are limited hold."""

    def __init__(self) -> None:
        self._limits: dict[str, Limit] = {}
        self._most: dict[str, dict[str, int]] = {}
        self._use: dict[str, dict[str, int]] = {}
        self._running: dict[str, int] = {}

    def put(self, limit: Limit) -> bool:
        """Whether anything changed."""
        if limit.running is None and limit.pending is None and not limit.amounts:
            return self._limits.pop(limit.subject, None) is not None
        if self._limits.get(limit.subject) == limit:
            return False
        self._limits[limit.subject] = limit
        self._most[limit.subject] = dict(limit.amounts)
        return True

    def __iter__(self) -> Iterator[Limit]:
        return iter(self._limits.values())

    def __bool__(self) -> bool:
        return bool(self._limits)

    def names(self) -> set[str]:
        return {name for limit in self._limits.values() for name, _ in limit.amounts}

    def forget_sums(self) -> None:
        self._use.clear()
        self._running.clear()

    def charge(self, user: str, project: str, amounts: Amounts, sign: int = 1) -> None:
        if self._limits:
            for subject in (f"user:{user}", f"project:{project}"):
                sums.add(self._use.setdefault(subject, {}), amounts, sign)

    def count(self, user: str, project: str, running: int) -> None:
        """So many more requests (or fewer) run."""
        if self._limits:
            for subject in (f"user:{user}", f"project:{project}"):
                self._running[subject] = self._running.get(subject, 0) + running

    def spent(
        self, user: str, project: str, amounts: Amounts, *, new: bool = True
    ) -> Spent | None:
        """What stands against a start of this (`new`), or growth by this; None: nothing."""
        if not self._limits:
            return None
        for kind, name in (("user", user), ("project", project)):
            subject = f"{kind}:{name}"
            limit = self._limits.get(subject) or self._limits.get(f"{kind}:*")
            if limit is None or not name:
                continue
            running = self._running.get(subject, 0)
            if new and limit.running is not None and running >= limit.running:
                return Spent(subject, "running", running, 1, limit.running)
            use = self._use.get(subject, {})
            most = self._most[limit.subject]
            over = sums.exceeds(use, amounts, most)
            if over is not None:
                return Spent(subject, over, use.get(over, 0), dict(amounts)[over], most[over])
        return None
