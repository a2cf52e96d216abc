"""Backfill: when something fits, what is kept for it, and who may go before it."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from madang.core.resources import Resources
from madang.scheduling.backfill import FOREVER, Profile, Release, Releases
from madang.scheduling.model import Device, DeviceHold, Group, Node, Placement, Reservation, Where
from madang.scheduling.placement import Cluster, place
from madang.scheduling.timeline import Amount, amount_of, amounts_of

GIB = 2**30
NOW = 1_000.0


def cluster_of(**gpus: int) -> Cluster:
    cluster = Cluster()
    for name, count in gpus.items():
        devices = tuple(Device("gpu", i, "NVIDIA H100", 80 * GIB) for i in range(count))
        cluster.set_node(Node(name, name, 16_000, 128 * GIB, devices))
    return cluster


def group(*wanted: str, replicas: int = 1, where: Where | None = None, role: str = "w") -> Group:
    need = Resources.parse(wanted or ("cpu=1", "memory=1GiB"))
    return Group(role, replicas, replicas, need, where=where or Where())


def runs(
    cluster: Cluster, end: float, *wanted: str, replicas: int = 1, on: str = ""
) -> list[Release]:
    """Something that runs until `end`."""
    one = group(*wanted, replicas=replicas)
    attempt = place((one,), cluster, within=[on] if on else None)
    assert attempt.complete
    return [Release(end, p.node_id, one.resources, p.devices) for p in attempt.placements]


def test_what_fits_now_is_earliest_now() -> None:
    profile = Profile(cluster_of(a=2), [], NOW)
    found = profile.earliest((group("gpu=2"),))
    assert found is not None
    assert found[0] == NOW


def test_the_earliest_is_when_enough_has_ended_on_one_node() -> None:
    cluster = cluster_of(a=2, b=2)
    releases = [
        *runs(cluster, NOW + 100, "gpu=1", on="a"),
        *runs(cluster, NOW + 200, "gpu=1", on="b"),
        *runs(cluster, NOW + 300, "gpu=1", on="b"),
        *runs(cluster, NOW + 400, "gpu=1", on="a"),
    ]
    profile = Profile(cluster, releases, NOW)
    found = profile.earliest((group("gpu=2"),))
    assert found is not None
    assert (found[0], found[1][0].node_id) == (NOW + 300, "b")
    waited = profile.freeing(found[1], (group("gpu=2"),))
    assert [release.time for release in waited] == [NOW + 200, NOW + 300]
    assert profile.earliest((group("gpu=3"),)) is None


def test_a_short_job_passes_and_a_long_one_does_not() -> None:
    cluster = cluster_of(a=4)
    releases = runs(cluster, NOW + 600, "gpu=2")
    profile = Profile(cluster, releases, NOW)
    head = (group("gpu=4"),)
    found = profile.earliest(head)
    assert found is not None and found[0] == NOW + 600
    profile.hold("head", *found, head)
    small = (group("gpu=1"),)
    assert place(small, profile.spare(600).copy()).complete
    assert not place(small, profile.spare(601).copy()).complete
    assert not place(small, profile.spare(None).copy()).complete
    here = place(small, cluster.copy()).placements
    assert profile.may_start(small, here, 600)
    assert profile.delayed(small, here, 601) == "head"
    later = profile.earliest(small, 601)
    assert later is None  # the head runs for ever, as far as is known


def test_what_the_head_does_not_need_is_open_to_all() -> None:
    cluster = cluster_of(a=4, b=1)
    releases = runs(cluster, NOW + 600, "gpu=2", on="a")
    profile = Profile(cluster, releases, NOW)
    head = (group("gpu=3"),)
    found = profile.earliest(head)
    assert found is not None
    profile.hold("head", *found, head, 1_000.0)
    attempt = place((group("gpu=1"),), profile.spare())
    assert attempt.complete
    assert profile.may_start((group("gpu=1"),), attempt.placements)


def test_cpu_that_ends_before_the_head_starts_can_be_lent_for_good() -> None:
    """The head needs 12 of 16 CPUs in ten minutes, when 8 are freed that something uses now:
    4 of the 8 that are free now are nobody's."""
    cluster = cluster_of(a=0)
    releases = runs(cluster, NOW + 600, "cpu=8", "memory=1GiB")
    profile = Profile(cluster, releases, NOW)
    head = (group("cpu=12", "memory=1GiB"),)
    found = profile.earliest(head)
    assert found is not None
    profile.hold("head", *found, head)
    assert place((group("cpu=4"),), profile.spare().copy()).complete
    assert not place((group("cpu=5"),), profile.spare().copy()).complete
    assert place((group("cpu=8"),), profile.spare(600).copy()).complete


