"""The order of rows, what a search keeps, and the scale of the bars."""

from __future__ import annotations

from dataclasses import replace

import pytest

from madang.schemas.queues import Amounts
from madang.server.portal.queue_tree import amount_of, matching, scale_for, tree_lines
from tests.server.portal.test_queue_request import QUEUE

ROOT = replace(QUEUE, id="r", name="root", path="root", parent=None, leaf=False)
A = replace(QUEUE, id="a", name="a", path="root/a", parent="r")
B = replace(QUEUE, id="b", name="b", path="root/b", parent="r", leaf=False)
DEEP = replace(QUEUE, id="d", name="deep", path="root/b/deep", parent="b")
LOST = replace(QUEUE, id="l", name="lost", path="hidden/lost", parent="not-hers")


def test_children_follow_their_parent() -> None:
    lines = tree_lines([DEEP, B, LOST, A, ROOT])
    assert [(line.queue.id, line.depth, line.below) for line in lines] == [
        ("l", 0, 0), ("r", 0, 2), ("a", 1, 0), ("b", 1, 1), ("d", 2, 0),
    ]  # fmt: skip
    assert [line.above and line.above.id for line in lines] == [None, None, "r", "r", "b"]


def test_a_search_keeps_what_is_above() -> None:
    lines = matching(tree_lines([DEEP, B, LOST, A, ROOT]), "DEEP")
    assert [line.queue.id for line in lines] == ["r", "b", "d"]


@pytest.mark.parametrize(
    ("amounts", "resource", "amount"),
    [
        ({"gpu": 2}, "gpu", 2.0),
        ({"gpu/H100": 1, "gpu/A100": 0.5}, "gpu", 1.5),
        ({"memory": "2GiB"}, "memory", 2.0 * 2**30),
        ({"cpu": 1}, "gpu", None),
    ],
)
def test_amounts(amounts: Amounts, resource: str, amount: float | None) -> None:
    assert amount_of(amounts, resource) == amount


@pytest.mark.parametrize(
    ("used", "end", "step"), [(0, 8.0, 2.0), (37, 40.0, 10.0), (8.1, 10.0, 2.5), (900, 1000, 250)]
)
def test_the_scale_ends_on_a_round_number(used: float, end: float, step: float) -> None:
    queue = replace(ROOT, guarantee={}, used={"gpu": used}, fair_share=0.0)
    scale = scale_for(tree_lines([queue]), "gpu", 8.0)
    assert (scale.end, scale.step) == (end, step)
