from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from madang.server.cluster.devices.base import DevicePlugin
from madang.server.cluster.protocol import DeviceInventory, DeviceShare

_CONTROL_FILE = "/dev/nvidiactl"
_SHARED_FILES = (_CONTROL_FILE, "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")


class NvidiaDevices(DevicePlugin):
    """GPUs by NVML. Its library is loaded only where the driver has made its device file."""

    def __init__(self) -> None:
        self._minors: dict[int, int] = {}
        self._devices = self._find() if os.path.exists(_CONTROL_FILE) else []

    def inventory(self) -> list[DeviceInventory]:
        return list(self._devices)

    def environment_variables(self, held: Sequence[DeviceShare]) -> dict[str, str]:
        """By UUID: inside, only the held device files exist, and the indices are other ones."""
        uuids = {device.index: device.uuid for device in self._devices}
        visible = ",".join(uuids[share.index] for share in held)
        if not self._devices:
            return {}
        return {"CUDA_VISIBLE_DEVICES": visible, "NVIDIA_VISIBLE_DEVICES": visible or "void"}

    def nodes(self, held: Sequence[DeviceShare]) -> list[str]:
        if not held:
            return []
        own = [f"/dev/nvidia{self._minors[share.index]}" for share in held]
        return [*_SHARED_FILES, *own]

    def _find(self) -> list[DeviceInventory]:
        import pynvml  # type: ignore[import-untyped]

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return []
        try:
            return [self._describe(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
        finally:
            pynvml.nvmlShutdown()

    def _describe(self, nvml: Any, index: int) -> DeviceInventory:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self._minors[index] = nvml.nvmlDeviceGetMinorNumber(handle)
        address = _text(nvml.nvmlDeviceGetPciInfo(handle).busId)
        return DeviceInventory(
            index=index,
            kind="gpu",
            model=_text(nvml.nvmlDeviceGetName(handle)).removeprefix("NVIDIA ").strip(),
            memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
            numa_node=numa_node_of_pci(address),
        )


def numa_node_of_pci(address: str) -> int:
    """The NUMA node of a PCI device, 0 where the machine doesn't say."""
    domain, _, rest = address.lower().partition(":")
    try:
        with open(f"/sys/bus/pci/devices/{domain[-4:]}:{rest}/numa_node") as file:
            return max(0, int(file.read()))
    except (OSError, ValueError):
        return 0


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
