from __future__ import annotations

import sys
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


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> NvidiaDevices:
    monkeypatch.setattr(nvidia, "_CONTROL_FILE", "/dev/null")
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    return NvidiaDevices()


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
