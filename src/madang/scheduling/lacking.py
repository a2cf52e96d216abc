"""What is lacking for a request: whether it could ever start on these nodes, what is missing now.

Answers come as a `Case`: a reason's code and facts, and the steps that would do away with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from madang.core.reasons import ReasonCode
from madang.core.resources import MILLI, Resources, format_bytes, format_milli
from madang.scheduling.backfill import at_minimum
from madang.scheduling.model import Device, Group, Node
from madang.scheduling.placement import Cluster, model_matches, place

_NAMES_SHOWN = 5

Shape = tuple[Group, ...]
Step = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that stands in the way. also: clauses. expected: when it is expected to be gone,
    if it goes by itself."""

    code: ReasonCode
    facts: dict[str, Any]
    steps: list[Step] = field(default_factory=list)
    also: list[Step] = field(default_factory=list)
    expected: float | None = None


class Lacking:
    """The answers for one set of nodes."""

    def __init__(self, cluster: Cluster, nodes: Sequence[Node]) -> None:
        self._cluster = cluster
        self._nodes = nodes
        self._empty: Cluster | None = None
        self._opened: Cluster | None = None

    @property
    def empty(self) -> Cluster:
        """All nodes with nothing on them; closed ones are closed."""
        if self._empty is None:
            self._empty = self._cluster.emptied()
        return self._empty

    @property
    def opened(self) -> Cluster:
        """All nodes with nothing on them, all open."""
        if self._opened is None:
            self._opened = self.empty.copy()
            for node in self._nodes:
                if not node.open:
                    self._opened.set_node(replace(node, open=True))
        return self._opened

    # -- ever ---------------------------------------------------------------------------------

    def ever(self, groups: Shape) -> Case | None:
        """Why it could not start if nothing ran on the nodes that are open; None: it could."""
        if not self._nodes:
            return Case(ReasonCode.NO_NODE, {}, list(_new_nodes(groups)))
        smallest = at_minimum(groups)
        if place(smallest, self.empty.copy()).complete:
            return None
        if place(smallest, self.opened.copy()).complete:
            return self._closed(groups)
        for group in groups:
            code, facts = self._of_group(group)
            if code is not None:
                return Case(code, facts, list(_new_nodes(groups)))
        tasks = sum(group.replicas_min for group in groups)
        fitting = place(smallest, self.opened.copy()).fitting
        facts = {"tasks": tasks, "wanted": wanted(groups), "fitting": fitting}
        return Case(ReasonCode.GANG_TOO_LARGE, facts, list(_new_nodes(groups)))

    def _closed(self, groups: Shape) -> Case:
        """Closed nodes that could take some of it, one after the other until all would fit."""
        state = self.empty.copy()
        opened: list[Node] = []
        suiting = self._suiting(groups)
        for node in sorted(self._nodes, key=lambda node: (node.name, node.id)):
            if node.open or node.id not in suiting:
                continue
            opened.append(node)
            state.set_node(replace(node, open=True))
            if place(at_minimum(groups), state.copy()).complete:
                break
        names = [node.name for node in opened[:_NAMES_SHOWN]]
        names += ["…"] if len(opened) > _NAMES_SHOWN else []
        step: Step = {"do": "open", "nodes": [node.id for node in opened]}
        return Case(ReasonCode.NODES_CLOSED, {"nodes": ", ".join(names)}, [step])

    def _suiting(self, groups: Shape) -> set[str]:
        """Nodes that could take a replica of any group if they were open and empty."""
        nodes = self.opened.free().nodes
        rows: set[int] = set()
        for group in groups:
            most = self.opened.most_by_row(group.resources, group.where, empty=False)
            rows.update(np.flatnonzero(most).tolist())
        return {node.id for row in rows if (node := nodes[row]) is not None}

    def _of_group(self, group: Group) -> tuple[ReasonCode | None, dict[str, Any]]:
        """What no node has; (None, {}) when each replica by itself could run somewhere."""
        where, need = group.where, group.resources
        if not group.replicas_min:
            return None, {}
        nodes = list(self._nodes)
        if where.pool:
            pools = sorted({node.pool for node in nodes if node.pool})
            nodes = [node for node in nodes if node.pool == where.pool]
            if not nodes:
                available = ", ".join(pools) or "none"
                return ReasonCode.NO_POOL, {"pool": where.pool, "available": available}
        if where.labels:
            nodes = [node for node in nodes if set(where.labels) <= set(node.labels)]
            if not nodes:
                labels = ", ".join(f"{name}={value}" for name, value in where.labels)
                return ReasonCode.NO_LABEL, {"labels": labels}
        suitable = [node for node in nodes if has_device_for(node, need)]
        if need.device_kind and not suitable:
            kinds = {f"{d.kind} {d.profile or d.model}" for node in nodes for d in node.devices}
            facts = {"wanted": in_words(need), "available": ", ".join(sorted(kinds)) or "none"}
            return ReasonCode.NO_DEVICE, facts
        most = self.opened.most_by_row(need, where, empty=False)
        if not most.any():
            largest = roomiest(self.opened, need, {node.id for node in suitable or nodes})
            return ReasonCode.TOO_LARGE, {"wanted": in_words(need), "largest": largest}
        return self._apart_or_together(group, most.tolist())

    def _apart_or_together(
        self, group: Group, most: Sequence[int]
    ) -> tuple[ReasonCode | None, dict[str, Any]]:
        where = group.where
        unit = where.together or where.apart
        if not unit:
            return None, {}
        by_unit: dict[str | int, int] = {}
        for node, count in zip(self.opened.free().nodes, most, strict=False):
            if node is not None and count:
                name = node.id if unit == "node" else self.opened.rack_of(node.id)
                by_unit[name] = by_unit.get(name, 0) + count
        if where.together:
            fitting = max(by_unit.values(), default=0)
            code = ReasonCode.TOGETHER_TOO_LARGE
        else:
            fitting, code = len(by_unit), ReasonCode.APART_TOO_FEW
        if fitting >= group.replicas_min:
            return None, {}
        facts = {"tasks": group.replicas_min, "wanted": in_words(group.resources)}
        return code, {**facts, "within": unit, "fitting": fitting}

    # -- now ----------------------------------------------------------------------------------

    def now(self, groups: Shape, cluster: Cluster) -> Case | None:
        """What is missing on `cluster` as it is; None: it fits."""
        attempt = place(at_minimum(groups), cluster.copy())
        if attempt.complete:
            return None
        tasks = sum(group.replicas_min for group in groups)
        if tasks > 1:
            facts = {"tasks": tasks, "wanted": wanted(groups), "fitting": attempt.fitting}
            return Case(ReasonCode.GANG, facts)
        group = next(group for group in groups if group.replicas_min)
        need = group.resources
        rows = np.flatnonzero(self.opened.most_by_row(need, group.where, empty=False))
        nodes = cluster.free().nodes
        suitable = {node.id for row in rows.tolist() if (node := nodes[row]) is not None}
        facts = {"wanted": f"{in_words(need)} on one node"}
        facts["free"] = roomiest(cluster, need, suitable)
        return Case(ReasonCode.RESOURCES, facts)


