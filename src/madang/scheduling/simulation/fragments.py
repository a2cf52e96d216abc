"""How much of what is free nobody could use.

The measure of FGD (Weng et al., "Beware of Fragmentation", USENIX ATC 2023): the free GPU of a
node is a fragment for a class of requests as far as that class can't use it there; the mean over
classes, weighted by how often each is asked for, is the node's fragmentation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import Node, Placement
from madang.scheduling.placement import model_matches
from madang.scheduling.simulation.trace import Job

_MOST_CLASSES = 40
"""The commonest classes of requests; of the production trace that FGD was measured on, 35 hold
95 % of all requests."""


@dataclass(slots=True)
class NodeState:
    """What is free of a node: thousandths of CPUs and of each GPU, by index."""

    node: Node
    cpu_milli: int
    gpu_milli: dict[int, int] = field(default_factory=dict)

    @property
    def model(self) -> str:
        return next((d.model for d in self.node.devices if d.kind == "gpu"), "")


@dataclass(frozen=True, slots=True)
class Fragments:
    """At one moment: all GPU, the free part of it, and what of that is of no use; thousandths."""

    at: float
    capacity_milli: int
    free_milli: int
    fragment_milli: float

    @property
    def of_capacity(self) -> float:
        return self.fragment_milli / max(1, self.capacity_milli)


class FragmentMeter:
    """Measures with the mix of requests that a trace has."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        asked: Counter[Resources] = Counter()
        for job in jobs:
            for group in job.request.groups:
                asked[group.resources] += group.replicas_min
        common = asked.most_common(_MOST_CLASSES)
        total = sum(count for _, count in common) or 1
        self._classes = [(need, count / total) for need, count in common]

    def measure(self, at: float, states: Iterable[NodeState]) -> Fragments:
        capacity = free = 0
        fragment = 0.0
        known: dict[tuple[object, ...], float] = {}
        for state in states:
            levels = tuple(sorted(state.gpu_milli.values()))
            capacity += MILLI * len(levels)
            here = sum(levels)
            free += here
            if not here:
                continue
            key = (state.model, state.cpu_milli, levels)
            if key not in known:
                known[key] = self._fragment(state, levels, here)
            fragment += known[key]
        return Fragments(at, capacity, free, fragment)

    def _fragment(self, state: NodeState, levels: tuple[int, ...], free: int) -> float:
        total = 0.0
        for need, weight in self._classes:
            each = min(MILLI, need.device_milli)
            count = max(1, need.device_milli // MILLI)
            usable = sum(level for level in levels if level >= each)
            hosts = (
                need.device_kind == "gpu"
                and state.cpu_milli >= need.cpu_milli
                and sum(level >= each for level in levels) >= count
                and model_matches(state.model, need.device_models)
            )
            total += weight * (free - usable if hosts else free)
        return total


def free_states(
    nodes: Iterable[Node], held: Iterable[tuple[Mapping[str, Resources], Iterable[Placement]]]
) -> dict[str, NodeState]:
    """What is free on each node, given what runs: what each role needs, and where it is."""
    states = {
        node.id: NodeState(
            node, node.cpu_milli, {d.index: MILLI for d in node.devices if d.kind == "gpu"}
        )
        for node in nodes
    }
    for needs, placements in held:
        for placement in placements:
            state = states.get(placement.node_id)
            if state is None:
                continue
            state.cpu_milli -= needs[placement.role].cpu_milli
            for hold in placement.devices:
                if hold.index in state.gpu_milli:
                    state.gpu_milli[hold.index] -= hold.milli
    return states
