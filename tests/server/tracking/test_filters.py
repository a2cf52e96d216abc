"""Searching: what MLflow's own code finds in memory, we find with SQL."""

from __future__ import annotations

import contextlib
import math
import random
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import select

from madang.core.errors import InvalidInput
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.tracking import runs
from madang.server.tracking.filters import Clause, parse_filter, parse_order
from madang.server.tracking.metrics import Point, log_batch
from madang.server.tracking.sql import like
from tests.conftest import People


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("", []),
        ("  ", []),
        ("metrics.loss < 0.5", [Clause("metric", "loss", "<", 0.5)]),
        ("metric.`val/loss`>=-1e-3", [Clause("metric", "val/loss", ">=", -0.001)]),
        ("params.\"my key\" = 'x'", [Clause("parameter", "my key", "=", "x")]),
        ("tags.mlflow.source.name LIKE '%a'", [Clause("tag", "mlflow.source.name", "LIKE", "%a")]),
        ("tag.x is not null", [Clause("tag", "x", "IS NOT NULL", None)]),
        ("run_id not in ('a', \"b\")", [Clause("attribute", "run_id", "NOT IN", ("a", "b"))]),
        (
            "attributes.status = 'FINISHED' and start_time > 5",
            [
                Clause("attribute", "status", "=", "FINISHED"),
                Clause("attribute", "start_time", ">", 5.0),
            ],
        ),
        ("params.q = 'a AND b'", [Clause("parameter", "q", "=", "a AND b")]),
    ],
)
def test_parse(text: str, clauses: list[Clause]) -> None:
    assert parse_filter(text) == clauses


@pytest.mark.parametrize(
    "text",
    [
        "metrics.loss",
        "metrics.loss <",
        "metrics.loss < 0.5 or metrics.loss > 1",
        "metrics.loss < 0.5 and",
        "and",
        "params.x = unquoted",
        "run_id in ()",
        "run_id in ('a'",
        "run_id in 'a'",
        "unknown.x = 'a'",
        "params.x = 'unfinished",
        "params.x == 'a'",
        "'a' = 'a'",
        "metrics.x < 1; drop table runs",
        " and ".join(["metrics.x < 1"] * 51),
        "params.x = '" + "a" * 10_000 + "'",
    ],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_filter(text)


@pytest.mark.parametrize("part", ["1", "1.", "a.", "a/", "+1", "`", " "])
def test_no_filter_is_slow_to_read(part: str) -> None:
    """Each token is read in time that grows with its length, not with its square."""
    started = time.process_time()
    for text in (part * (9_000 // len(part)), f"metrics.x < {part * (9_000 // len(part))}x"):
        with contextlib.suppress(InvalidInput):
            parse_filter(text)
    assert time.process_time() - started < 0.1


def test_long_orders_are_refused() -> None:
    with pytest.raises(InvalidInput, match="too long"):
        parse_order("metrics." + "x" * 10_000)


@pytest.mark.parametrize(
    "text",
    [
        "params.x > '1'",
        "metrics.x = '1'",
        "metrics.x LIKE '1'",
        "params.x = 1",
        "status > 'a'",
        "start_time = 'x'",
        "no_such_attribute = 'x'",
        "dataset.no_such = 'x'",
    ],
)
def test_comparisons_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        runs.SPACE.condition(text)


def test_orders() -> None:
    assert parse_order("metrics.`a b` DESC") == ("metric", "a b", True)
    assert parse_order("start_time") == ("attribute", "start_time", False)
    for wrong in ("", "a b c", "metrics.x UP", "'x'"):
        with pytest.raises(InvalidInput):
            parse_order(wrong)


@given(st.text())
@example("`")
@example("metrics.")
@example("IN IN IN")
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse_filter, parse_order):
        with contextlib.suppress(InvalidInput):
            read(text)


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("a%", {"a*b", "a?b", "a[b", "ab", "a\\b"}),
        ("a*%", {"a*b"}),
        ("a?b", {"a?b"}),
        ("a[%", {"a[b"}),
        ("a_b", {"a*b", "a?b", "a[b", "a\\b"}),
        ("A%", {"AB"}),
        ("a\\%", {"a\\b"}),
    ],
)
async def test_like_minds_case_and_nothing_else(
    context: ServerContext, pattern: str, matching: set[str]
) -> None:
    from sqlalchemy import column, literal, union_all

    words = ["a*b", "a?b", "a[b", "ab", "AB", "a\\b"]
    table = union_all(*(select(literal(word).label("word")) for word in words)).subquery()
    async with context.db.read() as session:
        found = await session.scalars(select(table.c.word).where(like(column("word"), pattern)))
        assert set(found) == matching