# -- words ------------------------------------------------------------------------------------


def in_words(need: Resources) -> str:
    """`8 H100 with cpu=64 memory=512GiB`: what is scarce first."""
    beside = [f"cpu={format_milli(need.cpu_milli)}", f"memory={format_bytes(need.memory_bytes)}"]
    beside += [f"{name}={count}" for name, count in need.counted]
    if not need.device_kind:
        return " ".join(beside)
    name = need.device_profile or "|".join(need.device_models) or need.device_kind
    if need.device_milli:
        scarce = f"{format_milli(need.device_milli)} {name}"
        if need.device_memory_bytes:
            scarce += f" of {format_bytes(need.device_memory_bytes)}"
    else:
        scarce = f"{format_bytes(need.device_memory_bytes)} of one {name}"
    return f"{scarce} with {' '.join(beside)}"


def wanted(groups: Sequence[Group]) -> str:
    """What the replicas of all groups need."""
    return " and ".join(dict.fromkeys(in_words(g.resources) for g in groups if g.replicas_min))


def roomiest(cluster: Cluster, need: Resources, among: set[str]) -> str:
    """The node that comes nearest, in words; devices count first."""
    best: tuple[tuple[int, ...], str] | None = None
    free = cluster.free()
    rows = ((row, node) for row, node in enumerate(free.nodes) if node is not None)
    for row, node in sorted(rows, key=lambda pair: (pair[1].name, pair[1].id)):
        if node.id not in among or not free.space.open[row]:
            continue
        cpu, memory = int(free.space.cpu_milli[row]), int(free.space.memory_bytes[row])
        devices = free_devices(cluster, row, need) if need.device_kind else 0
        counted = {name: free_counted(cluster, row, name) for name, _ in need.counted}
        rank = (devices, *counted.values(), cpu, memory)
        if best is None or rank > best[0]:
            parts = [f"cpu={format_milli(max(0, cpu))}", f"memory={format_bytes(max(0, memory))}"]
            parts += [f"{need.device_kind}={format_milli(devices)}"] if need.device_kind else []
            parts += [f"{name}={amount}" for name, amount in counted.items()]
            best = (rank, f"{' '.join(parts)} on {node.name}")
    return best[1] if best else "nothing"


