"""Where gangs go: close together, in the shape that was measured to be fast, or as they ask."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from madang.core.resources import Resources
from madang.scheduling.model import Device, Group, Node, Placement, Policy, Where, Work
from madang.scheduling.placement import Attempt, Cluster, place, undo

GIB = 2**30


def node(name: str, gpus: int = 4, rack: str = "", pool: str = "", links: int = 0) -> Node:
    devices = tuple(
        Device("gpu", i, "H100", 80 * GIB, link_group=i // links if links else -1)
        for i in range(gpus)
    )
    labels = (("rack", rack),) if rack else ()
    return Node(name, name, 64_000, 512 * GIB, devices, pool=pool, labels=labels)


def cluster_of(*nodes: Node, placement: str = "first-fit", **policy: object) -> Cluster:
    cluster = Cluster(Policy(placement=placement, **policy))  # type: ignore[arg-type]
    for each in nodes:
        cluster.set_node(each)
    return cluster


def gang(low: int, high: int | None = None, *wanted: str, **where: str) -> Group:
    need = Resources.parse(wanted or ("gpu=1", "cpu=2"))
    return Group("worker", low, high or low, need, where=Where(**where))  # type: ignore[arg-type]


def shape(attempt: Attempt) -> list[int]:
    return sorted(Counter(p.node_id for p in attempt.placements).values(), reverse=True)


def indexes(placement: Placement) -> list[int]:
    return [hold.index for hold in placement.devices]


def test_a_gang_goes_to_one_node_that_has_room_rather_than_to_the_first_free_places() -> None:
    cluster = cluster_of(node("a"), node("b"))
    place([gang(2)], cluster)
    assert shape(place([gang(4)], cluster)) == [4]


def test_measured_step_times_decide_the_shape() -> None:
    nodes = [node(name) for name in "abcd"]
    times = (((4, 4), 1.0), ((2, 2, 2, 2), 0.7))
    assert shape(place([gang(8)], cluster_of(*nodes))) == [4, 4]
    attempt = place([gang(8)], cluster_of(*nodes), Work(step_times=times))
    assert shape(attempt) == [2, 2, 2, 2]


def test_the_next_fastest_shape_is_taken_where_the_fastest_has_no_room() -> None:
    times = (((4,), 1.0), ((2, 2), 1.3), ((1, 1, 1, 1), 0.5))
    cluster = cluster_of(node("a", 2), node("b", 2), node("c", 3))
    assert shape(place([gang(4)], cluster, Work(step_times=times))) == [2, 2]


def test_an_elastic_gang_takes_fewer_replicas_where_more_would_be_slower_together() -> None:
    cluster = cluster_of(node("a", 4), node("b", 1))
    attempt = place([gang(2, 8)], cluster)
    assert shape(attempt) == [4]  # 5 over two nodes get less done than 4 on one
    undo(attempt, [gang(2, 8)], cluster)
    cluster.set_node(node("c", 4))
    assert sum(shape(place([gang(2, 8)], cluster))) == 8


def test_a_gang_prefers_one_rack() -> None:
    cluster = cluster_of(
        node("a", 2, rack="1"),
        node("b", 2, rack="2"),
        node("c", 2, rack="3"),
        node("d", 2, rack="3"),
    )
    attempt = place([gang(4)], cluster)
    assert {p.node_id for p in attempt.placements} == {"c", "d"}


def test_replicas_apart_and_together() -> None:
    cluster = cluster_of(node("a", 2, rack="1"), node("b", 2, rack="1"), node("c", 2, rack="2"))
    assert shape(place([gang(3, apart="node")], cluster.copy())) == [1, 1, 1]
    apart = place([gang(2, apart="rack")], cluster.copy())
    assert {p.node_id for p in apart.placements} == {"a", "c"}
    assert not place([gang(3, apart="rack")], cluster.copy()).complete
    assert place([gang(4, together="rack")], cluster.copy()).complete
    assert not place([gang(5, together="rack")], cluster.copy()).complete
    assert place([gang(2, together="node")], cluster.copy()).complete
    assert not place([gang(3, together="node")], cluster.copy()).complete


def test_nothing_is_taken_when_a_gang_does_not_fit() -> None:
    cluster = cluster_of(node("a", 2), node("b", 2))
    before = cluster.free().space.copy()
    chief = replace(gang(1, None, "cpu=4"), role="chief")
    attempt = place([chief, gang(5)], cluster)
    assert (attempt.complete, attempt.fitting) == (False, 5)
    after = cluster.free().space
    assert (after.cpu_milli == before.cpu_milli).all()
    assert (after.device_milli == before.device_milli).all()


def test_the_minimum_of_each_group_comes_before_more_of_any() -> None:
    cluster = cluster_of(node("a", 4))
    groups = [gang(1, 4), replace(gang(2), role="second")]
    attempt = place(groups, cluster)
    assert Counter(p.role for p in attempt.placements) == {"worker": 2, "second": 2}
    undo(attempt, groups, cluster)
    assert cluster.most(gang(1).resources, empty=False) == 4


def test_devices_that_are_linked_are_taken_together() -> None:
    cluster = cluster_of(node("a", 8, links=4))
    one = place([gang(1)], cluster)
    assert indexes(one.placements[0]) == [0]
    four = place([gang(1, None, "gpu=4", "cpu=2")], cluster)
    assert indexes(four.placements[0]) == [4, 5, 6, 7]
    two = place([gang(1, None, "gpu=2", "cpu=2")], cluster)
    assert indexes(two.placements[0]) == [1, 2]


def test_a_pool_has_its_own_policy() -> None:
    nodes = [node(name, 2, pool="notebooks") for name in "abc"] + [node("d"), node("e")]
    cluster = cluster_of(*nodes, pool_placement=(("notebooks", "spread"),))
    small = gang(1, None, "gpu=0.5", "cpu=1", pool="notebooks")
    assert {place([small], cluster).placements[0].node_id for _ in range(3)} == {"a", "b", "c"}
    anywhere = gang(1, None, "gpu=0.5", "cpu=1")
    assert {place([anywhere], cluster).placements[0].node_id for _ in range(3)} == {"d"}


def test_counted_things_labels_and_slices() -> None:
    slices = tuple(Device("gpu", i, "A100", 10 * GIB, profile="1g.10gb") for i in range(2))
    first = Node("a", "a", 8000, 64 * GIB, slices, counted=(("capture", 1),))
    second = Node("b", "b", 8000, 64 * GIB, labels=(("disk", "fast"),))
    cluster = cluster_of(first, second)
    card = Resources(1000, GIB, counted=(("capture", 1),))
    assert place([Group("r", 1, 1, card)], cluster).placements[0].node_id == "a"
    assert not place([Group("r", 1, 1, card)], cluster).complete
    fast = Where(labels=(("disk", "fast"),))
    assert place([Group("r", 2, 2, Resources(1000, GIB), where=fast)], cluster).fitting == 2
    whole = Resources(1000, GIB, "gpu", 1000)
    assert cluster.most(whole, empty=True) == 0
    slice_ = replace(whole, device_profile="1g.10gb")
    assert cluster.most(slice_, empty=True) == 2


def test_a_copy_is_on_its_own() -> None:
    cluster = cluster_of(node("a", 2), placement="fgd")
    other = cluster.copy()
    assert place([gang(2)], other).complete
    other.set_node(node("b", 2))
    assert cluster.most(gang(1).resources, empty=False) == 2
    assert other.most(gang(1).resources, empty=False) == 2
    assert not place([gang(3)], cluster).complete


def test_a_closed_node_takes_nothing_and_a_removed_one_is_forgotten() -> None:
    cluster = cluster_of(node("a"), replace(node("b"), open=False))
    assert cluster.most(gang(1).resources, empty=True) == 4
    assert cluster.most_by_row(gang(1).resources, empty=True, closed=True).sum() == 8
    cluster.remove_node("a")
    assert cluster.choose(gang(1).resources) is None
    cluster.set_node(node("c", 1))
    assert cluster.choose(gang(1).resources) is not None


@pytest.mark.parametrize("placement", ["default", "fgd", "first-fit"])
def test_tasks_without_devices_stay_off_nodes_with_devices(placement: str) -> None:
    cluster = cluster_of(node("a"), node("b", 0), placement=placement)
    assert place([gang(1, None, "cpu=1")], cluster).placements[0].node_id == "b"
