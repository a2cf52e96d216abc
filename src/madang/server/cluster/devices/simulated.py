"""Devices that compute nothing, for trying out and for tests; labelled wherever they show."""

from __future__ import annotations

import re
from collections.abc import Sequence

from madang.core.errors import InvalidInput
from madang.server.cluster.devices.base import DevicePlugin
from madang.server.cluster.protocol import DeviceInventory, DeviceShare

_GIB = 2**30
MODEL_MEMORY_BYTES = {
    "A100": 80 * _GIB,
    "A100-40GB": 40 * _GIB,
    "A10": 24 * _GIB,
    "B200": 180 * _GIB,
    "H100": 80 * _GIB,
    "H200": 141 * _GIB,
    "L4": 24 * _GIB,
    "L40S": 48 * _GIB,
    "MI300X": 192 * _GIB,
    "P100": 16 * _GIB,
    "RTX4090": 24 * _GIB,
    "T4": 16 * _GIB,
    "V100": 32 * _GIB,
}
"""The models that can be simulated, and the memory of each."""

_GROUP = re.compile(r"([0-9]{1,4})x([A-Za-z0-9-]+)")
_MAX_DEVICES = 1024


class SimulatedDevices(DevicePlugin):
    """`SimulatedDevices("8xH100")`, or several models: `2xA100,1xL4`.

    Raises InvalidInput for a text of another form, a model that isn't known, or too many.
    """

    def __init__(self, text: str) -> None:
        self._devices: list[DeviceInventory] = []
        for group in text.split(","):
            count, model = _parse_group(group.strip())
            for _ in range(count):
                self._add(model)
        if len(self._devices) > _MAX_DEVICES:
            raise InvalidInput(
                f"{text!r} simulates {len(self._devices)} GPUs",
                field="simulate_gpus",
                hint=f"One node can pretend to have at most {_MAX_DEVICES}.",
            )

    def inventory(self) -> list[DeviceInventory]:
        return list(self._devices)

    def environment_variables(self, held: Sequence[DeviceShare]) -> dict[str, str]:
        indices = ",".join(str(share.index) for share in held)
        return {"MADANG_SIMULATED_DEVICES": indices} if held else {}

    def _add(self, model: str) -> None:
        index = len(self._devices)
        self._devices.append(
            DeviceInventory(
                index=index,
                kind="gpu",
                model=model,
                memory_bytes=MODEL_MEMORY_BYTES[model],
                uuid=f"simulated-{index}",
                simulated=True,
            )
        )


def _parse_group(text: str) -> tuple[int, str]:
    match = _GROUP.fullmatch(text)
    models = {model.lower(): model for model in MODEL_MEMORY_BYTES}
    if match is None or int(match[1]) == 0:
        raise InvalidInput(
            f"{text!r} doesn't say which GPUs to simulate",
            field="simulate_gpus",
            hint="Write it like 8xH100 or 2xA100,1xL4.",
        )
    if match[2].lower() not in models:
        raise InvalidInput(
            f"{match[2]!r} is not a GPU model that can be simulated",
            field="simulate_gpus",
            hint=f"Known models: {', '.join(MODEL_MEMORY_BYTES)}.",
        )
    return int(match[1]), models[match[2].lower()]
