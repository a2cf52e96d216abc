from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from madang.server.cluster.protocol import DeviceInventory, DeviceShare


class DevicePlugin(ABC):
    """One family of accelerators.

    `inventory` is asked once at the agent's start and must not fail where there are none. The
    other methods are asked for each task, with the shares of this plug-in's kind that it holds.
    """

    @abstractmethod
    def inventory(self) -> list[DeviceInventory]:
        """The devices of this node; `index` counts from 0 within a kind."""

    @abstractmethod
    def environment_variables(self, held: Sequence[DeviceShare]) -> dict[str, str]:
        """What makes a program see the devices that it holds, and no other."""

    def nodes(self, held: Sequence[DeviceShare]) -> list[str]:
        """Device files of the node that the task needs; those that don't exist are left out."""
        return []

    def owns(self, share: DeviceShare) -> bool:
        """Whether a share is of one of this plug-in's devices."""
        return any(
            device.kind == share.kind
            and device.index == share.index
            and device.simulated == share.simulated
            for device in self.inventory()
        )
