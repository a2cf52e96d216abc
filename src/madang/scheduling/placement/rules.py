"""Which rule a policy's name stands for, and when rules that expect the future are made anew."""

from __future__ import annotations

from collections.abc import Callable

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
from madang.scheduling.placement.prices import solve
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
"""With nothing known, so many arrivals are placed by first fit before a mix is guessed from them;
it is guessed anew each time their number has doubled."""

_ARRIVALS = 500
_ARRIVALS_PER_NODE = 0.4
"""Prices are found anew after so many arrivals: on 1,213 nodes 100 gains up to 0.3 points of
allocation for five times the work, 1,000 loses as much. On larger clusters less changes."""


def make_rule(name: str, seed: int, mix: Mix, space: Space, types: Types) -> Rule:
    if name in EXPECTING:
        if mix.learns and not mix.has_prior and mix.arrivals < _FIRST_ARRIVALS:
            return FirstFit()
        fragments = Fragments.of(mix, types)
        prices = solve(mix, space, types) if name == "default" else None
        if prices is not None:
            return ResidualValue(prices, fragments)
        return FirstFit() if fragments is None else LeastFragments(fragments)
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


def next_arrivals(mix: Mix, num_nodes: int) -> int:
    """After how many arrivals a rule that was made now is to be made anew."""
    if mix.learns and not mix.has_prior and mix.arrivals < _ARRIVALS:
        return max(_FIRST_ARRIVALS, 2 * mix.arrivals)
    return mix.arrivals + max(_ARRIVALS, round(_ARRIVALS_PER_NODE * num_nodes))
