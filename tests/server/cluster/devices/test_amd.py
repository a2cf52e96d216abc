from __future__ import annotations

from pathlib import Path

from madang.server.cluster.devices.amd import AmdDevices
from madang.server.cluster.protocol import DeviceShare


def card(sysfs: Path, name: str, vendor: str, memory_bytes: int) -> None:
    device = sysfs / "class/drm" / name / "device"
    device.mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "mem_info_vram_total").write_text(f"{memory_bytes}\n")
    (device / "unique_id").write_text("abc\n")
    (device / "numa_node").write_text("-1\n")


def test_cards_of_amd_with_compute(tmp_path: Path) -> None:
    sysfs, dev = tmp_path / "sys", tmp_path / "dev"
    card(sysfs, "renderD128", "0x8086", 1)
    card(sysfs, "renderD129", "0x1002", 2**34)
    card(sysfs, "renderD130", "0x1002", 2**35)
    assert AmdDevices(sysfs, dev).inventory() == [], "no /dev/kfd, no compute"
    dev.mkdir()
    (dev / "kfd").touch()
    devices = AmdDevices(sysfs, dev)
    assert [(d.index, d.memory_bytes, d.numa_node) for d in devices.inventory()] == [
        (0, 2**34, 0),
        (1, 2**35, 0),
    ]
    held = [DeviceShare(index=1, kind="gpu", milli=1000)]
    assert devices.nodes(held) == [f"{dev}/kfd", f"{dev}/dri/renderD130"]
    assert devices.environment_variables(held) == {"HIP_VISIBLE_DEVICES": "0"}
    assert devices.nodes([]) == []
