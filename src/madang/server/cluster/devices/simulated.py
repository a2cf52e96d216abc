"""Devices that compute nothing, for trying out and for tests; labelled wherever they show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

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

_LINKED = frozenset({"A100", "A100-40GB", "B200", "H100", "H200", "MI300X", "V100"})
"""Of these all of a node are joined by fast links, unless it is said otherwise."""

_SLICED = frozenset({"A100", "A100-40GB", "B200", "H100", "H200"})
_SLICES = 7
"""Compute slices of one GPU, of which a profile `3g.40gb` takes three."""

_GROUP = re.compile(r"([0-9]{1,4})x([A-Za-z0-9-]+)(?:/([0-9]{1,4}))?(?::(.+))?")
_PROFILE = re.compile(r"(?:([1-7])x)?(([1-7])g\.([0-9]{1,3})gb)", re.IGNORECASE)
_MAX_DEVICES = 1024
_EXAMPLES = "Write it like 8xH100, 2xA100,1xL4, or 1xA100:3g.40gb+2x2g.20gb for slices."


@dataclass(frozen=True, slots=True)
class _Group:
    """Equal GPUs. linked: how many are joined by fast links; 0: as is usual for the model.
    profiles: of the slices into which each is divided."""

    count: int
    model: str
    linked: int
    profiles: tuple[str, ...]


class SimulatedDevices(DevicePlugin):
    """`SimulatedDevices("8xH100")`, or several models: `2xA100,1xL4`.

    `8xA100/4`: fast links join each four of them (`/1`: none). `1xA100:3g.40gb+2x2g.20gb`: each
    is divided into these slices. From four GPUs on, half are attached to each of two CPUs.

    Raises InvalidInput for a text of another form, a model that isn't known, slices that don't
    fit, or too many.
    """

    def __init__(self, text: str) -> None:
        groups = [_parse_group(group.strip()) for group in text.split(",")]
        total = sum(group.count * max(1, len(group.profiles)) for group in groups)
        if total > _MAX_DEVICES:
            raise InvalidInput(
                f"{text!r} simulates {total} GPUs",
                field="simulate_gpus",
                hint=f"One node can pretend to have at most {_MAX_DEVICES}.",
            )
        self._devices: list[DeviceInventory] = []
        gpus = sum(group.count for group in groups)
        number = links = 0
        for group in groups:
            for place in range(group.count):
                numa_node = int(gpus >= 4 and number >= gpus / 2)
                linked = group.linked > 1 and not group.profiles
                link_group = links + place // group.linked if linked else -1
                self._add(group, number, numa_node, link_group)
                number += 1
            links += -(-group.count // group.linked) if group.linked > 1 else 0

    def inventory(self) -> list[DeviceInventory]:
        return list(self._devices)

    def environment_variables(self, held: Sequence[DeviceShare]) -> dict[str, str]:
        indices = ",".join(str(share.index) for share in held)
        return {"MADANG_SIMULATED_DEVICES": indices} if held else {}

    def _add(self, group: _Group, number: int, numa_node: int, link_group: int) -> None:
        uuid = f"simulated-{number}"
        for place, profile in enumerate(group.profiles or ("",)):
            memory_bytes = MODEL_MEMORY_BYTES[group.model]
            self._devices.append(
                DeviceInventory(
                    index=len(self._devices),
                    kind="gpu",
                    model=group.model,
                    memory_bytes=_size(profile)[1] if profile else memory_bytes,
                    uuid=f"{uuid}/{place}" if profile else uuid,
                    numa_node=numa_node,
                    simulated=True,
                    link_group=link_group,
                    profile=profile,
                    parent=uuid if profile else "",
                )
            )


def _parse_group(text: str) -> _Group:
    match = _GROUP.fullmatch(text)
    models = {model.lower(): model for model in MODEL_MEMORY_BYTES}
    if match is None or int(match[1]) == 0 or match[3] == "0":
        raise InvalidInput(
            f"{text!r} doesn't say which GPUs to simulate", field="simulate_gpus", hint=_EXAMPLES
        )
    if match[2].lower() not in models:
        raise InvalidInput(
            f"{match[2]!r} is not a GPU model that can be simulated",
            field="simulate_gpus",
            hint=f"Known models: {', '.join(MODEL_MEMORY_BYTES)}.",
        )
    count, model = int(match[1]), models[match[2].lower()]
    usual = count if model in _LINKED and count > 1 else 1
    linked = int(match[3]) if match[3] else usual
    return _Group(count, model, linked, _parse_slices(match[4], model) if match[4] else ())


def _parse_slices(text: str, model: str) -> tuple[str, ...]:
    """`3g.40gb+2x2g.20gb`, if a GPU of this model can be divided so."""
    if model not in _SLICED:
        raise InvalidInput(
            f"{model} can't be divided into slices",
            field="simulate_gpus",
            hint=f"These can: {', '.join(sorted(_SLICED))}.",
        )
    profiles: list[str] = []
    for part in text.split("+"):
        match = _PROFILE.fullmatch(part.strip())
        if match is None:
            raise InvalidInput(
                f"{part!r} is not a profile of slices", field="simulate_gpus", hint=_EXAMPLES
            )
        profiles += [match[2].lower()] * int(match[1] or 1)
    sizes = [_size(profile) for profile in profiles]
    slices, memory_bytes = sum(size[0] for size in sizes), sum(size[1] for size in sizes)
    if slices > _SLICES or memory_bytes > MODEL_MEMORY_BYTES[model]:
        raise InvalidInput(
            f"{text!r} is {slices} slices and {memory_bytes // _GIB} GiB",
            field="simulate_gpus",
            hint=f"One {model} has {_SLICES} slices and {MODEL_MEMORY_BYTES[model] // _GIB} GiB.",
        )
    return tuple(profiles)


def _size(profile: str) -> tuple[int, int]:
    """Compute slices, and bytes of memory."""
    match = _PROFILE.fullmatch(profile)
    assert match is not None
    return int(match[3]), int(match[4]) * _GIB
