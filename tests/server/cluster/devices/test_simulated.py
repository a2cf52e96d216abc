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
