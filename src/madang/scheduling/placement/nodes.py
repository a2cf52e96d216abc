"""What does not change while tasks come and go: the nodes, by number, and what kinds there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from madang.scheduling.model import Device, Node, Where

_MOST_WHERES = 1_000
"""Answers that are remembered: people may ask for places that differ without end."""

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class NodeType:
    """Nodes that were bought alike: what one could hold, another of its type could hold too.

    devices are sorted by kind and index; a device's *column* is its place among them. alike: no
    two of them are closer to each other than others.
    """

    cpu_milli: int
    memory_bytes: int
    devices: tuple[Device, ...]
    column: dict[tuple[str, int], int] = field(compare=False, hash=False)
    alike: bool = field(default=True, compare=False)

    @classmethod
    def of(cls, node: Node) -> NodeType:
        devices = tuple(sorted(node.devices, key=lambda device: (device.kind, device.index)))
        column = {(device.kind, device.index): i for i, device in enumerate(devices)}
        alike = len({(device.link_group, device.numa_node) for device in devices}) <= 1
        return cls(node.cpu_milli, node.memory_bytes, devices, column, alike)


class Nodes:
    """Nodes numbered in the order in which they came. Copies of a cluster share one; who changes
    a shared one makes its own first."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.nodes: list[Node | None] = []
        self.number: dict[str, int] = {}
        self.types: list[NodeType] = []
        self.type_of: list[int] = []
        self._type_number: dict[NodeType, int] = {}
        self._rank: Integers | None = None
        self._suiting: dict[Where, Flags] = {}
        self._racks: Integers | None = None

    def copy(self) -> Nodes:
        other = Nodes(self.seed)
        other.nodes = list(self.nodes)
        other.number = dict(self.number)
        other.types = list(self.types)
        other.type_of = list(self.type_of)
        other._type_number = dict(self._type_number)
        return other

    def set(self, node: Node) -> int:
        number = self.number.get(node.id)
        if number is None:
            number = self._free_number()
            self.number[node.id] = number
        self.nodes[number] = node
        self.type_of[number] = self._number_of_type(NodeType.of(node))
        self._forget()
        return number

    def remove(self, node_id: str) -> int:
        number = self.number.pop(node_id)
        self.nodes[number] = None
        self._forget()
        return number

    def _free_number(self) -> int:
        if len(self.number) < len(self.nodes):
            return self.nodes.index(None)
        self.nodes.append(None)
        self.type_of.append(0)
        return len(self.nodes) - 1

    def _number_of_type(self, node_type: NodeType) -> int:
        number = self._type_number.get(node_type)
        if number is None:
            number = self._type_number[node_type] = len(self.types)
            self.types.append(node_type)
        return number

    def _forget(self) -> None:
        self._rank = None
        self._suiting.clear()
        self._racks = None

    @property
    def rank(self) -> Integers:
        """The fixed order in which nodes are taken among equals: by name for seed 0, else shuffled
        by the seed. It depends on the nodes alone, not on the order in which they came."""
        if self._rank is None:
            rank = np.full(len(self.nodes), len(self.nodes), np.int64)
            for place, number in enumerate(sorted(self.number.values(), key=self._order)):
                rank[number] = place
            self._rank = rank
        return self._rank

    def _order(self, number: int) -> tuple[str, str]:
        node = self.nodes[number]
        assert node is not None
        if not self.seed:
            return (node.name, node.id)
        mixed = hashlib.blake2b(f"{self.seed}/{node.name}".encode(), digest_size=8).hexdigest()
        return (mixed, node.id)

    def suiting(self, where: Where) -> Flags:
        """Which nodes are in the pool and have the labels that are asked for."""
        found = self._suiting.get(where)
        if found is None:
            wanted = set(where.labels)
            found = np.array(
                [
                    node is not None
                    and (not where.pool or node.pool == where.pool)
                    and wanted.issubset(node.labels)
                    for node in self.nodes
                ],
                np.bool_,
            )
            if len(self._suiting) >= _MOST_WHERES:
                self._suiting.clear()
            self._suiting[where] = found
        return found

    def among(self, node_ids: Iterable[str]) -> Flags:
        found = np.zeros(len(self.nodes), np.bool_)
        found[[self.number[node_id] for node_id in node_ids if node_id in self.number]] = True
        return found

    @property
    def racks(self) -> Integers:
        """The number of each node's rack; a node without the label is a rack of its own."""
        if self._racks is None:
            names: dict[str, int] = {}
            racks = np.zeros(len(self.nodes), np.int64)
            for number, node in enumerate(self.nodes):
                rack = dict(node.labels).get("rack") if node is not None else None
                own = f"rack {rack}" if rack is not None else f"node {number}"
                racks[number] = names.setdefault(own, len(names))
            self._racks = racks
        return self._racks
