from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from madang.server.cluster.devices.base import DevicePlugin
from madang.server.cluster.devices.links import link_groups
from madang.server.cluster.protocol import DeviceInventory, DeviceShare

_VENDOR = "0x1002"
_XGMI = 11
"""A type of link in the kernel's topology (`HSA_IOLINKTYPE_XGMI`): from GPU to GPU."""


class AmdDevices(DevicePlugin):
    """GPUs with compute (ROCm), read from sysfs: a render node of AMD beside /dev/kfd. Links and,
    where PCI doesn't say it, the NUMA node are those of the kernel's topology of compute nodes."""

    def __init__(self, sysfs: Path = Path("/sys"), dev: Path = Path("/dev")) -> None:
        self._dev = dev
        self._render_nodes: list[str] = []
        self._devices: list[DeviceInventory] = []
        if (dev / "kfd").exists():
            for card in sorted((sysfs / "class/drm").glob("renderD*")):
                if _read(card / "device/vendor") == _VENDOR:
                    self._add(card)
            self._link(_Topology(sysfs / "class/kfd/kfd/topology/nodes"))

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

    def _link(self, topology: _Topology) -> None:
        minors = [Path(node).name.removeprefix("renderD") for node in self._render_nodes]
        groups = link_groups(minors, topology.links)
        self._devices = [
            replace(
                device,
                link_group=group,
                numa_node=device.numa_node or topology.numa_nodes.get(minor, 0),
            )
            for device, minor, group in zip(self._devices, minors, groups, strict=True)
        ]


class _Topology:
    """GPUs are named by the minor number of their render node. links: between two of them.
    numa_nodes: of each, the CPU that it is attached to; they are numbered alike."""

    def __init__(self, nodes: Path) -> None:
        self._nodes = nodes
        self._minors = {
            folder.name: minor
            for folder in nodes.glob("[0-9]*")
            if (minor := _properties(folder).get("drm_render_minor", 0))
        }
        self.links: list[tuple[str, str]] = []
        self.numa_nodes: dict[str, int] = {}
        for name, minor in self._minors.items():
            for kind, end in self._ends(name):
                if end in self._minors:
                    if kind == _XGMI:
                        self.links.append((str(minor), str(self._minors[end])))
                else:
                    self.numa_nodes.setdefault(str(minor), int(end))

    def _ends(self, name: str) -> Iterator[tuple[int, str]]:
        """(type of the link, number of the node at its other end)."""
        for link in sorted((self._nodes / name / "io_links").glob("[0-9]*")):
            found = _properties(link)
            if "node_to" in found:
                yield found.get("type", 0), str(found["node_to"])


def _properties(folder: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    pairs = (line.split() for line in _read(folder / "properties").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
