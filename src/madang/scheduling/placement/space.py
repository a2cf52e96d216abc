"""What is free, in arrays: row i is node i of `Nodes`, column c a device of it."""

from __future__ import annotations

import numpy as np

from madang.core.resources import MILLI
from madang.scheduling.placement.asks import Ask
from madang.scheduling.placement.nodes import Flags, Integers, NodeType

UNLIMITED = 1 << 40


class Space:
    """Free CPU, memory and devices of each node. What is negative was taken away under a task: a
    device shrank, or was pulled out."""

    __slots__ = (
        "counted",
        "cpu_milli",
        "device_memory_bytes",
        "device_milli",
        "memory_bytes",
        "open",
        "replicas_by_devices",
        "type_of",
    )

    def __init__(self, nodes: int = 0, columns: int = 0) -> None:
        self.cpu_milli: Integers = np.zeros(nodes, np.int64)
        self.memory_bytes: Integers = np.zeros(nodes, np.int64)
        self.device_milli: Integers = np.zeros((nodes, columns), np.int64)
        self.device_memory_bytes: Integers = np.zeros((nodes, columns), np.int64)
        self.type_of: Integers = np.zeros(nodes, np.int64)
        self.open: Flags = np.zeros(nodes, np.bool_)
        # [n, k]: how many replicas hold k whole devices; 0: shares
        self.replicas_by_devices: Integers = np.zeros((nodes, columns + 1), np.int64)
        self.counted: dict[str, Integers] = {}

    def __len__(self) -> int:
        return len(self.cpu_milli)

    @property
    def columns(self) -> int:
        return int(self.device_milli.shape[1])

    def copy(self) -> Space:
        other = Space.__new__(Space)
        for name in Space.__slots__:
            value = getattr(self, name)
            if isinstance(value, dict):
                value = {key: amounts.copy() for key, amounts in value.items()}
            else:
                value = value.copy()
            setattr(other, name, value)
        return other

    def grown(self, nodes: int, columns: int) -> Space:
        """One with room for more nodes and devices; what is new has nothing free."""
        other = Space(nodes, columns)
        rows, old = len(self), self.columns
        for name in ("cpu_milli", "memory_bytes", "type_of", "open"):
            getattr(other, name)[:rows] = getattr(self, name)
        other.device_milli[:rows, :old] = self.device_milli
        other.device_memory_bytes[:rows, :old] = self.device_memory_bytes
        other.replicas_by_devices[:rows, : old + 1] = self.replicas_by_devices
        for name, amounts in self.counted.items():
            other.counted[name] = np.concatenate([amounts, np.zeros(nodes - rows, np.int64)])
        return other

    def set_free(self, row: int, node_type: NodeType, counted: dict[str, int]) -> None:
        """All of a node is free."""
        self.cpu_milli[row] = node_type.cpu_milli
        self.memory_bytes[row] = node_type.memory_bytes
        self.device_milli[row] = 0
        self.device_memory_bytes[row] = 0
        self.replicas_by_devices[row] = 0
        for column, device in enumerate(node_type.devices):
            self.device_milli[row, column] = MILLI
            self.device_memory_bytes[row, column] = device.memory_bytes
        for name in counted.keys() - self.counted.keys():
            self.counted[name] = np.zeros(len(self), np.int64)
        for name, amounts in self.counted.items():
            amounts[row] = counted.get(name, 0)

    def fitting_devices(self, ask: Ask) -> Flags:
        """`[n, c]`: devices that could be taken now, for an ask that takes any."""
        milli = ask.milli[self.type_of]
        fits = ask.suits[self.type_of] & (self.device_milli >= milli)
        if ask.share:
            fits &= self.device_memory_bytes >= ask.memory[self.type_of]
        return fits

    def fitting(self, ask: Ask) -> Flags:
        """Nodes that could take one replica now, whether they are open or not."""
        need = ask.need
        fits = (self.cpu_milli >= need.cpu_milli) & (self.memory_bytes >= need.memory_bytes)
        if ask.share or ask.whole:
            fits &= self.fitting_devices(ask).sum(axis=1) >= max(1, ask.whole)
        for name, amount in need.counted:
            fits &= self.amount(name) >= amount
        return fits

    def fits(self, ask: Ask, row: int) -> bool:
        """Whether one node could take one replica now, open or not."""
        need = ask.need
        if need.cpu_milli > self.cpu_milli[row] or need.memory_bytes > self.memory_bytes[row]:
            return False
        if ask.share or ask.whole:
            number = self.type_of[row]
            fits = ask.suits[number] & (self.device_milli[row] >= ask.milli[number])
            if ask.share:
                fits &= self.device_memory_bytes[row] >= ask.memory[number]
            if np.count_nonzero(fits) < max(1, ask.whole):
                return False
        return all(self.amount(name)[row] >= amount for name, amount in need.counted)

    def most(self, ask: Ask) -> Integers:
        """How many replicas each node could take now."""
        need = ask.need
        most: Integers = np.minimum(
            self.cpu_milli // max(1, need.cpu_milli),
            self.memory_bytes // need.memory_bytes if need.memory_bytes else UNLIMITED,
        )
        if ask.whole:
            most = np.minimum(most, self.fitting_devices(ask).sum(axis=1) // ask.whole)
        elif ask.share:
            types = self.type_of
            by_milli = self.device_milli // np.maximum(1, ask.milli[types])
            by_memory = self.device_memory_bytes // np.maximum(1, ask.memory[types])
            shares = np.where(ask.suits[types], np.minimum(by_milli, by_memory), 0)
            most = np.minimum(most, np.maximum(shares, 0).sum(axis=1))
        for name, amount in need.counted:
            most = np.minimum(most, self.amount(name) // max(1, amount))
        return np.maximum(most, 0)

    def amount(self, name: str) -> Integers:
        """What is free of something counted."""
        amounts = self.counted.get(name)
        return np.zeros(len(self), np.int64) if amounts is None else amounts
