"""What a need asks of each type of node."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import Device, DeviceHold
from madang.scheduling.placement.nodes import Flags, Integers, NodeType


class Ask:
    """One need, worked out for each type of node: `[t, c]` is about column c of type t.

    whole: how many devices that nobody else holds it takes; 0 for a share of one, or for none.
    share: it takes a part of one device. suits: which devices would do were they free.
    milli, memory: what it takes of each.
    """

    __slots__ = ("_holds", "memory", "milli", "need", "share", "suits", "types", "whole")

    def __init__(self, need: Resources, types: Sequence[NodeType], columns: int) -> None:
        self.need = need
        self.types = types
        self._holds: dict[tuple[int, int], DeviceHold] = {}
        devices = bool(need.device_kind)
        self.whole = need.device_milli // MILLI if devices else 0
        self.share = devices and not self.whole
        self.suits: Flags = np.zeros((len(types), columns), np.bool_)
        self.milli: Integers = np.zeros((len(types), columns), np.int64)
        self.memory: Integers = np.zeros((len(types), columns), np.int64)
        for t, node_type in enumerate(types):
            for column, device in enumerate(node_type.devices):
                hold = hold_of(device, need)
                if hold is not None:
                    self._holds[t, column] = hold
                    self.suits[t, column] = True
                    self.milli[t, column] = hold.milli
                    self.memory[t, column] = hold.memory_bytes

    def holds(self, type_number: int, columns: Sequence[int]) -> tuple[DeviceHold, ...]:
        return tuple([self._holds[type_number, column] for column in columns])


def hold_of(device: Device, need: Resources) -> DeviceHold | None:
    """What a replica would hold of this device; None when it is not of the kind, model or profile
    that is asked for, or too small. What is asked of memory alone is a share, and the reverse."""
    if device.kind != need.device_kind or device.profile.lower() != need.device_profile:
        return None
    if not model_matches(device.model, need.device_models):
        return None
    if device.memory_bytes < need.device_memory_bytes:
        return None
    if need.device_milli >= MILLI:
        return DeviceHold(device.kind, device.index, MILLI, device.memory_bytes)
    milli = need.device_milli
    memory_bytes = need.device_memory_bytes
    if not milli:
        milli = min(MILLI, -(-memory_bytes * MILLI // max(1, device.memory_bytes)))
    if not memory_bytes:
        memory_bytes = device.memory_bytes * milli // MILLI
    return DeviceHold(device.kind, device.index, milli, memory_bytes)


@lru_cache(maxsize=65_536)
def model_matches(model: str, wanted: tuple[str, ...]) -> bool:
    """Whether a device's model is one of those wanted: `H100` names `NVIDIA H100 80GB HBM3`,
    `A10` does not name `A100`."""
    if not wanted:
        return True
    return any(
        re.search(rf"(?<![a-z0-9]){re.escape(name.lower())}(?![a-z0-9])", model.lower())
        for name in wanted
    )
