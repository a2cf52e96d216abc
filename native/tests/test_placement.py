"""The native search for the next replica's node, by itself; `madang` tests that it chooses what
its search in numpy chooses."""

from __future__ import annotations

import numpy as np
import pytest
from madang_native import Placement
from numpy.typing import NDArray

Integers = NDArray[np.int64]


class Nodes:
    """Equal nodes of two devices, 4 CPUs and 8 bytes each."""

    def __init__(self, count: int) -> None:
        self.cpu = np.full(count, 4000)
        self.memory = np.full(count, 8)
        self.devices = np.full((count, 2), 1000)
        self.device_memory = np.full((count, 2), 100)
        self.types = np.zeros(count, np.int64)
        self.open = np.ones(count, np.bool_)
        self.rank = np.arange(count)[::-1].copy()

    def bind(self, placement: Placement, same: bool = False) -> None:
        placement.bind(
            self.cpu,
            self.memory,
            self.devices,
            self.device_memory,
            self.types,
            self.open,
            self.rank,
            same,
        )


def placement_of(nodes: Nodes, fullest_first: bool = True) -> Placement:
    ones = np.array([[0, 0]])
    placement = Placement(ones, ones + 1, fullest_first)
    nodes.bind(placement)
    return placement


def add(placement: Placement, *, cpu: int = 1000, memory: int = 1, milli: int = 0) -> int:
    """An ask for devices; below 1000 thousandths for a share of one."""
    each = np.array([[min(milli, 1000)] * 2])
    return placement.add_ask(
        cpu,
        memory,
        milli // 1000,
        0 < milli < 1000,
        (each > 0).astype(np.int64),
        each,
        each // 10,
        np.array([0]),
    )


def test_the_lowest_rank_among_equals_that_are_open_and_allowed() -> None:
    nodes = Nodes(4)
    placement = placement_of(nodes)
    ask = add(placement)
    assert placement.choose(ask, None) == (3, -1)
    nodes.open[3] = False
    assert placement.choose(ask, None) == (2, -1)
    assert placement.choose(ask, np.array([True, True, False, True])) == (1, -1)
    assert placement.choose(ask, np.zeros(4, np.bool_)) == (-1, -1)


def test_what_does_not_fit_is_not_chosen() -> None:
    nodes = Nodes(2)
    placement = placement_of(nodes)
    nodes.memory[1] = 0
    assert placement.choose(add(placement), None)[0] == 0
    assert placement.choose(add(placement, cpu=5000), None)[0] == -1
    assert placement.choose(add(placement, milli=3000), None)[0] == -1
    nodes.devices[0, 1] = 900
    placement.touch(0)
    assert placement.choose(add(placement, milli=2000), None)[0] == -1
    assert placement.choose(add(placement, milli=1000), None)[0] == 0


@pytest.mark.parametrize(("fullest_first", "column"), [(True, 1), (False, 0)])
def test_the_device_of_a_share(fullest_first: bool, column: int) -> None:
    nodes = Nodes(1)
    nodes.devices[0, 1] = 600
    placement = placement_of(nodes, fullest_first)
    assert placement.choose(add(placement, milli=500), None) == (0, column)
    nodes.device_memory[0] = (100, 10)
    placement.touch(0)
    assert placement.choose(add(placement, milli=500), None) == (0, 0)
    assert placement.choose_device(add(placement, milli=100), 0) == column


def test_fragments_decide_among_equals() -> None:
    nodes = Nodes(2)
    nodes.devices[1] = (1000, 600)
    placement = placement_of(nodes, fullest_first=False)
    whole = np.array([1000])
    thresholds = np.array([-600, -300, 0, 300])
    placement.set_fragments(
        np.array([1]), np.array([0]), np.array([1]), whole[:, None], thresholds
    )
    # Whole devices are wanted: the part of one that nobody can use is the place for a share.
    assert placement.choose(add(placement, milli=400), None) == (1, 1)


def test_a_copy_goes_on_by_itself() -> None:
    nodes = Nodes(1)
    placement = placement_of(nodes)
    ask = add(placement, milli=1000)
    assert placement.choose(ask, None)[0] == 0
    other_nodes = Nodes(1)
    other = placement.copy()
    other_nodes.bind(other, same=True)
    other_nodes.devices[0] = 0
    other.touch(0)
    assert other.choose(ask, None)[0] == -1
    assert placement.choose(ask, None)[0] == 0
    nothing = np.zeros((1, 1), np.int64)
    other.set_fragments(nothing[0], nothing[0], nothing[0], nothing, nothing[0])
    assert placement.choose(ask, None)[0] == 0


def test_tables_of_wrong_shape_are_refused() -> None:
    placement = placement_of(Nodes(1))
    flat = np.zeros((2, 2), np.int32)
    some = np.array([0])
    with pytest.raises(ValueError, match="four dimensions"):
        placement.set_prices(some, some, some, flat, flat, some, some, some[:, None])
