from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from madang.server.cluster.devices import nvidia
from madang.server.cluster.devices.nvidia import NvidiaDevices
from madang.server.cluster.protocol import DeviceShare


class FakeNvml:
    """Two GPUs whose device files are numbered the other way round."""

    NVMLError = RuntimeError

    def nvmlInit(self) -> None: ...

    def nvmlShutdown(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMinorNumber(self, handle: int) -> int:
        return 1 - handle

    def nvmlDeviceGetPciInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(busId=b"00000000:FF:1F.7")

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return b"NVIDIA H100 80GB HBM3"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(total=80 * 2**30)

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}"

    def nvmlDeviceGetMigMode(self, handle: int) -> list[int]:
        raise self.NVMLError("Not Supported")

    def nvmlDeviceGetNvLinkState(self, handle: int, link: int) -> int:
        raise self.NVMLError("Not Supported")

    def nvmlDeviceGetTopologyCommonAncestor(self, one: int, other: int) -> int:
        return 10

    NVML_TOPOLOGY_SYSTEM = 50


class Sliced(FakeNvml):
    """The first of two GPUs is cut into two slices: numbers have gaps. A handle of a slice is
    (GPU, place)."""

    def nvmlDeviceGetMigMode(self, handle: int) -> list[int]:
        return [int(handle == 0), 0]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: int) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: int, number: int) -> tuple[int, int]:
        if number not in (0, 3):
            raise self.NVMLError("Not Found")
        return handle, number

    def nvmlDeviceGetAttributes(self, slice_: tuple[int, int]) -> SimpleNamespace:
        return SimpleNamespace(
            gpuInstanceSliceCount=3, computeInstanceSliceCount=3, memorySizeMB=40_192
        )

    def nvmlDeviceGetName(self, handle: object) -> bytes:
        plain = b"NVIDIA A100-SXM4-80GB"
        return plain if isinstance(handle, int) else plain + b" MIG 3g.40gb"

    def nvmlDeviceGetMemoryInfo(self, handle: object) -> SimpleNamespace:
        return SimpleNamespace(total=(80 if isinstance(handle, int) else 39) * 2**30)

    def nvmlDeviceGetUUID(self, handle: object) -> str:
        return f"GPU-{handle}" if isinstance(handle, int) else f"MIG-{handle[1]}"  # type: ignore[index]

    def nvmlDeviceGetGpuInstanceId(self, slice_: tuple[int, int]) -> int:
        return 1 + slice_[1]

    def nvmlDeviceGetComputeInstanceId(self, slice_: tuple[int, int]) -> int:
        return 0


class Linked(FakeNvml):
    """Four GPUs: each two are linked directly, or all to a switch."""

    def __init__(self, ends: dict[int, list[str]]) -> None:
        self.ends = ends

    def nvmlDeviceGetCount(self) -> int:
        return 4

    def nvmlDeviceGetPciInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(busId=f"00000000:0{handle}:00.0".encode())

    def nvmlDeviceGetMinorNumber(self, handle: int) -> int:
        return handle

    def nvmlDeviceGetNvLinkState(self, handle: int, link: int) -> int:
        if link > 4:
            raise self.NVMLError("Invalid Argument")
        return int(link < len(self.ends.get(handle, [])))

    def nvmlDeviceGetNvLinkRemotePciInfo(self, handle: int, link: int) -> SimpleNamespace:
        end = self.ends[handle][link]
        if not end:
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(busId=end.encode())

    def nvmlDeviceGetTopologyCommonAncestor(self, one: int, other: int) -> int:
        return 50 if one // 2 != other // 2 else 40


def found(
    monkeypatch: pytest.MonkeyPatch, fake: FakeNvml, root: Path = Path("/none")
) -> NvidiaDevices:
    monkeypatch.setattr(nvidia, "_CONTROL_FILE", "/dev/null")
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return NvidiaDevices(root)


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> NvidiaDevices:
    return found(monkeypatch, FakeNvml())


def test_inventory(devices: NvidiaDevices) -> None:
    assert [(d.model, d.uuid) for d in devices.inventory()] == [
        ("H100 80GB HBM3", "GPU-0"),
        ("H100 80GB HBM3", "GPU-1"),
    ]


