from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from madang.server.cluster.devices.base import DevicePlugin
from madang.server.cluster.devices.links import link_groups
from madang.server.cluster.protocol import DeviceInventory, DeviceShare

_CONTROL_FILE = "/dev/nvidiactl"
_SHARED_FILES = (_CONTROL_FILE, "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")
_MOST_LINKS = 18
_PROFILE = re.compile(r" MIG ([0-9a-z.+]+)$")
_SWITCH = "switch"


class NvidiaDevices(DevicePlugin):
    """GPUs by NVML. Its library is loaded only where the driver has made its device file.

    Of a GPU in MIG mode its instances are the devices: as a whole it can't be used then, nor can
    its links.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._files: dict[int, tuple[str, ...]] = {}
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
        """A slice needs its GPU's file and the two that allow its instances."""
        if not held:
            return []
        own = dict.fromkeys(file for share in held for file in self._files[share.index])
        return [*_SHARED_FILES, *own]

    def _find(self) -> list[DeviceInventory]:
        import pynvml  # type: ignore[import-untyped]

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return []
        try:
            return self._look(pynvml)
        finally:
            pynvml.nvmlShutdown()

    def _look(self, nvml: Any) -> list[DeviceInventory]:
        handles = [
            nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())
        ]
        sliced = [_in_mig_mode(nvml, handle) for handle in handles]
        groups = _groups(nvml, handles, sliced)
        numa_nodes = _numa_nodes(nvml, handles, self._root)
        found: list[DeviceInventory] = []
        for number, handle in enumerate(handles):
            minor = nvml.nvmlDeviceGetMinorNumber(handle)
            whole = DeviceInventory(
                index=len(found),
                kind="gpu",
                model=_text(nvml.nvmlDeviceGetName(handle)).removeprefix("NVIDIA ").strip(),
                memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
                uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
                numa_node=numa_nodes[number],
                link_group=groups[number],
            )
            if not sliced[number]:
                self._files[whole.index] = (f"/dev/nvidia{minor}",)
                found.append(whole)
                continue
            for instance in _instances(nvml, handle):
                index = len(found)
                found.append(replace(_slice(nvml, instance, whole), index=index))
                self._files[index] = tuple(self._files_of(nvml, instance, minor))
        return found

    def _files_of(self, nvml: Any, instance: Any, minor: int) -> Iterator[str]:
        gpu = nvml.nvmlDeviceGetGpuInstanceId(instance)
        compute = nvml.nvmlDeviceGetComputeInstanceId(instance)
        yield f"/dev/nvidia{minor}"
        allowed = self._root / f"proc/driver/nvidia/capabilities/gpu{minor}/mig/gi{gpu}"
        for access in (allowed / "access", allowed / f"ci{compute}/access"):
            match = re.search(r"DeviceFileMinor:\s*(\d+)", _read(access))
            if match is not None:
                yield f"/dev/nvidia-caps/nvidia-cap{match[1]}"


# -- slices -----------------------------------------------------------------------------------


def _in_mig_mode(nvml: Any, handle: Any) -> bool:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:
        return False  # a model that knows no slices
    return bool(current)


def _instances(nvml: Any, handle: Any) -> Iterator[Any]:
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            yield nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
        except nvml.NVMLError:
            continue  # numbers have gaps


def _slice(nvml: Any, instance: Any, whole: DeviceInventory) -> DeviceInventory:
    """Where compute instances divide one GPU instance, each counts for its part of the memory
    that they share."""
    attributes = nvml.nvmlDeviceGetAttributes(instance)
    part, of = attributes.computeInstanceSliceCount, attributes.gpuInstanceSliceCount
    memory_bytes = int(nvml.nvmlDeviceGetMemoryInfo(instance).total)
    match = _PROFILE.search(_text(nvml.nvmlDeviceGetName(instance)))
    return replace(
        whole,
        memory_bytes=memory_bytes * part // of if 0 < part < of else memory_bytes,
        uuid=_text(nvml.nvmlDeviceGetUUID(instance)),
        profile=match[1] if match else f"{of}g.{round(attributes.memorySizeMB / 1024)}gb",
        parent=whole.uuid,
        link_group=-1,
    )


# -- links ------------------------------------------------------------------------------------


def _groups(nvml: Any, handles: Sequence[Any], sliced: Sequence[bool]) -> list[int]:
    """By NVLink, from GPU to GPU or by way of switches."""
    addresses = [_address(nvml, handle) for handle in handles]
    links = [
        (address, other)
        for address, handle, cut in zip(addresses, handles, sliced, strict=True)
        if not cut
        for other in _linked(nvml, handle)
    ]
    return link_groups(addresses, links)


def _linked(nvml: Any, handle: Any) -> Iterator[str]:
    """What is at the other ends: addresses of GPUs and switches. A link that works and does not
    say where it leads (in a virtual machine) leads to a switch."""
    for link in range(getattr(nvml, "NVML_NVLINK_MAX_LINKS", _MOST_LINKS)):
        try:
            if not nvml.nvmlDeviceGetNvLinkState(handle, link):
                continue
        except nvml.NVMLError:
            continue  # there is no such link
        try:
            yield _text(nvml.nvmlDeviceGetNvLinkRemotePciInfo(handle, link).busId).lower()
        except nvml.NVMLError:
            yield _SWITCH


def _numa_nodes(nvml: Any, handles: Sequence[Any], root: Path) -> list[int]:
    """As the kernel says; where it doesn't, GPUs are apart between which the way leads from one
    CPU to another."""
    said = [numa_node_of_pci(_address(nvml, handle), root) for handle in handles]
    if len(handles) < 2 or any(node is not None for node in said):
        return [node or 0 for node in said]
    near = []
    for (i, one), (j, other) in combinations(enumerate(handles), 2):
        try:
            way = nvml.nvmlDeviceGetTopologyCommonAncestor(one, other)
        except nvml.NVMLError:
            return [0] * len(handles)
        if way < nvml.NVML_TOPOLOGY_SYSTEM:
            near.append((i, j))
    groups = link_groups(range(len(handles)), near)
    alone = iter(range(max(groups) + 1, len(handles) + 1))
    return [group if group >= 0 else next(alone) for group in groups]


def numa_node_of_pci(address: str, root: Path = Path("/")) -> int | None:
    """The NUMA node of a PCI device, None where the machine doesn't say."""
    domain, _, rest = address.lower().partition(":")
    text = _read(root / f"sys/bus/pci/devices/{domain[-4:]}:{rest}/numa_node").strip()
    return int(text) if text.isdigit() else None


def _address(nvml: Any, handle: Any) -> str:
    return _text(nvml.nvmlDeviceGetPciInfo(handle).busId).lower()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