_VALUES = ["a", "A", "ab", "b", "B%", "", "1"]
_NUMBERS = [math.nan, -1.0, 0.0, 0.5, 2.0, math.inf]
_PATTERNS = ["a", "a%", "%b", "_", "A_", "%"]


def _filter(chance: random.Random) -> str:
    text = [("params.p", "="), ("tags.`t t`", "!="), ("run_name", "="), ("status", "!=")]
    makers = [
        lambda: (
            f"metrics.m {chance.choice(['<', '<=', '=', '!=', '>', '>='])} "
            f"{chance.choice([-1, 0, 0.5, 2])}"
        ),
        lambda: "{} {} '{}'".format(*chance.choice(text), chance.choice(_VALUES)),
        lambda: f"params.p {chance.choice(['LIKE', 'ILIKE'])} '{chance.choice(_PATTERNS)}'",
        lambda: f"tags.`t t` {chance.choice(['IS NULL', 'IS NOT NULL'])}",
        lambda: f"start_time {chance.choice(['<', '>=', '!='])} {chance.randrange(6)}",
    ]
    return " and ".join(chance.choice(makers)() for _ in range(chance.choice([1, 1, 2, 3])))


def _order(chance: random.Random) -> list[str]:
    keys = ["metrics.m", "params.p", "tags.`t t`", "start_time", "run_id"]
    picked = chance.sample(keys, chance.randrange(3))
    return [f"{key} {chance.choice(['ASC', 'DESC'])}" for key in picked]


async def _some_runs(
    context: ServerContext, principal: Principal, chance: random.Random
) -> list[runs.Run]:
    made = []
    for _ in range(25):
        tags = {"t t": chance.choice(_VALUES)} if chance.random() < 0.6 else {}
        run = await runs.create_run(
            context, principal, "0", start_ms=chance.randrange(6), tags=tags, name="a"
        )
        metrics = [Point("m", chance.choice(_NUMBERS), 1)] if chance.random() < 0.7 else []
        params = [("p", chance.choice(_VALUES))] if chance.random() < 0.7 else []
        await log_batch(context, principal, run.row.id, metrics=metrics, params=params)
        made.append(await runs.get_run(context, principal, run.row.id))
    return made


def _as_mlflow(run: runs.Run) -> Any:
    from mlflow.entities import Metric, Param, Run, RunData, RunInfo, RunTag

    from madang.server.tracking.metrics import number_of

    info = RunInfo(
        run.row.id, run.row.experiment_id, "member", run.row.status, run.row.start_ms,
        None, "active", run_name=run.row.name,
    )  # fmt: skip
    return Run(
        info,
        RunData(
            [Metric(row.key, number_of(row), 1, 0) for row in run.metrics],
            [Param(key, value) for key, value in run.params.items()],
            [RunTag(key, value) for key, value in run.tags.items()],
        ),
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(3))
async def test_search_agrees_with_mlflows_own(people: People, seed: int) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny is a development dependency")
    from mlflow.utils.search_utils import SearchUtils

    chance = random.Random(seed)
    principal = await people.principal("member")
    theirs = [_as_mlflow(run) for run in await _some_runs(people.context, principal, chance)]
    experiment_id = theirs[0].info.experiment_id
    for _ in range(40):
        text, order_by, limit = _filter(chance), _order(chance), chance.choice([1, 4, 100])
        expected = SearchUtils.sort(SearchUtils.filter(theirs, text), order_by)
        found: list[str] = []
        while True:
            page = await runs.search_runs(
                people.context,
                principal,
                experiment_ids=[experiment_id],
                filter_text=text,
                order_by=order_by,
                limit=limit,
                offset=len(found),
            )
            found += [run.row.id for run in page[:limit]]
            if len(page) <= limit:
                break
        assert set(found) == {run.info.run_id for run in expected}, text
        assert len(found) == len(expected)
        if "metrics.m" not in " ".join(order_by):  # MLflow's two stores disagree about NaN
            assert found == [run.info.run_id for run in expected], (text, order_by)