def test_a_task_gets_its_own_device_files_alone(devices: NvidiaDevices) -> None:
    held = [DeviceShare(index=0, kind="gpu", milli=1000)]
    assert devices.nodes(held)[-1] == "/dev/nvidia1"
    assert "/dev/nvidia0" not in devices.nodes(held)
    assert devices.environment_variables(held)["CUDA_VISIBLE_DEVICES"] == "GPU-0"


def test_a_task_without_devices_sees_none(devices: NvidiaDevices) -> None:
    assert devices.nodes([]) == []
    assert devices.environment_variables([])["CUDA_VISIBLE_DEVICES"] == ""


def test_a_machine_without_the_driver_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "_CONTROL_FILE", "/no/such/file")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert NvidiaDevices().inventory() == []
    assert NvidiaDevices().environment_variables([]) == {}


def test_slices_are_the_devices_of_a_gpu_in_mig_mode(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    allowed = tmp_path / "proc/driver/nvidia/capabilities/gpu1/mig/gi4"
    (allowed / "ci0").mkdir(parents=True)
    (allowed / "access").write_text("DeviceFileMinor: 39\nDeviceFileMode: 292\n")
    (allowed / "ci0/access").write_text("DeviceFileMinor: 40\nDeviceFileMode: 292\n")
    devices = found(monkeypatch, Sliced(), tmp_path)
    first, second, whole = devices.inventory()
    assert (first.profile, first.uuid, first.parent) == ("3g.40gb", "MIG-0", "GPU-0")
    assert (second.index, second.memory_bytes) == (1, 39 * 2**30)
    assert (second.model, second.link_group) == ("A100-SXM4-80GB", -1)
    assert (whole.index, whole.uuid, whole.profile, whole.parent) == (2, "GPU-1", "", "")
    held = [DeviceShare(index=1, kind="gpu", milli=1000)]
    assert devices.environment_variables(held)["CUDA_VISIBLE_DEVICES"] == "MIG-3"
    own = [file for file in devices.nodes(held) if file[-1].isdigit()]
    assert own == [
        "/dev/nvidia1",
        "/dev/nvidia-caps/nvidia-cap39",
        "/dev/nvidia-caps/nvidia-cap40",
    ]
    assert devices.nodes([DeviceShare(index=2, kind="gpu", milli=1000)])[-1] == "/dev/nvidia0"


def test_compute_instances_share_the_memory_of_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Halved(Sliced):
        def nvmlDeviceGetName(self, handle: object) -> bytes:
            return b"NVIDIA A100"  # an old driver: no profile in the name

        def nvmlDeviceGetAttributes(self, slice_: tuple[int, int]) -> SimpleNamespace:
            return SimpleNamespace(
                gpuInstanceSliceCount=3, computeInstanceSliceCount=1, memorySizeMB=40_192
            )

    device = found(monkeypatch, Halved()).inventory()[0]
    assert (device.profile, device.memory_bytes) == ("3g.39gb", 13 * 2**30)


PAIRS = {
    0: ["00000000:01:00.0"], 1: ["00000000:00:00.0"],
    2: ["00000000:03:00.0"], 3: ["00000000:02:00.0"],
}  # fmt: skip
SWITCHED = {gpu: ["00000000:AA:00.0", "00000000:AB:00.0"] for gpu in range(4)}


@pytest.mark.parametrize(
    ("ends", "groups"),
    [
        (PAIRS, [0, 0, 1, 1]),
        (SWITCHED, [0, 0, 0, 0]),
        ({gpu: [""] for gpu in range(4)}, [0, 0, 0, 0]),
        ({0: ["00000000:02:00.0"]}, [0, -1, 0, -1]),
        ({}, [-1, -1, -1, -1]),
    ],
)
def test_links(
    monkeypatch: pytest.MonkeyPatch, ends: dict[int, list[str]], groups: list[int]
) -> None:
    devices = found(monkeypatch, Linked(ends)).inventory()
    assert [device.link_group for device in devices] == groups


def test_numa_nodes_are_the_kernels_or_else_from_the_way_between(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    devices = found(monkeypatch, Linked({}), tmp_path).inventory()
    assert [device.numa_node for device in devices] == [0, 0, 1, 1]
    folder = tmp_path / "sys/bus/pci/devices/0000:03:00.0"
    folder.mkdir(parents=True)
    (folder / "numa_node").write_text("1\n")
    devices = found(monkeypatch, Linked({}), tmp_path).inventory()
    assert [device.numa_node for device in devices] == [0, 0, 0, 1]
