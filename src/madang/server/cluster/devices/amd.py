from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from madang.server.cluster.devices.base import DevicePlugin
from madang.server.cluster.protocol import DeviceInventory, DeviceShare

_VENDOR = "0x1002"


class AmdDevices(DevicePlugin):
    """GPUs with compute (ROCm), read from sysfs: a render node of AMD beside /dev/kfd."""

    def __init__(self, sysfs: Path = Path("/sys"), dev: Path = Path("/dev")) -> None:
        self._dev = dev
        self._render_nodes: list[str] = []
        self._devices: list[DeviceInventory] = []
        if (dev / "kfd").exists():
            for card in sorted((sysfs / "class/drm").glob("renderD*")):
                if _read(card / "device/vendor") == _VENDOR:
                    self._add(card)

    def inventory(self) -> list[DeviceInventory]:
        return list(self._devices)

    def environment_variables(self, held: Sequence[DeviceShare]) -> dict[str, str]:
        """Indices count the devices visible inside, which are the held ones alone."""
        if not self._devices:
            return {}
        return {"HIP_VISIBLE_DEVICES": ",".join(str(number) for number in range(len(held)))}

    def nodes(self, held: Sequence[DeviceShare]) -> list[str]:
        if not held:
            return []
        return [str(self._dev / "kfd"), *(self._render_nodes[share.index] for share in held)]

    def _add(self, card: Path) -> None:
        device = card / "device"
        self._render_nodes.append(str(self._dev / "dri" / card.name))
        numa = _read(device / "numa_node")
        self._devices.append(
            DeviceInventory(
                index=len(self._devices),
                kind="gpu",
                model=_read(device / "product_name") or "AMD GPU",
                memory_bytes=int(_read(device / "mem_info_vram_total") or 0),
                uuid=_read(device / "unique_id"),
                numa_node=max(0, int(numa)) if numa else 0,
            )
        )


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
