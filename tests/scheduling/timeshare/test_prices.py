from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.scheduling.timeshare.prices import Knapsack, sizes


def test_equal_jobs_share_as_hesrpt_says() -> None:
    """Speeds k ** 0.5, five jobs, 250 GPUs: the closed form of Berg et al. is 10 30 50 70 90."""
    knapsack = Knapsack(range(1, 251), 250)
    speeds = np.tile(np.arange(1, 251) ** 0.5, (5, 1))
    prices = knapsack.prices(speeds)
    assert knapsack.choose(prices[:, None] * speeds) == [10, 30, 50, 70, 90]


def test_linear_speeds_give_all_to_the_smallest() -> None:
    knapsack = Knapsack([1, 2, 4, 8, 16], 16)
    speeds = np.tile(np.array([1.0, 2, 4, 8, 16]), (3, 1))
    prices = knapsack.prices(speeds)
    assert knapsack.choose(prices[:, None] * speeds) == [0, 0, 16]


@given(
    exponents=st.lists(st.floats(0.2, 0.95), min_size=1, max_size=8),
    gpus=st.sampled_from([8, 16, 64]),
)
def test_priced_speeds_sum_up_to_the_number_of_jobs(exponents: list[float], gpus: int) -> None:
    knapsack = Knapsack(sizes(gpus, 4), gpus)
    speeds = np.array([np.array(sizes(gpus, 4)) ** p for p in exponents])
    values = knapsack.prices(speeds)[:, None] * speeds
    chosen = knapsack.choose(values)
    column = {size: index for index, size in enumerate(sizes(gpus, 4))}
    worth = sum(values[row, column[size]] for row, size in enumerate(chosen) if size)
    assert worth == pytest.approx(len(exponents))
    assert sum(chosen) <= gpus


@given(st.lists(st.lists(st.integers(-5, 20), min_size=3, max_size=3), min_size=1, max_size=5))
def test_a_knapsack_is_as_good_as_trying_everything(rows: list[list[int]]) -> None:
    choices, total = [1, 2, 4], 6
    knapsack = Knapsack(choices, total)
    values = np.array(rows, dtype=float)

    def best(row: int, left: int) -> float:
        if row == len(rows):
            return 0.0
        found = best(row + 1, left)
        for column, size in enumerate(choices):
            if size <= left:
                found = max(found, rows[row][column] + best(row + 1, left - size))
        return found

    chosen = knapsack.choose(values)
    worth = sum(values[row, choices.index(size)] for row, size in enumerate(chosen) if size)
    assert worth == best(0, total)


def test_sizes_are_those_of_a_node_and_then_whole_nodes() -> None:
    assert sizes(64, 4) == [1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 64]
    assert sizes(5, 8) == [1, 2, 4]
