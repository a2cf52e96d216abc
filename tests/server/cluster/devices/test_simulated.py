from __future__ import annotations

import pytest

from madang.core.errors import InvalidInput
from madang.server.cluster.devices import SimulatedDevices
from madang.server.cluster.protocol import DeviceShare


def test_one_model() -> None:
    devices = SimulatedDevices("8xH100").inventory()
    assert [device.index for device in devices] == list(range(8))
    assert {(d.model, d.memory_bytes, d.simulated) for d in devices} == {
        ("H100", 80 * 2**30, True)
    }


def test_several_models() -> None:
    devices = SimulatedDevices("2xA100, 1xl4").inventory()
    assert [(device.index, device.model) for device in devices] == [
        (0, "A100"),
        (1, "A100"),
        (2, "L4"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8H100", "'8H100' doesn't say which GPUs"),
        ("0xH100", "'0xH100' doesn't say"),
        ("", "'' doesn't say"),
        ("1xH100,", "'' doesn't say"),
        ("2xGTX9000", "'GTX9000' is not a GPU model"),
        ("9999xL4", "simulates 9999 GPUs"),
        ("200xH100:7x1g.10gb", "simulates 1400 GPUs"),
        ("8xH100/0", "'8xH100/0' doesn't say"),
        ("1xL4:1g.10gb", "L4 can't be divided"),
        ("1xA100:half", "'half' is not a profile"),
        ("1xA100:3g.40gb+3g.40gb+2g.20gb", "is 8 slices and 100 GiB"),
        ("1xA100-40GB:3g.40gb+1g.5gb", "is 4 slices and 45 GiB"),
    ],
)
def test_bad_text(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        SimulatedDevices(text)


def test_a_task_learns_which_it_holds() -> None:
    devices = SimulatedDevices("4xL4")
    share = DeviceShare(index=3, kind="gpu", milli=1000, simulated=True)
    assert devices.owns(share)
    assert devices.environment_variables([share]) == {"MADANG_SIMULATED_DEVICES": "3"}
    assert devices.nodes([share]) == []
    assert not devices.owns(DeviceShare(index=3, kind="gpu", milli=1000, simulated=False))
    assert not devices.owns(DeviceShare(index=4, kind="gpu", milli=1000, simulated=True))


def test_fast_links_are_those_that_the_model_usually_has() -> None:
    def groups(text: str) -> list[int]:
        return [device.link_group for device in SimulatedDevices(text).inventory()]

    assert groups("3xH100") == [0, 0, 0]
    assert groups("2xL4,1xH100") == [-1, -1, -1]
    assert groups("2xA100,2xH100") == [0, 0, 1, 1]
    assert groups("4xA100/2") == [0, 0, 1, 1]
    assert groups("2xL4/2,2xH100/1") == [0, 0, -1, -1]
    numa = [device.numa_node for device in SimulatedDevices("8xL4").inventory()]
    assert numa == [0, 0, 0, 0, 1, 1, 1, 1]


def test_slices() -> None:
    devices = SimulatedDevices("1xA100:3g.40gb+2x2g.20gb,1xH100").inventory()
    assert [(d.index, d.model, d.profile, d.memory_bytes // 2**30) for d in devices] == [
        (0, "A100", "3g.40gb", 40),
        (1, "A100", "2g.20gb", 20),
        (2, "A100", "2g.20gb", 20),
        (3, "H100", "", 80),
    ]
    assert [device.parent for device in devices] == ["simulated-0"] * 3 + [""]
    assert len({device.uuid for device in devices}) == 4
    assert {device.link_group for device in devices} == {-1}
