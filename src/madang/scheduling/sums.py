"""What allocations add up to, under the names that queues and limits speak of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import Allocation, Amounts, DeviceHold, Group, Node
from madang.scheduling.placement import model_matches

_SLICE = re.compile(r"(\d+)g\.")
_SLICES_OF_A_DEVICE = 7
"""Compute slices of a whole device, of which a profile `3g.40gb` has three (NVIDIA MIG)."""


class Meter:
    """Counts `cpu`, `memory`, each kind of accelerator, other things by name; and `gpu/H100` where
    a queue or a limit bounds one model (or profile)."""

    def __init__(
        self, named: Iterable[str] = (), largest: Mapping[str, int] | None = None
    ) -> None:
        """largest: by kind, the memory of the largest device there is."""
        self.named = frozenset(name for name in named if "/" in name)
        self.largest = dict(largest or {})
        self._names: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self._least: dict[Resources, Amounts] = {}

    def held(self, allocation: Allocation, node: Node | None) -> Amounts:
        """What an allocation counts for."""
        sums = {"cpu": allocation.cpu_milli, "memory": allocation.memory_bytes}
        add(sums, allocation.counted)
        if allocation.devices:
            self._add_devices(sums, allocation.devices, node)
        return amounts_of(sums)

    def replica(
        self, need: Resources, devices: tuple[DeviceHold, ...], node: Node | None
    ) -> Amounts:
        """The same for a replica that is to be placed there."""
        if not devices or (need.device_milli and not self.named and not need.device_profile):
            return self.least(need)
        sums = {"cpu": need.cpu_milli, "memory": need.memory_bytes}
        add(sums, need.counted)
        self._add_devices(sums, devices, node)
        return amounts_of(sums)

    def least(self, need: Resources) -> Amounts:
        """What a replica counts for at least, wherever it goes: a share that memory alone decides
        is smallest on the largest device."""
        found = self._least.get(need)
        if found is None:
            sums = {"cpu": need.cpu_milli, "memory": need.memory_bytes}
            add(sums, need.counted)
            if need.device_milli:
                milli = _scaled(need.device_milli, need.device_profile)
                sums[need.device_kind] = milli
                if need.device_profile:
                    name = f"{need.device_kind}/{need.device_profile}"
                    if name in self.named:
                        sums[name] = milli
                elif len(need.device_models) == 1:
                    for name in self.names_of(need.device_kind, need.device_models[0], ""):
                        sums[name] = milli
            elif need.device_kind in self.largest:
                memory_bytes = self.largest[need.device_kind]
                milli = -(-need.device_memory_bytes * MILLI // max(1, memory_bytes))
                sums[need.device_kind] = min(MILLI, milli)
            found = self._least[need] = amounts_of(sums)
        return found

    def has(self, node: Node) -> Amounts:
        """All that a node has."""
        sums = {"cpu": node.cpu_milli, "memory": node.memory_bytes}
        add(sums, node.counted)
        whole = (DeviceHold(d.kind, d.index, MILLI, d.memory_bytes) for d in node.devices)
        self._add_devices(sums, whole, node)
        return amounts_of(sums)

    def names_of(self, kind: str, model: str, profile: str) -> tuple[str, ...]:
        """The bounded names, such as `gpu/H100`, that a device counts for besides its kind."""
        key = (kind, model, profile)
        names = self._names.get(key)
        if names is None:
            names = tuple(
                name
                for name in sorted(self.named)
                if name.partition("/")[0] == kind
                and _is_named(model, profile, name.partition("/")[2])
            )
            self._names[key] = names
        return names

    def _add_devices(
        self, sums: dict[str, int], holds: Iterable[DeviceHold], node: Node | None
    ) -> None:
        known = {(d.kind, d.index): d for d in node.devices} if node is not None else {}
        for hold in holds:
            device = known.get((hold.kind, hold.index))
            milli = hold.milli if device is None else _scaled(hold.milli, device.profile)
            sums[hold.kind] = sums.get(hold.kind, 0) + milli
            if device is not None and self.named:
                for name in self.names_of(hold.kind, device.model, device.profile):
                    sums[name] = sums.get(name, 0) + milli


def _is_named(model: str, profile: str, wanted: str) -> bool:
    return profile.lower() == wanted.lower() or model_matches(model, (wanted,))


def _scaled(milli: int, profile: str) -> int:
    """Thousandths of a whole device, for a slice by its compute slices."""
    match = _SLICE.match(profile) if profile else None
    return milli * int(match[1]) // _SLICES_OF_A_DEVICE if match else milli


def of_groups(meter: Meter, groups: Iterable[Group], *, most: bool = False) -> Amounts:
    """What all replicas count for, at their minimum or their maximum."""
    sums: dict[str, int] = {}
    for group in groups:
        count = group.replicas_max if most else group.replicas_min
        for name, amount in meter.least(group.resources):
            sums[name] = sums.get(name, 0) + amount * count
    return amounts_of(sums)


def amounts_of(sums: Mapping[str, int]) -> Amounts:
    return tuple(sorted(item for item in sums.items() if item[1]))


def add(sums: MutableMapping[str, int], amounts: Amounts, sign: int = 1) -> None:
    for name, amount in amounts:
        sums[name] = sums.get(name, 0) + sign * amount


def exceeds(sums: Mapping[str, int], amounts: Amounts, most: Mapping[str, int]) -> str | None:
    """The first name of which there would be more than `most` with `amounts` on top; what is not
    asked for does not matter."""
    for name, amount in amounts:
        bound = most.get(name)
        if bound is not None and sums.get(name, 0) + amount > bound:
            return name
    return None


def count_models(amounts: dict[str, int]) -> None:
    """Count what is named of models of a kind as of that kind, where that is more."""
    kinds: dict[str, int] = {}
    for name, amount in amounts.items():
        kind, slash, _ = name.partition("/")
        if slash:
            kinds[kind] = kinds.get(kind, 0) + amount
    for kind, amount in kinds.items():
        amounts[kind] = max(amounts.get(kind, 0), amount)


def names_model(name: str, guarantee: dict[str, int]) -> bool:
    """Whether one model of this kind is guaranteed, or the kind of this model."""
    kind = name.partition("/")[0]
    return kind in guarantee or any(other.startswith(f"{kind}/") for other in guarantee)
