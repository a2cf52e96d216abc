"""What it costs that devices and replicas are apart."""

from __future__ import annotations

from madang.scheduling.model import Device, Work
from madang.scheduling.topology import best_set, measured_shapes, set_cost


def devices(*places: tuple[int, int]) -> tuple[Device, ...]:
    """(NUMA node, link group) of each."""
    return tuple(
        Device("gpu", index, "H100", 1 << 30, numa_node=numa, link_group=link)
        for index, (numa, link) in enumerate(places)
    )


def test_links_are_closer_than_a_cpu_and_a_cpu_is_closer_than_two() -> None:
    linked = devices((0, 0), (1, 0))
    near = devices((0, -1), (0, -1))
    far = devices((0, -1), (1, -1))
    assert set_cost(linked) < set_cost(near) < set_cost(far)
    assert set_cost(linked[:1]) == (0, 0)


def test_the_closest_free_devices_are_taken() -> None:
    pairs = devices((0, 0), (0, 0), (0, 1), (0, 1), (1, 2), (1, 2), (1, 3), (1, 3))
    assert best_set(pairs, tuple(range(8)), 2) == (0, 1)
    assert best_set(pairs, (1, 2, 3, 5, 6), 2) == (2, 3)
    assert best_set(pairs, (1, 3, 5, 7), 2) == (1, 3)
    assert best_set(pairs, tuple(range(8)), 4) == (0, 1, 2, 3)


def test_a_single_device_breaks_no_pair_where_it_need_not() -> None:
    pairs = devices((0, 0), (0, 0), (0, 1), (0, 1))
    assert best_set(pairs, (0, 1, 3), 1) == (3,)


def test_devices_without_links_are_taken_in_order() -> None:
    assert best_set(devices(*[(0, -1)] * 4), (1, 2, 3), 2) == (1, 2)


def test_many_devices_are_chosen_without_looking_at_every_set() -> None:
    many = devices(*[(index // 16, index // 8) for index in range(32)])
    assert best_set(many, tuple(range(4, 32)), 8) == tuple(range(8, 16))


def test_measured_shapes_come_fastest_first() -> None:
    work = Work(step_times=(((2,), 1.0), ((4,), 2.0), ((2, 2), 1.5)))
    assert measured_shapes(work, 4) == [(1.5, (2, 2)), (2.0, (4,))]
    assert measured_shapes(None, 4) == []