def free_counted(cluster: Cluster, row: int, name: str) -> int:
    """How many of a counted resource are free in a row of `cluster.free()`."""
    amounts = cluster.free().space.counted.get(name)
    return 0 if amounts is None else max(0, int(amounts[row]))


def has_device_for(node: Node, need: Resources) -> bool:
    """Whether a node has a device of the kind, model and profile that is asked for."""
    return any(
        device.kind == need.device_kind
        and device.profile.lower() == need.device_profile
        and model_matches(device.model, need.device_models)
        and device.memory_bytes >= need.device_memory_bytes
        for device in node.devices
    )


def free_devices(cluster: Cluster, row: int, need: Resources) -> int:
    """Thousandths that are free in a row of `cluster.free()`, of devices that would do: of whole
    ones, or the largest part of one."""
    free = cluster.free()
    milli = [
        int(free.space.device_milli[row, column])
        for column, device in enumerate(free.types[free.space.type_of[row]].devices)
        if device.kind == need.device_kind
        and device.profile.lower() == need.device_profile
        and model_matches(device.model, need.device_models)
    ]
    if need.device_milli >= MILLI:
        return sum(MILLI for part in milli if part == MILLI)
    return max([0, *milli])


# -- what would do ----------------------------------------------------------------------------


def _new_nodes(groups: Shape) -> Iterator[Step]:
    """Nodes that would do: one for each replica, or one for all that must be together."""
    for group in groups:
        need, where = group.resources, group.where
        alone = where.together != "node"
        times = 1 if alone else group.replicas_min
        whole = max(1, need.device_milli // MILLI) * times if need.device_kind else 0
        yield {
            "do": "add_nodes",
            "count": group.replicas_min if alone else 1,
            "cpu_milli": need.cpu_milli * times,
            "memory_bytes": need.memory_bytes * times,
            "devices": whole,
            "kind": need.device_kind,
            "model": need.device_models[0] if need.device_models else need.device_kind,
            "profile": need.device_profile,
            "device_memory_bytes": need.device_memory_bytes,
            "pool": where.pool,
            "labels": [list(label) for label in where.labels],
            "counted": [[name, count * times] for name, count in need.counted],
            "racks": "one" if where.together == "rack" else "own" if where.apart else "any",
        }


def new_nodes(step: Step) -> Iterator[Node]:
    """The nodes that a step `add_nodes` asks for; none for another step."""
    if step["do"] != "add_nodes":
        return
    for number in range(step["count"]):
        labels = {name: value for name, value in step["labels"]}
        if step["racks"] != "any" and "rack" not in labels:
            labels["rack"] = "new" if step["racks"] == "one" else f"new-{number}"
        memory_bytes = max(step["device_memory_bytes"], 1)
        yield Node(
            f"new-{number}",
            f"new-{number}",
            step["cpu_milli"],
            step["memory_bytes"],
            tuple(
                Device(step["kind"], index, step["model"], memory_bytes, step["profile"])
                for index in range(step["devices"])
            ),
            pool=step["pool"],
            labels=tuple(sorted(labels.items())),
            counted=tuple((name, count) for name, count in step["counted"]),
        )
