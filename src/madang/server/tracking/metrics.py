"""Metrics: every value in the telemetry database, the latest ones beside the runs.

What was logged once may be logged again (clients repeat a batch whose answer got lost): a point
is its own key, and the latest value is the greatest (step, timestamp, value).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput
from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.tracking import limits
from madang.server.tracking.runs import (
    check_run_tag,
    find_run,
    write_params,
    write_tags,
)
from madang.server.tracking.sql import chunks, insert_or_update
from madang.server.tracking.tables import (
    LoggedModelMetricRow,
    LoggedModelRow,
    MetricPointRow,
    RunMetricRow,
    RunRow,
)

MAX_HISTORY_PAGE = 25_000


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric, maybe measured of a logged model on a data set."""

    key: str
    value: float
    timestamp_ms: int
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""

    @property
    def stored(self) -> dict[str, Any]:
        """As columns: NaN, which SQLite would keep as NULL, is a flag with the value 0."""
        is_nan = math.isnan(self.value)
        return {
            "key": self.key,
            "value": 0.0 if is_nan else self.value,
            "is_nan": is_nan,
            "step": self.step,
            "timestamp_ms": self.timestamp_ms,
        }


def number_of(row: RunMetricRow | MetricPointRow | LoggedModelMetricRow) -> float:
    return math.nan if row.is_nan else row.value


def check_point(point: Point) -> Point:
    """Raises InvalidInput for what MLflow would not take."""
    limits.check_key(point.key, "metric")
    if point.timestamp_ms < 0:
        raise InvalidInput(
            f"invalid timestamp {point.timestamp_ms} of metric {point.key!r}",
            field="timestamp",
            hint="It must be a nonnegative number of milliseconds.",
        )
    return point


async def log_batch(
    context: ServerContext,
    principal: Principal,
    run_id: str,
    *,
    metrics: Sequence[Point] = (),
    params: Sequence[tuple[str, str]] = (),
    tags: Sequence[tuple[str, str]] = (),
) -> None:
    """Log to a run: all of it or, when any of it is refused, nothing. Safe to repeat."""
    limits.check_batch(len(metrics), len(params), len(tags))
    for point in metrics:
        check_point(point)
    checked_params = _unique_params(params)
    checked_tags = {key: check_run_tag(key, value) for key, value in tags}
    async with context.db.transaction() as session:
        row = await find_run(session, principal, run_id, Permission.TRACKING_WRITE, active=True)
        if checked_params:
            await write_params(session, row.id, checked_params)
        if checked_tags:
            await write_tags(session, row, checked_tags)
        await _write_latest(session, row, metrics)
        announce(session, f"run:{row.id}")
    if metrics:
        # After the commit above: points of a refused batch must not appear. When we die in
        # between, the client has no answer and repeats the batch.
        points = {tuple(point.stored.values()): point.stored for point in metrics}
        async with context.telemetry.transaction() as session:
            await insert_or_update(
                session,
                MetricPointRow,
                [{"run_id": run_id, **stored} for stored in points.values()],
            )


def _unique_params(params: Sequence[tuple[str, str]]) -> dict[str, str]:
    checked: dict[str, str] = {}
    for key, value in params:
        limits.check_key(key, "param")
        if key in checked:
            raise InvalidInput(
                f"duplicate parameter keys have been submitted: {key!r}",
                hint="Give only one param value per param key.",
            )
        checked[key] = limits.shorten(value, limits.MAX_PARAM_LENGTH)
    return checked


async def _write_latest(session: AsyncSession, run: RunRow, points: Sequence[Point]) -> None:
    latest: dict[str, dict[str, Any]] = {}
    of_models: dict[tuple[str, ...], dict[str, Any]] = {}
    for point in points:
        stored = point.stored
        if _rank(stored) >= _rank(latest.get(point.key)):
            latest[point.key] = stored
        measured = (point.model_id, point.key, point.dataset_name, point.dataset_digest)
        if point.model_id and _rank(stored) >= _rank(of_models.get(measured)):
            of_models[measured] = stored
    await insert_or_update(
        session,
        RunMetricRow,
        [{"run_id": run.id, **stored} for stored in latest.values()],
        update=_VALUE_COLUMNS,
        when=_is_later,
    )
    if of_models:
        await _write_model_metrics(session, run, of_models)


