"""All types of nodes in tables, and what needs ask of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from madang.core.resources import Resources
from madang.scheduling.placement.asks import Ask
from madang.scheduling.placement.nodes import Flags, Integers, NodeType

_MOST_ASKS = 10_000
"""Kept at once: needs are as many as people think of."""


class Types:
    """`[t, c]` is about column c of type t.

    alike: devices of a type with the same number can stand for each other; -1: no device.
    counts: whole devices, which scores speak of, unlike slices of one.
    """

    def __init__(self, types: Sequence[NodeType], columns: int) -> None:
        self.types = list(types)
        self.columns = columns
        self.alike: Integers = np.full((len(types), columns), -1, np.int64)
        self.counts: Flags = np.zeros((len(types), columns), np.bool_)
        self._asks: dict[Resources, Ask] = {}
        for t, node_type in enumerate(types):
            kinds: dict[tuple[str, str, int, str], int] = {}
            for column, device in enumerate(node_type.devices):
                kind = (device.kind, device.model, device.memory_bytes, device.profile)
                self.alike[t, column] = kinds.setdefault(kind, len(kinds))
                self.counts[t, column] = not device.profile

    def __len__(self) -> int:
        return len(self.types)

    def ask(self, need: Resources) -> Ask:
        ask = self._asks.get(need)
        if ask is None:
            if len(self._asks) >= _MOST_ASKS:
                self._asks.clear()
            ask = self._asks[need] = Ask(need, self.types, self.columns)
        return ask
