"""What jobs tell of their work while they run, and what is learned of it for the next ones of
the same template: how much they took in all, how fast they were, whether what users declare holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_OVERRUNS = 8
"""So many of the latest jobs of a user and template tell how far to believe the next."""


@dataclass(slots=True)
class Template:
    """What was learned of one. total: what the latest job that completed took in all. speeds:
    units per second by GPUs, the latest of each size."""

    total: float | None = None
    speeds: dict[int, float] = field(default_factory=dict)


class Progress:
    """Told by the reports of `madang.train`; asked for the fields of `model.Work`."""

    def __init__(self) -> None:
        self._templates: dict[str, Template] = {}
        self._overruns: dict[tuple[str, str], list[float]] = {}

    def reported(self, template: str, gpus: int, rate: float) -> None:
        """A job runs with so many GPUs at so many units a second."""
        self._of(template).speeds[gpus] = rate

    def ended(self, template: str, user: str, done: float, declared: float | None) -> None:
        """A job has completed after so many units."""
        self._of(template).total = done
        if declared:
            overruns = self._overruns.setdefault((user, template), [])
            overruns.append(done / declared)
            del overruns[:-_OVERRUNS]

    def speeds(self, template: str) -> tuple[tuple[int, float], ...]:
        """For `Work.speeds`."""
        return tuple(sorted(self._of(template).speeds.items()))

    def expected_total(self, template: str) -> float | None:
        """For `Work.expected_total`."""
        return self._of(template).total

    def overrun(self, template: str, user: str) -> float:
        """For `Work.overrun`: the largest lately, so that nobody gains by declaring too little;
        1 for those who declare enough."""
        overruns: Sequence[float] = self._overruns.get((user, template), ())
        return max((1.0, *overruns))

    def _of(self, template: str) -> Template:
        return self._templates.setdefault(template, Template())
