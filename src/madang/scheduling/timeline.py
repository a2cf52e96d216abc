"""Free space at moments to come, and amounts on nodes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from madang.core.resources import Resources
from madang.scheduling.durations import DEFAULT_S
from madang.scheduling.model import DeviceHold, Group, Placement, Request
from madang.scheduling.placement import Cluster

FOREVER = float("inf")

What = tuple[str, str, int]
"""A thing that a node has: (`cpu` | `memory`, "", 0), (`counted`, name, 0), and of each device
(`milli` | `bytes`, kind, index)."""

Amount = dict[What, int]


class Release(NamedTuple):
    """What a running replica holds, and when it gives it back.

    sure: it ends by then (a time limit); else `time` is an estimate, which serves expected starts
    and the holds of requests but not those of windows. request_id: who holds it. since: when it
    started. latest: when it has ended for sure, where that is known and later than `time`.
    """

    time: float
    node_id: str
    need: Resources
    devices: tuple[DeviceHold, ...] = ()
    sure: bool = True
    request_id: str = ""
    since: float = 0.0
    latest: float = FOREVER

    def amounts(self) -> Amount:
        return amount_of(self.need, self.devices)


def releases_of(
    request: Request, since: float, placements: Iterable[Placement]
) -> Iterator[tuple[str, Release]]:
    """What a request that started at `since` gives back when it ends, by allocation: when it is
    expected to have ended (`expected_s`), at its time limit at the latest, else after a time that
    is assumed of things of which nothing is known."""
    needs = {group.role: group.resources for group in request.groups}
    latest = since + request.time_limit_s if request.time_limit_s else FOREVER
    lasts = DEFAULT_S if request.expected_s is None else max(1.0, request.expected_s)
    time = latest if request.expected_s is None and latest < FOREVER else since + lasts
    time = min(time, latest)
    for p in placements:
        yield (
            f"{request.owner}/{p.role}/{p.replica}",
            Release(
                time,
                p.node_id,
                needs[p.role],
                p.devices,
                time == latest,
                request.id,
                since,
                latest,
            ),
        )


def series_of(reservation: str) -> str:
    """The series of a window: of the window `rsv-1/20261123T090000Z`, `rsv-1`."""
    return reservation.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Hold:
    """Places that are kept from `start` until `end`, by node."""

    holder: str
    start: float
    end: float
    amounts: Mapping[str, Amount]


class Releases:
    """All that will be given back, by key (an allocation's), in the order of time."""

    def __init__(self, releases: Iterable[Release] = ()) -> None:
        self._ordered: list[tuple[float, str, Release]] = []
        self._by_key: dict[str, Release] = {}
        self._by_node: dict[str, dict[str, Release]] = {}
        for number, release in enumerate(releases):
            self.set(f"{number}", release)

    def set(self, key: str, release: Release) -> None:
        """It is given back then; replaces what was said of the key before."""
        self.discard(key)
        insort(self._ordered, (release.time, key, release), key=_time_and_key)
        self._by_key[key] = release
        self._by_node.setdefault(release.node_id, {})[key] = release

    def discard(self, key: str) -> None:
        """It has been given back; not known is fine."""
        release = self._by_key.pop(key, None)
        if release is not None:
            del self._ordered[bisect_left(self._ordered, (release.time, key), key=_time_and_key)]
            del self._by_node[release.node_id][key]

    def advance(self, now: float) -> bool:
        """Estimates that have passed are replaced: what has run twice as long as expected is taken
        to run as long again, and so on. Whether any was."""
        passed = [
            (key, release)
            for _, key, release in self._ordered[: self._count(now)]
            if not release.sure
        ]
        for key, release in passed:
            lasts = max(1.0, release.time - release.since)
            while release.since + lasts <= now:
                lasts *= 2
            time = min(release.since + lasts, release.latest)
            self.set(key, release._replace(time=time, sure=time == release.latest))
        return bool(passed)

    def until(self, time: float, *, after: int = 0) -> list[Release]:
        """What is given back until then, without the first `after`."""
        return [release for _, _, release in self._ordered[after : self._count(time)]]

    def of_node(self, node_id: str) -> list[Release]:
        """What is given back there, in the order of time."""
        releases = self._by_node.get(node_id, {})
        return [releases[key] for _, key in sorted((r.time, key) for key, r in releases.items())]

    def items(self) -> Iterator[tuple[str, Release]]:
        """All, with their keys, in the order of time."""
        return ((key, release) for _, key, release in self._ordered)

    def times(self) -> list[float]:
        """When something is given back, in order; with repetitions."""
        return [time for time, _, _ in self._ordered]

    def sure(self) -> Releases:
        """Those alone that are sure, when they are."""
        return Releases(
            release if release.sure else release._replace(time=release.latest, sure=True)
            for _, _, release in self._ordered
            if release.sure or release.latest < FOREVER
        )

    def _count(self, time: float) -> int:
        return bisect_right(self._ordered, time, key=lambda entry: entry[0])


def _time_and_key(entry: tuple[float, str, Release]) -> tuple[float, str]:
    return entry[:2]


class Timeline:
    """What is free when: the cluster as it is now, and what is given back later. Nothing else
    holds anything here."""

    def __init__(self, cluster: Cluster, releases: Releases) -> None:
        self._cluster = cluster
        self.releases = releases
        self._kept: dict[int, Cluster] = {}
        self._rows: dict[str, int] | None = None

    def at(self, time: float) -> Cluster:
        """What is free then; to be read only."""
        count = len(self.releases.until(time))
        if count == 0:
            return self._cluster
        if count not in self._kept:
            done = max((kept for kept in self._kept if kept < count), default=0)
            cluster = (self._kept[done] if done else self._cluster).copy()
            for release in self.releases.until(time, after=done):
                if release.node_id in cluster.node_ids:
                    cluster.give(release.node_id, release.need, release.devices)
            self._kept[count] = cluster
        return self._kept[count]

    def forget(self) -> None:
        """The cluster or the releases are other than before."""
        self._kept.clear()

    def free_now(self, node_id: str) -> Amount:
        """What a node has free now."""
        free = self._cluster.free()
        if self._rows is None:
            self._rows = {node.id: row for row, node in enumerate(free.nodes) if node is not None}
        row = self._rows.get(node_id)
        if row is None:
            return {}
        space = free.space
        amount: Amount = {
            ("cpu", "", 0): int(space.cpu_milli[row]),
            ("memory", "", 0): int(space.memory_bytes[row]),
        }
        for column, device in enumerate(free.types[space.type_of[row]].devices):
            amount["milli", device.kind, device.index] = int(space.device_milli[row, column])
            amount["bytes", device.kind, device.index] = int(
                space.device_memory_bytes[row, column]
            )
        for name, amounts in space.counted.items():
            amount["counted", name, 0] = int(amounts[row])
        return amount


def amount_of(need: Resources, devices: Iterable[DeviceHold]) -> Amount:
    """What one replica holds."""
    amount: Amount = {("cpu", "", 0): need.cpu_milli, ("memory", "", 0): need.memory_bytes}
    for name, count in need.counted:
        amount["counted", name, 0] = count
    for hold in devices:
        amount["milli", hold.kind, hold.index] = hold.milli
        amount["bytes", hold.kind, hold.index] = hold.memory_bytes
    return amount


def amounts_of(placements: Iterable[Placement], groups: Iterable[Group]) -> dict[str, Amount]:
    """What placements take of each node."""
    needs = {group.role: group.resources for group in groups}
    amounts: dict[str, Amount] = {}
    for placement in placements:
        _add(
            amounts.setdefault(placement.node_id, {}),
            1,
            amount_of(needs[placement.role], placement.devices),
        )
    return amounts


def shortfall(
    releases: Sequence[Release],
    holds: Collection[Hold],
    node_id: str,
    start: float,
    end: float,
) -> Amount:
    """What must stay free of a node at `start` so that nothing that is held on it before `end` is
    missing when its time comes, given what is released there meanwhile."""
    steps: list[tuple[float, int, int, Amount]] = []
    needed: Amount = {}
    for hold in holds:
        amount = hold.amounts.get(node_id)
        if amount is None or hold.start >= end or hold.end <= start:
            continue
        if hold.start <= start:
            _add(needed, 1, amount)
        else:
            steps.append((hold.start, 2, 1, amount))
        if hold.end < end:
            steps.append((hold.end, 1, -1, amount))
    steps.extend(
        (release.time, 0, -1, release.amounts())
        for release in releases
        if start < release.time < end
    )
    steps.sort(key=lambda step: step[:2])
    most = dict(needed)
    for _, _, sign, amount in steps:
        _add(needed, sign, amount)
        if sign > 0:
            for what in amount:
                if needed[what] > most.get(what, 0):
                    most[what] = needed[what]
    return most


def take(cluster: Cluster, node_id: str, amount: Amount) -> None:
    """Take an amount from a node of `cluster`; what the node lacks becomes negative."""
    if node_id not in cluster.node_ids:
        return
    counted = tuple((name, n) for (what, name, _), n in amount.items() if what == "counted")
    need = Resources(amount.get(("cpu", "", 0), 0), amount.get(("memory", "", 0), 0))
    holds = [
        DeviceHold(kind, index, milli, amount.get(("bytes", kind, index), 0))
        for (what, kind, index), milli in amount.items()
        if what == "milli"
    ]
    if counted:
        need = Resources(need.cpu_milli, need.memory_bytes, counted=counted)
    cluster.take(node_id, need, holds)


def less(amount: Amount, used: Mapping[What, int]) -> None:
    """Take `used` off, as far as there is something to take it off."""
    for what, n in used.items():
        if what in amount:
            amount[what] = max(0, amount[what] - n)


def _add(amount: Amount, sign: int, more: Mapping[What, int]) -> None:
    for what, n in more.items():
        amount[what] = amount.get(what, 0) + sign * n
