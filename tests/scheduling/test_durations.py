"""Durations: what is expected of the next run, from those before."""

from __future__ import annotations

import random

import pytest

from madang.core.resources import Resources
from madang.scheduling.backfill import FOREVER, releases_of
from madang.scheduling.durations import DEFAULT_S, Durations
from madang.scheduling.model import Group, Placement, Request

DAY = 86_400.0
KIND = {"template": "train.py", "user": "ada", "project": "vision"}


def taught(*durations_s: float, **kind: str) -> Durations:
    durations = Durations()
    for duration_s in durations_s:
        durations.ended(duration_s, **(KIND | kind))
    return durations


def expected(durations: Durations, *, run_for_s: float = 0.0, q: float = 0.5) -> float | None:
    return durations.expected(
        template="train.py", user="ada", project="vision", run_for_s=run_for_s, q=q
    )


def test_nothing_is_known_at_first() -> None:
    assert expected(Durations()) is None


def test_the_median_is_not_moved_by_one_long_run() -> None:
    durations = taught(*[600.0] * 20, 30 * DAY)
    assert expected(durations) == pytest.approx(600, rel=0.2)


def test_a_new_user_of_a_known_template_gets_the_templates_time() -> None:
    durations = taught(*[600.0] * 9)
    durations.ended(50_000, template="other.py", user="bob", project="vision")
    known = durations.expected(template="train.py", user="bob", project="vision")
    assert known == pytest.approx(600, rel=0.2)


def test_a_new_template_gets_its_users_time() -> None:
    durations = taught(*[600.0] * 9)
    for _ in range(9):
        durations.ended(7_200, template="t", user="bob", project="vision")
    assert durations.expected(template="new", user="bob", project="vision") == pytest.approx(
        7_200, rel=0.2
    )


def test_what_others_ran_of_something_else_says_nothing() -> None:
    durations = taught(*[600.0] * 9)
    assert durations.expected(template="other.py", user="bob", project="vision") is None
    assert durations.expected(template="train.py", user="ada", project="lang") is None


def test_what_has_run_long_is_expected_to_run_longer() -> None:
    durations = taught(*[60.0] * 50, *[10_000.0] * 20)
    assert expected(durations, run_for_s=0) == pytest.approx(60, rel=0.2)
    assert expected(durations, run_for_s=600) == pytest.approx(10_000, rel=0.2)
    assert expected(durations, run_for_s=DAY) is None


def test_it_forgets() -> None:
    durations = taught(*[60.0] * 200, *[10_000.0] * 60)
    assert expected(durations) == pytest.approx(10_000, rel=0.2)


def test_it_is_kept_and_read_back() -> None:
    durations = taught(*[60.0] * 20, 500.0, 7_000.0)
    again = Durations.from_rows(durations.to_rows())
    assert again.to_rows() == durations.to_rows()
    assert expected(again, q=0.9) == pytest.approx(expected(durations, q=0.9))


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_quantiles_are_close_over_orders_of_magnitude(q: float) -> None:
    chance = random.Random(5)
    drawn = [chance.lognormvariate(7, 2) for _ in range(4_000)]
    durations = taught(*drawn)
    below = sum(1 for duration_s in drawn if duration_s <= (expected(durations, q=q) or 0))
    assert below / len(drawn) == pytest.approx(q, abs=0.15)


@pytest.mark.parametrize(
    ("limit_s", "expected_s", "ends", "sure"),
    [
        (0.0, None, DEFAULT_S, False),
        (100.0, None, 100.0, True),
        (100.0, 50.0, 50.0, False),
        (100.0, 500.0, 100.0, True),
        (0.0, 500.0, 500.0, False),
    ],
)
def test_when_something_that_runs_is_taken_to_end(
    limit_s: float, expected_s: float | None, ends: float, sure: bool
) -> None:
    group = Group("w", 1, 1, Resources())
    request = Request("r", "r", "q", (group,), time_limit_s=limit_s, expected_s=expected_s)
    ((key, release),) = releases_of(request, 1_000.0, [Placement("w", 0, "a")])
    assert key == "r/w/0"
    assert (release.time - 1_000, release.sure) == (ends, sure)
    assert release.latest == (1_000 + limit_s if limit_s else FOREVER)
