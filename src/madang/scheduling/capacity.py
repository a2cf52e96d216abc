"""What is free on a node, and whether something fits: first fit, shares packed together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from madang.core.resources import MILLI, Resources, format_bytes, format_milli
from madang.scheduling.model import Allocation, Device, DeviceHold, Node


class DeviceSpace:
    """What is free of one device. Negative when a device shrank below what is held of it."""

    __slots__ = ("device", "memory_bytes", "milli")

    def __init__(self, device: Device) -> None:
        self.device = device
        self.milli = MILLI
        self.memory_bytes = device.memory_bytes

    @property
    def whole(self) -> bool:
        return self.milli == MILLI


class NodeSpace:
    """What is free of one node."""

    __slots__ = ("cpu_milli", "devices", "memory_bytes", "node")

    def __init__(self, node: Node, allocations: Iterable[Allocation] = ()) -> None:
        self.node = node
        self.cpu_milli = node.cpu_milli
        self.memory_bytes = node.memory_bytes
        ordered = sorted(node.devices, key=lambda device: (device.kind, device.index))
        self.devices = {(device.kind, device.index): DeviceSpace(device) for device in ordered}
        for allocation in allocations:
            self.take(allocation.cpu_milli, allocation.memory_bytes, allocation.devices)

    def take(self, cpu_milli: int, memory_bytes: int, devices: Iterable[DeviceHold]) -> None:
        self._add(-1, cpu_milli, memory_bytes, devices)

    def give(self, cpu_milli: int, memory_bytes: int, devices: Iterable[DeviceHold]) -> None:
        self._add(1, cpu_milli, memory_bytes, devices)

    def _add(
        self, sign: int, cpu_milli: int, memory_bytes: int, devices: Iterable[DeviceHold]
    ) -> None:
        self.cpu_milli += sign * cpu_milli
        self.memory_bytes += sign * memory_bytes
        for hold in devices:
            space = self.devices.get((hold.kind, hold.index))
            if space is not None:  # else the device was taken out under the task
                space.milli += sign * hold.milli
                space.memory_bytes += sign * hold.memory_bytes

    def fit(self, need: Resources) -> tuple[DeviceHold, ...] | None:
        """The devices to take for one replica; None when it does not fit."""
        if self.cpu_milli < need.cpu_milli or self.memory_bytes < need.memory_bytes:
            return None
        if not need.device_kind:
            return ()
        return self._fit_whole(need) if need.device_milli >= MILLI else self._fit_share(need)

    def claim(self, need: Resources) -> tuple[DeviceHold, ...]:
        """The devices that a waiting replica should get here one day: those with most free, which
        get no emptier for anybody else, so that one of them is free at last."""
        if not need.device_kind:
            return ()
        count = max(1, need.device_milli // MILLI)
        spaces = sorted(self._matching(need), key=lambda space: -space.milli)
        holds = (_hold_of(space.device, need) for space in spaces[:count])
        return tuple(hold for hold in holds if hold is not None)

    def has_device_for(self, need: Resources) -> bool:
        return next(self._matching(need), None) is not None

    def _fit_whole(self, need: Resources) -> tuple[DeviceHold, ...] | None:
        count = need.device_milli // MILLI
        found: list[DeviceHold] = []
        for space in self._matching(need):
            hold = _hold_of(space.device, need) if space.whole else None
            if hold is not None:
                found.append(hold)
                if len(found) == count:
                    return tuple(found)
        return None

    def _fit_share(self, need: Resources) -> tuple[DeviceHold, ...] | None:
        """On the fullest device that still has room, so that whole ones stay whole."""
        best: tuple[int, DeviceHold] | None = None
        for space in self._matching(need):
            hold = _hold_of(space.device, need)
            if hold is None or space.milli < hold.milli:
                continue
            if space.memory_bytes < hold.memory_bytes:
                continue
            if best is None or space.milli < best[0]:
                best = (space.milli, hold)
        return (best[1],) if best else None

    def _matching(self, need: Resources) -> Iterator[DeviceSpace]:
        return (
            space
            for (kind, _), space in self.devices.items()
            if kind == need.device_kind and model_matches(space.device.model, need.device_models)
        )

    def describe(self, need: Resources) -> str:
        """What is free here of the things that are asked for, for people."""
        parts = [
            f"cpu={format_milli(max(0, self.cpu_milli))}",
            f"memory={format_bytes(max(0, self.memory_bytes))}",
        ]
        if need.device_kind:
            spaces = list(self._matching(need))
            if need.device_milli >= MILLI:
                free = sum(MILLI for space in spaces if space.whole)
            else:
                free = max((space.milli for space in spaces), default=0)
            parts.append(f"{need.device_kind}={format_milli(max(0, free))}")
        return f"{' '.join(parts)} on {self.node.name}"


def _hold_of(device: Device, need: Resources) -> DeviceHold | None:
    """What a replica holds of this device, were it free; None when it is too small."""
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


@cache
def model_matches(model: str, wanted: tuple[str, ...]) -> bool:
    """Whether a device's model is one of those wanted: `H100` names `NVIDIA H100 80GB HBM3`,
    `A10` does not name `A100`."""
    if not wanted:
        return True
    return any(
        re.search(rf"(?<![a-z0-9]){re.escape(name.lower())}(?![a-z0-9])", model.lower())
        for name in wanted
    )
