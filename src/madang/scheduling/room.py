"""What one node would have free if some of what runs there were gone."""

from __future__ import annotations

from collections.abc import Iterable

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import Allocation, DeviceHold, Node
from madang.scheduling.placement.asks import hold_of


class Room:
    """Small and exact: for questions about few nodes and many what-ifs."""

    __slots__ = ("counted", "cpu_milli", "devices", "memory_bytes", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.cpu_milli = node.cpu_milli
        self.memory_bytes = node.memory_bytes
        self.counted = dict(node.counted)
        self.devices = {(d.kind, d.index): [MILLI, d.memory_bytes] for d in node.devices}

    def take(self, need: Resources | Allocation, holds: Iterable[DeviceHold]) -> None:
        self._add(-1, need, holds)

    def give(self, need: Resources | Allocation, holds: Iterable[DeviceHold]) -> None:
        self._add(1, need, holds)

    def _add(self, sign: int, need: Resources | Allocation, holds: Iterable[DeviceHold]) -> None:
        self.cpu_milli += sign * need.cpu_milli
        self.memory_bytes += sign * need.memory_bytes
        for name, amount in need.counted:
            self.counted[name] = self.counted.get(name, 0) + sign * amount
        for hold in holds:
            free = self.devices.get((hold.kind, hold.index))
            if free is not None:
                free[0] += sign * hold.milli
                free[1] += sign * hold.memory_bytes

    def fit(self, need: Resources) -> tuple[DeviceHold, ...] | None:
        """The devices for one replica, shares on the fullest; None when it does not fit."""
        if self.cpu_milli < need.cpu_milli or self.memory_bytes < need.memory_bytes:
            return None
        if any(self.counted.get(name, 0) < amount for name, amount in need.counted):
            return None
        if not need.device_kind:
            return ()
        fitting: list[tuple[int, DeviceHold]] = []
        for device in self.node.devices:
            hold = hold_of(device, need)
            if hold is None:
                continue
            milli, memory_bytes = self.devices[device.kind, device.index]
            if milli >= hold.milli and memory_bytes >= hold.memory_bytes:
                fitting.append((milli, hold))
        count = max(1, need.device_milli // MILLI)
        if len(fitting) < count:
            return None
        fitting.sort(key=lambda pair: (pair[0], pair[1].kind, pair[1].index))
        return tuple(hold for _, hold in fitting[:count])
