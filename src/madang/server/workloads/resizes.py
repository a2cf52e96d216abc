"""Going on with other replicas: where they go, while the present ones stop.

A gang can't grow or shrink while it runs: its processes know how many they are from their start.
So its tasks are stopped, with the time to save their work, and a new attempt begins with the other
number: at once, at places that are kept for it, and not counted as a retry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from madang.scheduling import Allocation, DeviceHold, Placement
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import AllocationRow


def resize_json(places: Iterable[Placement]) -> dict[str, Any]:
    """What is kept in the row until the new attempt begins."""
    ordered = sorted(places, key=lambda place: (place.role, place.replica))
    return {"placements": [asdict(place) for place in ordered]}


def may_run_at(spec: WorkloadSpec, places: Sequence[Placement]) -> bool:
    """Whether that is as many of each role as it takes, and each replica once."""
    replicas = Counter(place.role for place in places)
    once = len({(place.role, place.replica) for place in places}) == len(places)
    return once and all(
        role.replicas_min <= replicas[role.name] <= role.replicas_max for role in spec.roles
    )


def placements_of(resize: Mapping[str, Any]) -> tuple[Placement, ...]:
    return tuple(
        Placement(
            role=place["role"],
            replica=place["replica"],
            node_id=place["node_id"],
            devices=tuple(DeviceHold(**hold) for hold in place["devices"]),
        )
        for place in resize["placements"]
    )


def placement_of(row: AllocationRow) -> Placement:
    return Placement(row.role, row.replica, row.node_id, holds_of(row.devices))


def holds_of(devices: Sequence[Mapping[str, Any]]) -> tuple[DeviceHold, ...]:
    return tuple(
        DeviceHold(share["kind"], share["index"], share["milli"], share["memory_bytes"])
        for share in devices
    )


def kept_allocations(
    workload_id: str, spec: WorkloadSpec, resize: Mapping[str, Any]
) -> dict[str, Allocation]:
    """The places of the next attempt, as held: nobody else gets them meanwhile."""
    held = {}
    for place in placements_of(resize):
        need = spec.role(place.role).resources
        key = f"{workload_id}/{place.role}/{place.replica}"
        held[key] = Allocation(
            key, place.node_id, need.cpu_milli, need.memory_bytes, place.devices, need.counted
        )
    return held