async def _write_model_metrics(
    session: AsyncSession, run: RunRow, of_models: dict[tuple[str, ...], dict[str, Any]]
) -> None:
    wanted = {measured[0] for measured in of_models}
    known = set(
        await session.scalars(
            select(LoggedModelRow.id).where(
                LoggedModelRow.id.in_(wanted), LoggedModelRow.project_id == run.project_id
            )
        )
    )
    values = [
        {
            "model_id": model_id,
            "run_id": run.id,
            "dataset_name": dataset_name,
            "dataset_digest": dataset_digest,
            **stored,
        }
        for (model_id, _, dataset_name, dataset_digest), stored in of_models.items()
        if model_id in known
    ]
    await insert_or_update(
        session, LoggedModelMetricRow, values, update=_VALUE_COLUMNS, when=_is_later
    )


_VALUE_COLUMNS = ("value", "is_nan", "step", "timestamp_ms")


def _rank(stored: dict[str, Any] | None) -> tuple[float, ...]:
    if stored is None:
        return (-math.inf, -math.inf, -math.inf)
    return (stored["step"], stored["timestamp_ms"], stored["value"])


def _is_later(new: Any, table: Table) -> ColumnElement[bool]:
    old = table.c
    return tuple_(new.step, new.timestamp_ms, new.value) > tuple_(
        old.step, old.timestamp_ms, old.value
    )


@dataclass(frozen=True, slots=True)
class HistoryPage:
    points: list[MetricPointRow]
    next_position: tuple[int, int, float, int] | None
    """Where the next page begins; None at the end."""


async def metric_history(
    context: ServerContext,
    principal: Principal,
    run_id: str,
    key: str,
    *,
    limit: int = MAX_HISTORY_PAGE,
    after: tuple[int, int, float, int] | None = None,
) -> HistoryPage:
    """The values of a metric by (timestamp, step, value); none for a metric never logged."""
    async with context.db.read() as session:
        await find_run(session, principal, run_id)
    table = MetricPointRow
    position = (table.timestamp_ms, table.step, table.value, table.is_nan)
    query = select(table).where(table.run_id == run_id, table.key == key)
    if after is not None:
        timestamp_ms, step, value, is_nan = after
        query = query.where(tuple_(*position) > tuple_(timestamp_ms, step, value, bool(is_nan)))
    limit = min(limit, MAX_HISTORY_PAGE)
    async with context.telemetry.read() as session:
        rows = list(await session.scalars(query.order_by(*position).limit(limit + 1)))
    if len(rows) <= limit:
        return HistoryPage(rows, None)
    last = rows[limit - 1]
    return HistoryPage(rows[:limit], (last.timestamp_ms, last.step, last.value, int(last.is_nan)))


def read_position(position: object) -> tuple[int, int, float, int]:
    """A position in a metric's history that came back as JSON. Raises InvalidInput."""
    match position:
        case [int(timestamp_ms), int(step), float() | int() as value, int(is_nan)]:
            if max(abs(timestamp_ms), abs(step), is_nan) < 2**63:
                return timestamp_ms, step, float(value), is_nan
    raise InvalidInput(f"{position!r} is not a position in this history", field="page_token")


async def metric_history_interval(
    context: ServerContext,
    principal: Principal,
    run_ids: Sequence[str],
    key: str,
    *,
    start_step: int | None = None,
    end_step: int | None = None,
    limit: int,
) -> list[MetricPointRow]:
    """Values of one metric of several runs, about `limit` for each, evenly over the steps; the
    first and last step of each run are always there."""
    found: list[MetricPointRow] = []
    async with context.db.read() as session:
        for run_id in run_ids:
            await find_run(session, principal, run_id)
    async with context.telemetry.read() as session:
        for ids in chunks(list(run_ids)):
            table = MetricPointRow
            query = select(table).where(table.run_id.in_(ids), table.key == key)
            if start_step is not None:
                query = query.where(table.step >= start_step)
            if end_step is not None:
                query = query.where(table.step <= end_step)
            order = (table.run_id, table.step, table.timestamp_ms, table.value)
            found.extend(await session.scalars(query.order_by(*order)))
    by_run: dict[str, list[MetricPointRow]] = {run_id: [] for run_id in run_ids}
    for point in found:
        by_run[point.run_id].append(point)
    return [point for points in by_run.values() for point in _thinned(points, limit)]


def _thinned(points: list[MetricPointRow], limit: int) -> list[MetricPointRow]:
    steps = sorted({point.step for point in points})
    if len(steps) <= limit:
        return points
    every = (len(steps) - 1) / max(1, limit - 1)
    kept = {steps[round(index * every)] for index in range(limit)}
    return [point for point in points if point.step in kept]
