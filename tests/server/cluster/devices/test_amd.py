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


def compute_node(sysfs: Path, number: int, minor: int, *links: tuple[int, int]) -> None:
    """links: (type, the node at the other end)."""
    folder = sysfs / f"class/kfd/kfd/topology/nodes/{number}"
    folder.mkdir(parents=True)
    cpus = 0 if minor else 64
    (folder / "properties").write_text(f"cpu_cores_count {cpus}\ndrm_render_minor {minor}\n")
    for place, (kind, end) in enumerate(links):
        link = folder / "io_links" / str(place)
        link.mkdir(parents=True)
        (link / "properties").write_text(f"type {kind}\nnode_from {number}\nnode_to {end}\n")


def test_links_and_numa_nodes_are_those_of_the_kernels_topology(tmp_path: Path) -> None:
    sysfs, dev = tmp_path / "sys", tmp_path / "dev"
    dev.mkdir()
    (dev / "kfd").touch()
    for minor in (128, 129, 130):
        card(sysfs, f"renderD{minor}", "0x1002", 2**34)
    pcie, xgmi = 2, 11
    compute_node(sysfs, 0, 0)
    compute_node(sysfs, 1, 0)
    compute_node(sysfs, 2, 128, (pcie, 0), (xgmi, 3))
    compute_node(sysfs, 3, 129, (pcie, 0), (xgmi, 2), (pcie, 4))
    compute_node(sysfs, 4, 130, (pcie, 1), (pcie, 3))
    devices = AmdDevices(sysfs, dev).inventory()
    assert [device.link_group for device in devices] == [0, 0, -1]
    assert [device.numa_node for device in devices] == [0, 0, 1]
