"""What users and queues have had lately: accelerator seconds that count less as time goes by."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from madang.core.resources import MILLI

_UNKNOWN = float("-inf")


@dataclass(slots=True)
class _Account:
    """`value` as of then, growing since by what is held: `milli` thousandths of accelerators."""

    value: float
    as_of: float
    milli: int = 0


class Usage:
    """Accelerator seconds of each subject (a user, a queue), halved each half-life.

    While r accelerators are held, u' = r - k·u with k = ln 2 / half-life, so
    u(t) = r/k + (u(0) - r/k)·exp(-k·t).
    """

    def __init__(self, half_life_s: float = 7 * 86_400.0) -> None:
        self.half_life_s = half_life_s
        self._accounts: dict[str, _Account] = {}
        self._changes: list[tuple[str, int]] = []
        """What came and went since the last moment that was told."""
        self._now = _UNKNOWN

    def load(self, told: Iterable[tuple[str, float, float]]) -> None:
        """Begin with (subject, value, as of when)."""
        for subject, value, as_of in told:
            self._accounts[subject] = _Account(value, as_of)

    def hold(self, subject: str, milli: int) -> None:
        """It holds so many thousandths more, from now on; or less, from the moment on that is told
        next: that is when it is known to have ended."""
        if milli > 0 and self._now != _UNKNOWN:
            self._shift(subject, milli)
        else:
            self._changes.append((subject, milli))

    def forget_holds(self) -> None:
        """Nobody holds anything; it is told anew."""
        self._changes = [(subject, -a.milli) for subject, a in self._accounts.items() if a.milli]

    def advance(self, now: float) -> None:
        begins = self._now == _UNKNOWN
        self._now = max(self._now, now)
        for subject, milli in self._changes:
            if begins and subject in self._accounts:  # it holds that since before it was loaded
                self._accounts[subject].milli += milli
            else:
                self._shift(subject, milli)
        self._changes.clear()

    def _shift(self, subject: str, milli: int) -> None:
        account = self._accounts.get(subject)
        if account is None:
            account = self._accounts[subject] = _Account(0.0, self._now)
        account.value = self._value(account)
        account.as_of = max(account.as_of, self._now)
        account.milli += milli

    def of(self, subject: str) -> float:
        account = self._accounts.get(subject)
        return self._value(account) if account is not None else 0.0

    def told(self) -> tuple[tuple[str, float, float], ...]:
        """The inverse of `load`."""
        return tuple((s, self.of(s), self._now) for s in sorted(self._accounts))

    def _value(self, account: _Account) -> float:
        seconds = self._now - account.as_of
        if seconds <= 0:
            return account.value
        k = math.log(2) / self.half_life_s
        level = account.milli / MILLI / k
        return level + (account.value - level) * math.exp(-k * seconds)
