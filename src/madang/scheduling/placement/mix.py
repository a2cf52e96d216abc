"""What is asked for, and how often: what policies expect of the future."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from madang.core.resources import MILLI, Resources

PRIOR_ARRIVALS = 500
"""What the cluster's history weighs beside what arrives now; enough to be as good as a mix that is
given, and a wrong one is corrected within some thousand arrivals."""

REMEMBERED_ARRIVALS = 20_000
"""Older arrivals count half each time that as many have come."""


class Mix:
    """How often each need is asked for. `learns`: arrivals count; else it stays as it was given.

    prior: how often in the past; only its proportions matter.
    """

    def __init__(
        self, prior: Mapping[Resources, float] | None = None, learns: bool = True
    ) -> None:
        self.learns = learns
        self.arrivals = 0
        self._counts: dict[Resources, float] = {}
        self._typical: dict[tuple[float, bool], list[tuple[Resources, float]]] = {}
        total = sum(prior.values()) if prior else 0.0
        if prior and total > 0:
            scale = PRIOR_ARRIVALS / total if learns else 1.0
            self._counts = {need: count * scale for need, count in prior.items()}
        self._weight = sum(self._counts.values())
        self.has_prior = bool(self._counts)

    def copy(self) -> Mix:
        other = Mix(learns=self.learns)
        other.arrivals = self.arrivals
        other.has_prior = self.has_prior
        other._counts = dict(self._counts)
        other._weight = self._weight
        return other

    def add(self, need: Resources, count: int) -> None:
        self.arrivals += count
        if not self.learns:
            return
        self._typical.clear()
        self._counts[need] = self._counts.get(need, 0.0) + count
        self._weight += count
        if self._weight > 2 * REMEMBERED_ARRIVALS:
            self._counts = {key: value / 2 for key, value in self._counts.items() if value > 0.5}
            self._weight = sum(self._counts.values())

    @property
    def counts(self) -> Mapping[Resources, float]:
        return self._counts

    def typical(self, mass: float, *, by_devices: bool) -> list[tuple[Resources, float]]:
        """The fewest classes that make up `mass` of what arrives, the commonest first, and their
        shares. Needs that differ in main memory only are one class, with the commonest memory.

        by_devices: and the fewest that make up as much of the devices that are asked for: a
        request for eight devices is rare, and weighs as much as eight others.
        """
        key = (mass, by_devices)
        if key not in self._typical:
            self._typical[key] = self._find_typical(mass, by_devices)
        return self._typical[key]

    def _find_typical(self, mass: float, by_devices: bool) -> list[tuple[Resources, float]]:
        classes = sorted(_merged(self._counts), key=lambda each: (-each[1], *_order(each[0])))
        chosen = _fewest([count for _, count in classes], mass)
        if by_devices:
            demand = [count * need.device_milli for need, count in classes]
            heaviest = sorted(range(len(classes)), key=lambda i: -demand[i])
            chosen |= {heaviest[i] for i in _fewest([demand[i] for i in heaviest], mass)}
        total = sum(classes[i][1] for i in chosen)
        return [(classes[i][0], classes[i][1] / total) for i in sorted(chosen)]


def _merged(counts: Mapping[Resources, float]) -> list[tuple[Resources, float]]:
    totals: dict[Resources, float] = {}
    commonest: dict[Resources, tuple[float, int]] = {}
    for need, count in counts.items():
        merged = replace(need, memory_bytes=0, counted=())
        totals[merged] = totals.get(merged, 0.0) + count
        commonest[merged] = max(commonest.get(merged, (0.0, 0)), (count, need.memory_bytes))
    return [
        (replace(need, memory_bytes=commonest[need][1]), total) for need, total in totals.items()
    ]


def _order(need: Resources) -> tuple[int, int, int, tuple[str, ...], str, str]:
    """Among classes as common as each other, the larger one first."""
    whole = need.device_milli // MILLI
    milli = MILLI if whole else need.device_milli
    models = need.device_models
    return (-need.cpu_milli, -milli, -whole, models, need.device_kind, need.device_profile)


def _fewest(amounts: list[float], mass: float) -> set[int]:
    """How many from the front make up `mass` of all."""
    wanted = mass * sum(amounts)
    found: set[int] = set()
    reached = 0.0
    for i, amount in enumerate(amounts):
        if reached >= wanted:
            break
        found.add(i)
        reached += amount
    return found