def test_two_heads_hold_one_after_the_other() -> None:
    cluster = cluster_of(a=2)
    profile = Profile(cluster, runs(cluster, NOW + 100, "gpu=2"), NOW)
    both = (group("gpu=2"),)
    first = profile.earliest(both, 50)
    assert first is not None
    profile.hold("first", *first, both, 50)
    second = profile.earliest(both, 50)
    assert second is not None
    assert (first[0], second[0]) == (NOW + 100, NOW + 150)


def test_a_job_flows_around_a_window() -> None:
    cluster = cluster_of(a=2)
    window = Reservation("course", "physics", (group("gpu=2"),), NOW + 100, NOW + 200)
    profile = Profile(cluster, [], NOW, [window])
    assert profile.is_window("course")
    one = (group("gpu=1"),)
    assert place(one, profile.spare(100).copy()).complete
    assert not place(one, profile.spare(101).copy()).complete
    assert not place(one, profile.spare().copy()).complete
    assert place(one, profile.spare(yields=True).copy()).complete
    assert place(one, profile.spare(reservation="course").copy()).complete
    assert profile.earliest(one, 150) is not None
    found = profile.earliest(one, 150)
    assert found is not None and found[0] == NOW + 200
    inside = profile.earliest(one, 150, reservation="course")
    assert inside is not None and inside[0] == NOW


def test_a_window_keeps_clear_of_what_runs_into_it() -> None:
    cluster = cluster_of(a=1, b=1)
    runs(cluster, FOREVER, "gpu=1", on="a")  # nobody knows when this ends
    window = Reservation("course", "physics", (group("gpu=1"),), NOW + 100, NOW + 200)
    profile = Profile(cluster, [], NOW, [window])
    assert not place((group("gpu=1"),), profile.spare().copy()).complete


def test_an_estimate_is_doubled_when_it_has_passed() -> None:
    releases = Releases()
    need = Resources.parse(["cpu=1"])
    releases.set("k", Release(NOW, "a", need, sure=False, since=NOW - 100))
    assert releases.advance(NOW + 1)
    assert releases.times() == [NOW + 100]
    assert not releases.advance(NOW + 1)
    releases.discard("k")
    assert releases.times() == []


def test_what_starts_is_counted() -> None:
    cluster = cluster_of(a=2)
    releases = Releases()
    profile = Profile(cluster, releases, NOW)
    one = (group("gpu=1"),)
    attempt = place(one, profile.spare())
    place(one, cluster)
    releases.set("x/w/0", Release(NOW + 50, "a", one[0].resources, attempt.placements[0].devices))
    spare = profile.spare()
    profile.started(one, attempt.placements, placed_in=spare)
    assert not place((group("gpu=2"),), profile.spare().copy()).complete
    found = profile.earliest((group("gpu=2"),))
    assert found is not None and found[0] == NOW + 50


# -- properties against a plain account of every moment ---------------------------------------


class Account:
    """Every change of what is free, moment by moment; slow and obvious."""

    def __init__(self, cluster: Cluster) -> None:
        self.free: dict[str, Amount] = {}
        view = cluster.free()
        for node in view.nodes:
            assert node is not None
            amount = amount_of(
                Resources(node.cpu_milli, node.memory_bytes),
                [DeviceHold(d.kind, d.index, 1000, d.memory_bytes) for d in node.devices],
            )
            self.free[node.id] = amount
        self.steps: list[tuple[float, str, Amount, int]] = []

    def use(
        self,
        start: float,
        end: float,
        placements: tuple[Placement, ...],
        groups: tuple[Group, ...],
    ) -> None:
        for node_id, amount in amounts_of(placements, groups).items():
            self.steps.append((start, node_id, amount, -1))
            if end < FOREVER:
                self.steps.append((end, node_id, amount, 1))

    def ever_short(self) -> bool:
        free = {node_id: dict(amount) for node_id, amount in self.free.items()}
        for _, node_id, amount, sign in sorted(self.steps, key=lambda step: (step[0], -step[3])):
            for what, n in amount.items():
                free[node_id][what] += sign * n
            if any(n < 0 for n in free[node_id].values()):
                return True
        return False


