"""Figures, tables and the page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from madang.scheduling.model import Queue
from madang.scheduling.simulation import html
from madang.scheduling.simulation.driver import Simulation
from madang.scheduling.simulation.report import Report, Spread, percentile, report
from madang.scheduling.simulation.summary import duration, figures, queue_rows
from tests.scheduling.simulation.traces import job, node, trace


def one(name: str = "plain", gpus: int = 2) -> Report:
    """Two queues, four jobs of one GPU each, on two GPUs: two wait for 100 s."""
    jobs = [
        job(f"{queue}-{number}", 0, 100, "gpu=1", "cpu=1", queue=queue, order=number)
        for queue in ("a", "b")
        for number in range(2)
    ]
    queues = (Queue("a", "a"), Queue("b", "b<script>"))
    ran = Simulation(trace((node("n", gpus=gpus, cpu=4),), *jobs, queues=queues)).run()
    return report(name, ran)


def test_what_was_held_and_waited_for() -> None:
    got = one()
    assert (got.jobs, got.ended, got.unplaced) == (4, 4, 0)
    assert got.span_s == 200
    assert got.gpu_allocation == pytest.approx(1.0)
    assert got.cpu_allocation == pytest.approx(0.5)
    assert got.wait_s == Spread(50.0, 0.0, 100.0, 100.0, 100.0)
    assert got.completion_s.mean == 150
    assert got.queues["a"].wait_s.p99 == 100
    assert got.queues["a"].gpu_hours == pytest.approx(200 / 3600)
    assert got.jain == pytest.approx(1.0)


def test_fairness_counts_what_others_asked_for() -> None:
    """Of two GPUs four are asked for, then two: who waits 100 s of 200 was slowed by contention
    of 1.5 on average, and nobody by more than 4/3 of it."""
    assert one().worst_rho == pytest.approx(200 / (100 * 1.5))


def test_without_contention_nobody_is_slowed() -> None:
    got = one(gpus=4)
    assert (got.worst_rho, got.wait_s.most) == (1.0, 0.0)
    assert got.gpu_allocation == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)]
)
def test_percentiles_are_values_that_occur(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], share) == value


def test_json_has_everything_but_the_map() -> None:
    plain = json.loads(json.dumps(one().to_json()))
    assert {"gpu_allocation", "wait_s", "queues", "worst_rho", "decisions_per_s"} <= set(plain)
    assert len(plain["curve"]["gpu"]) == len(plain["curve"]["waiting"])


def test_tables_have_a_cell_for_each_scenario() -> None:
    reports = [one(), one("more", gpus=4)]
    assert all(len(cells) == 2 for _, cells in figures(reports))
    assert queue_rows(reports)[0] == ("a", ("2", "0 s / 1.67 min / 1.67 min", "0 s / 0 s / 0 s"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.35, "0.35 s"), (99, "99 s"), (120, "2 min"), (7200, "2 h"), (864_000, "10 d")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


class _Page(HTMLParser):
    """Which elements there are, that all are closed, and what they load."""

    VOID = frozenset({"meta", "path", "rect", "circle", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.unnamed_charts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.loads += [value for name in ("src", "href") if (value := values.get(name))]
        if tag == "svg" and not (values.get("aria-label") or values.get("aria-hidden")):
            self.unnamed_charts += 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize("names", [["plain"], ["plain", "<b>&"]])
def test_the_page_is_whole_and_loads_nothing(names: list[str]) -> None:
    text = html.render([one(name) for name in names])
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.loads == []
    assert page.unnamed_charts == 0
    assert "<b>&<" not in text
    assert "url(" not in text
    assert "nan" not in re.findall(r'points="([^"]*)"', text)[0]
    for heading in ("Figures", "GPU allocation over time", "Waits by queue", "Fragment map"):
        assert heading in text


def test_a_page_of_nothing_that_waited_or_ran() -> None:
    ran = Simulation(trace((node("n"),), job("x", 0, 1, "gpu=1"))).run()
    text = html.render([report("none", ran)])
    assert "Never placed" in text
