"""Which rule a policy's name stands for, and when rules that expect the future are made anew."""

from __future__ import annotations

from collections.abc import Callable

from madang.core.resources import Resources
from madang.scheduling.placement.choosers import (
    Chooser,
    NativeChooser,
    ReferenceChooser,
    has_native,
)
from madang.scheduling.placement.fragments import Fragments
from madang.scheduling.placement.mix import Mix
from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.policies.best_fit import BestFit
from madang.scheduling.placement.policies.dot_product import DotProduct
from madang.scheduling.placement.policies.first_fit import FirstFit
from madang.scheduling.placement.policies.gpu_clustering import GpuClustering
from madang.scheduling.placement.policies.gpu_packing import GpuPacking
from madang.scheduling.placement.policies.least_fragments import LeastFragments
from madang.scheduling.placement.policies.random_fit import RandomFit
from madang.scheduling.placement.policies.residual_value import ResidualValue
from madang.scheduling.placement.policies.rule import Rule
from madang.scheduling.placement.policies.spread import Spread
from madang.scheduling.placement.prices import Solution, solve
from madang.scheduling.placement.space import Space
from madang.scheduling.placement.types import Types

POLICIES = (
    "default",
    "fgd",
    "bestfit",
    "dotprod",
    "gpu-packing",
    "gpu-clustering",
    "random",
    "first-fit",
    "spread",
)
"""Names that `Policy.placement` may have."""

EXPECTING = frozenset({"default", "fgd"})
"""Policies that expect the mix of the past in the future."""

_FIRST_ARRIVALS = 100
"""With nothing known, so many arrivals are placed by first fit; they then show a first mix."""

_ARRIVALS = 100
_ARRIVALS_PER_NODE = 0.08
"""What is short is looked at anew after so many arrivals; on large clusters less changes."""

_SOLVE_EVERY = 5
"""Looks after which prices are found anew too: 500 arrivals on 1,213 nodes. 100 gains up to 0.1
points of allocation for five times the work, 1,000 loses up to 0.3."""


class Expectation:
    """The rules of policies that expect the mix of the past in the future. They are made anew as
    requests arrive; copies go on by themselves."""

    def __init__(self, mix: Mix) -> None:
        self.mix = mix
        self._due = 0
        self._looks = 0
        self._fragments: Fragments | None = None
        self._solution: Solution | None = None

    def copy(self) -> Expectation:
        other = Expectation(self.mix.copy())
        other._due, other._looks = self._due, self._looks
        other._fragments, other._solution = self._fragments, self._solution
        return other

    def arrived(self, need: Resources, count: int, num_nodes: int) -> bool:
        """Whether rules are to be made anew."""
        self.mix.add(need, count)
        if self.mix.arrivals < self._due:
            return False
        self._looks += 1
        self._due = self.mix.arrivals + max(_ARRIVALS, round(_ARRIVALS_PER_NODE * num_nodes))
        if self._learning or self._looks % _SOLVE_EVERY == 1:
            self.forget()
        return True

    def forget(self) -> None:
        """What was worked out from the types of nodes there are, or from the mix."""
        self._fragments = self._solution = None

    @property
    def _learning(self) -> bool:
        """Nothing is known but the first arrivals: each look shows more of the mix."""
        mix = self.mix
        return mix.learns and not mix.has_prior and mix.arrivals <= _FIRST_ARRIVALS * _SOLVE_EVERY

    def rule(self, name: str, space: Space, types: Types) -> Rule:
        mix = self.mix
        if mix.learns and not mix.has_prior and mix.arrivals < _FIRST_ARRIVALS:
            return FirstFit()
        if self._fragments is None:
            self._fragments = Fragments.of(mix, types)
        if name == "default":
            if self._solution is None:
                self._solution = solve(mix, space, types)
            if self._solution is not None:
                return ResidualValue(self._solution.prices(space, types), self._fragments)
        return FirstFit() if self._fragments is None else LeastFragments(self._fragments)


def make_rule(name: str, seed: int, expectation: Expectation, space: Space, types: Types) -> Rule:
    if name in EXPECTING:
        return expectation.rule(name, space, types)
    simple: dict[str, Callable[[], Rule]] = {
        "bestfit": BestFit,
        "dotprod": DotProduct,
        "gpu-packing": GpuPacking,
        "gpu-clustering": GpuClustering,
        "first-fit": FirstFit,
        "spread": Spread,
    }
    return RandomFit(seed) if name == "random" else simple[name]()


def make_chooser(rule: Rule, types: Types, space: Space, rank: Integers) -> Chooser:
    if isinstance(rule, FirstFit | LeastFragments | ResidualValue) and has_native():
        return NativeChooser(rule, types, space, rank)
    return ReferenceChooser(rule, types, space, rank)
