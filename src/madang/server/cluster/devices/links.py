"""Which devices of a node fast links join."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence


def link_groups(
    devices: Sequence[Hashable], links: Iterable[tuple[Hashable, Hashable]]
) -> list[int]:
    """For each device the number of its group, -1 where nothing is linked to it. links: pairs of
    devices, or of a device and a switch; what is joined by way of others is one group too."""
    near: dict[Hashable, set[Hashable]] = {}
    for first, second in links:
        near.setdefault(first, set()).add(second)
        near.setdefault(second, set()).add(first)
    known = set(devices)
    groups: dict[Hashable, int] = {}
    number = 0
    for device in devices:
        if device in groups:
            continue
        reached = _reached(device, near) & known
        groups |= dict.fromkeys(reached, number if len(reached) > 1 else -1)
        number += len(reached) > 1
    return [groups[device] for device in devices]


def _reached(start: Hashable, near: dict[Hashable, set[Hashable]]) -> set[Hashable]:
    reached, ahead = {start}, [start]
    while ahead:
        further = near.get(ahead.pop(), set()) - reached
        reached |= further
        ahead.extend(further)
    return reached