NEEDS = [
    ("gpu=1", "cpu=1"),
    ("gpu=2", "cpu=4"),
    ("gpu=4", "cpu=4"),
    ("gpu=0.5", "cpu=1"),
    ("cpu=6",),
    ("gpu=1", "cpu=10"),
]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_nothing_that_passes_delays_what_is_held(seed: int) -> None:
    chance = random.Random(seed)
    cluster = cluster_of(a=4, b=4, c=2, d=0)
    account = Account(cluster)
    releases = Releases()
    for number in range(chance.randrange(12)):
        one = (group(*chance.choice(NEEDS)),)
        attempt = place(one, cluster)
        if attempt.complete:
            end = NOW + chance.randrange(1, 500)
            account.use(NOW, end, attempt.placements, one)
            for p in attempt.placements:
                releases.set(f"r{number}", Release(end, p.node_id, one[0].resources, p.devices))
    window = Reservation("window", "p", (group("gpu=4", role="g"),), NOW + 200, NOW + 300)
    profile = Profile(cluster, releases, NOW, [window] if chance.random() < 0.5 else [])
    for hold in profile._holds:
        for node_id, amount in hold.amounts.items():
            account.steps.append((hold.start, node_id, amount, -1))
            account.steps.append((hold.end, node_id, amount, 1))
    assume(not account.ever_short())  # else something runs into the window already
    for number in range(3):
        head = (group(*chance.choice(NEEDS), replicas=chance.choice([1, 1, 2, 3])),)
        lasts = chance.choice([None, 50.0, 400.0])
        found = profile.earliest(head, lasts)
        if found is not None:
            profile.hold(f"head{number}", *found, head, lasts)
            account.use(found[0], FOREVER if lasts is None else found[0] + lasts, found[1], head)
    assert not account.ever_short()
    for number in range(12):
        one = (group(*chance.choice(NEEDS), role=f"n{number}"),)
        lasts = chance.choice([None, 50.0, 150.0, 400.0])
        spare = profile.spare(lasts)
        attempt = place(one, spare)
        if not attempt.complete:
            continue
        end = FOREVER if lasts is None else NOW + lasts
        assert profile.may_start(one, attempt.placements, lasts)
        account.use(NOW, end, attempt.placements, one)
        assert not account.ever_short()
        for p in attempt.placements:
            cluster.take(p.node_id, one[0].resources, p.devices)
            if end < FOREVER:
                releases.set(f"n{number}", Release(end, p.node_id, one[0].resources, p.devices))
        profile.started(one, attempt.placements, placed_in=spare)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_the_earliest_time_is_the_earliest(seed: int) -> None:
    """Against asking at every moment, for things that fit on one node alone."""
    chance = random.Random(seed)
    cluster = cluster_of(a=4, b=2)
    releases = []
    for _ in range(chance.randrange(14)):
        one = (group(*chance.choice(NEEDS)),)
        attempt = place(one, cluster)
        for p in attempt.placements:
            end = NOW + chance.randrange(1, 12) * 50
            releases.append(Release(end, p.node_id, one[0].resources, p.devices))
    profile = Profile(cluster, releases, NOW)
    for number in range(3):
        head = (group("gpu=2", "cpu=4"),)
        found = profile.earliest(head, 100)
        assert found is not None
        profile.hold(f"h{number}", *found, head, 100)
    asked = (group(*chance.choice(NEEDS)),)
    lasts = chance.choice([None, 50.0, 120.0])
    found = profile.earliest(asked, lasts)
    assert found is not None
    holds = profile._seen("")
    every = profile._times(holds)
    slow = next(
        at
        for at in every
        if profile._fits(asked, at, holds, FOREVER if lasts is None else lasts) is not None
    )
    assert found[0] == slow


@pytest.mark.parametrize("free", [False, True])
def test_a_head_among_ten_thousand_devices_takes_milliseconds(free: bool) -> None:
    chance = random.Random(1)
    cluster = Cluster()
    for number in range(1_250):
        devices = tuple(Device("gpu", i, "H100", 80 * GIB) for i in range(8))
        cluster.set_node(Node(f"n{number}", f"n{number:04}", 128_000, 1024 * GIB, devices))
    releases = Releases()
    one = group("gpu=8", "cpu=16")
    for number in range(1_250):
        end = NOW + chance.randrange(60, 86_400)
        holds = cluster.fit(f"n{number}", one.resources)
        assert holds is not None
        cluster.take(f"n{number}", one.resources, holds)
        if number < 900 or free:
            releases.set(f"{number}", Release(end, f"n{number}", one.resources, holds))
    took = []
    for _ in range(5):
        before = time.perf_counter()
        profile = Profile(cluster, releases, NOW)
        found = profile.earliest((group("gpu=8", "cpu=16", replicas=4),))
        took.append(time.perf_counter() - before)
        assert found is not None
    assert min(took) < 0.05, took
