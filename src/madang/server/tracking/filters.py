"""MLflow's search language: `metrics.loss < 0.5 AND tags.team = 'vision'`, and `order_by`.

A filter is read into clauses (pure), and clauses are turned into SQL by what a `SearchSpace`
says about the thing that is searched for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import DeclarativeBase

from madang.core.errors import InvalidInput
from madang.server.tracking.sql import like

MAX_CLAUSES = 50
MAX_TEXT_LENGTH = 10_000
"""Of a filter, and of an order_by clause."""
NUMBER_COMPARATORS = {">", ">=", "!=", "=", "<", "<="}
TEXT_COMPARATORS = {"=", "!=", "LIKE", "ILIKE"}
LIST_COMPARATORS = {"IN", "NOT IN"}
NULL_COMPARATORS = {"IS NULL", "IS NOT NULL"}

ENTITIES = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("parameter", "parameters", "param", "params"), "parameter"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
PROMPT_TAG = "mlflow.prompt.is_prompt"
_INT64 = 2**63

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>'[^']*'|"[^"]*")
      | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
      | (?P<name>[A-Za-z_][\w\-/]*(?:\.(?:[\w\-/]+|`[^`]+`|"[^"]+"))*|`[^`]+`)
      | (?P<operator>!=|>=|<=|=|<|>)
      | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Clause:
    """`entity.key comparator value`; the value is text, a number, a tuple of text or None."""

    entity: str
    key: str
    comparator: str
    value: str | float | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """What can be searched: columns by attribute name, and the tables of keys and values."""

    row: type[DeclarativeBase]
    texts: dict[str, Any]
    numbers: dict[str, Any] = field(default_factory=dict)
    keyed: dict[str, Any] = field(default_factory=dict)
    """metric, parameter, tag → a table with the columns key, value and `owner`."""
    owner: str = "run_id"
    """The column of those tables that refers to the row's id."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Columns of the data sets that a run read."""
    orderable: tuple[str, ...] = ()

    def condition(self, text: str | None) -> list[ColumnElement[bool]]:
        """The conditions that a filter stands for. Raises InvalidInput."""
        return [self._compile(clause) for clause in parse_filter(text)]

    def order(self, query: Select[Any], order_by: Sequence[str]) -> Select[Any]:
        """Sort by MLflow's clauses, e.g. `metrics.loss ASC`; what lacks a value comes last."""
        for text in order_by:
            entity, key, descending = parse_order(text)
            if entity == "attribute":
                if key not in self.orderable:
                    raise InvalidInput(
                        f"invalid attribute key {key!r} specified in order_by",
                        hint=f"Valid keys are {', '.join(self.orderable)}.",
                    )
                column = self.numbers[key] if key in self.numbers else self.texts[key]
                query = query.order_by(column.is_(None), *_direction(column, descending))
                continue
            table = self._table(entity)
            mine = select(func.max(table.value)).where(*self._present(table, key))
            value = mine.scalar_subquery()
            if entity == "metric":
                nan = select(func.max(case((table.is_nan, 1), else_=0)))
                rank = nan.where(*self._present(table, key)).scalar_subquery()
                query = query.order_by(func.coalesce(rank, 2))
            query = query.order_by(value.is_(None), *_direction(value, descending))
        return query

    @property
    def _id(self) -> Any:
        return getattr(self.row, "id")  # noqa: B009

    def _present(self, table: Any, key: str) -> list[ColumnElement[bool]]:
        return [getattr(table, self.owner) == self._id, table.key == key]

    def _table(self, entity: str) -> Any:
        if entity not in self.keyed:
            raise InvalidInput(f"invalid entity type {entity!r} in a search here")
        return self.keyed[entity]

    def _compile(self, clause: Clause) -> ColumnElement[bool]:
        if clause.entity == "attribute":
            return self._attribute(clause)
        if clause.entity == "dataset" and self.columns:
            return self._dataset(clause)
        table = self._table(clause.entity)
        allowed = TEXT_COMPARATORS | NULL_COMPARATORS
        _require(clause, NUMBER_COMPARATORS if clause.entity == "metric" else allowed)
        present = self._present(table, clause.key)
        if clause.comparator == "IS NULL":
            return ~exists().where(*present)
        if clause.comparator == "IS NOT NULL":
            return exists().where(*present)
        if clause.entity == "metric":
            value: ColumnElement[bool] = and_(not_(table.is_nan), _number(table.value, clause))
            if clause.comparator == "!=":
                value = or_(table.is_nan, value)
            return exists().where(*present, value)
        matches = exists().where(*present, _text(table.value, clause))
        if clause.key == PROMPT_TAG and (clause.comparator, clause.value) in (
            ("=", "false"),
            ("!=", "true"),
        ):  # models and versions that are no prompts lack the tag
            return or_(~exists().where(*present), matches)
        return matches

    def _attribute(self, clause: Clause) -> ColumnElement[bool]:
        if clause.key in self.numbers:
            _require(clause, NUMBER_COMPARATORS)
            return _number(self.numbers[clause.key], clause, whole=True)
        if clause.key not in self.texts:
            valid = ", ".join([*self.texts, *self.numbers])
            raise InvalidInput(
                f"invalid attribute key {clause.key!r} specified", hint=f"Valid keys are {valid}."
            )
        _require(clause, TEXT_COMPARATORS | LIST_COMPARATORS)
        return _text(self.texts[clause.key], clause)

    def _dataset(self, clause: Clause) -> ColumnElement[bool]:
        _require(clause, TEXT_COMPARATORS | LIST_COMPARATORS)
        if clause.key not in self.columns:
            raise InvalidInput(
                f"invalid dataset key {clause.key!r} specified",
                hint=f"Valid keys are {', '.join(self.columns)}.",
            )
        column = self.columns[clause.key]
        owner = column.class_.run_id
        return exists(select(owner).where(owner == self._id, _text(column, clause)))


def parse_filter(text: str | None) -> list[Clause]:
    """Read `clause AND clause…`. Raises InvalidInput that quotes what can't be read."""
    tokens = _tokens(text or "")
    clauses: list[Clause] = []
    position = 0
    while position < len(tokens):
        clause, position = _clause(tokens, position)
        clauses.append(clause)
        if position < len(tokens):
            if _word(tokens, position) != "AND" or position + 1 == len(tokens):
                raise InvalidInput(
                    f"invalid clause(s) in filter string: {tokens[position][1]!r}",
                    field="filter",
                    hint="Clauses can only be joined by AND.",
                )
            position += 1
    if len(clauses) > MAX_CLAUSES:
        raise InvalidInput(f"a filter can have at most {MAX_CLAUSES} clauses", field="filter")
    return clauses


def parse_order(text: str) -> tuple[str, str, bool]:
    """`(entity, key, descending)` of one order_by clause. Raises InvalidInput."""
    tokens = _tokens(text)
    direction = _word(tokens, 1) if len(tokens) == 2 else "ASC"
    if len(tokens) not in (1, 2) or tokens[0][0] != "name" or direction not in ("ASC", "DESC"):
        raise InvalidInput(f"invalid order_by clause {text!r}", field="order_by")
    entity, key = _identifier(tokens[0][1])
    return entity, key, direction == "DESC"


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidInput(
            f"a filter or order of {len(text)} characters is too long, the limit is "
            f"{MAX_TEXT_LENGTH}",
            field="filter",
        )
    found = []
    position, text = 0, text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidInput(
                f"invalid filter or order: it can't be read from {text[position:][:40]!r} on",
                field="filter",
                hint="Put text values into quotes, and keys with odd characters into backticks.",
            )
        found.append((str(match.lastgroup), match.group(str(match.lastgroup))))
        position = match.end()
    return found


def _clause(tokens: list[tuple[str, str]], start: int) -> tuple[Clause, int]:
    kind, text = tokens[start]
    if kind != "name":
        raise InvalidInput(f"invalid clause(s) in filter string: {text!r}", field="filter")
    entity, key = _identifier(text)
    comparator, position = _comparator(tokens, start + 1)
    if comparator in NULL_COMPARATORS:
        return Clause(entity, key, comparator, None), position
    if comparator in LIST_COMPARATORS:
        values, position = _value_list(tokens, position)
        return Clause(entity, key, comparator, values), position
    kind, text = tokens[position] if position < len(tokens) else ("end", "nothing")
    if kind == "string":
        return Clause(entity, key, comparator, text[1:-1]), position + 1
    if kind == "number":
        return Clause(entity, key, comparator, float(text)), position + 1
    raise InvalidInput(
        f"expected a value after {key!r} {comparator}, got {text!r}",
        field="filter",
        hint="Put text values into quotes.",
    )


def _comparator(tokens: list[tuple[str, str]], start: int) -> tuple[str, int]:
    if start < len(tokens) and tokens[start][0] == "operator":
        return tokens[start][1], start + 1
    words = [_word(tokens, start + offset) for offset in range(3)]
    for phrase in ("IS NOT NULL", "IS NULL", "NOT IN", "IN", "LIKE", "ILIKE"):
        size = phrase.count(" ") + 1
        if words[:size] == phrase.split():
            return phrase, start + size
    shown = tokens[start][1] if start < len(tokens) else "nothing"
    raise InvalidInput(f"expected a comparison, got {shown!r}", field="filter")


def _value_list(tokens: list[tuple[str, str]], start: int) -> tuple[tuple[str, ...], int]:
    values: list[str] = []
    position = start
    wanted = "("
    while position < len(tokens) and tokens[position] == ("mark", wanted):
        kind, text = tokens[position + 1] if position + 1 < len(tokens) else ("end", "")
        if kind != "string":
            break
        values.append(text[1:-1])
        position, wanted = position + 2, ","
    if not values or position >= len(tokens) or tokens[position] != ("mark", ")"):
        raise InvalidInput(
            "expected a list of quoted values after IN, e.g. IN ('a', 'b')", field="filter"
        )
    if len(values) > 1_000:
        raise InvalidInput("a list in a filter can have at most 1000 values", field="filter")
    return tuple(values), position + 1


def _word(tokens: list[tuple[str, str]], position: int) -> str:
    return tokens[position][1].upper() if position < len(tokens) else ""


def _identifier(text: str) -> tuple[str, str]:
    first, dot, rest = text.partition(".")
    if text.startswith(("`", '"')) or not dot:
        return "attribute", text.strip('`"')
    entity = ENTITIES.get(first.lower())
    if entity is None:
        raise InvalidInput(
            f"invalid entity type {first!r}",
            field="filter",
            hint="Valid entity types are metrics, params, tags, attributes and datasets.",
        )
    return entity, rest.strip('`"')


def _require(clause: Clause, allowed: set[str]) -> None:
    if clause.comparator not in allowed:
        raise InvalidInput(
            f"invalid comparator {clause.comparator!r} for {clause.entity} {clause.key!r}",
            field="filter",
            hint=f"Use one of {', '.join(sorted(allowed))}.",
        )


def _number(column: Any, clause: Clause, *, whole: bool = False) -> ColumnElement[bool]:
    if not isinstance(clause.value, float):
        raise InvalidInput(
            f"expected a number for {clause.entity} {clause.key!r}, got {clause.value!r}",
            field="filter",
        )
    value: float = clause.value
    is_whole = whole and value.is_integer() and abs(value) < _INT64
    other = literal(int(value), BigInteger) if is_whole else literal(value, Float(53))
    comparisons: dict[str, ColumnElement[bool]] = {
        ">": column > other,
        ">=": column >= other,
        "=": column == other,
        "!=": column != other,
        "<": column < other,
        "<=": column <= other,
    }
    return comparisons[clause.comparator]


def _text(column: Any, clause: Clause) -> ColumnElement[bool]:
    value = clause.value
    if isinstance(value, float) or value is None:
        raise InvalidInput(
            f"expected a quoted string value for {clause.entity} {clause.key!r}", field="filter"
        )
    if isinstance(value, tuple):
        found: ColumnElement[bool] = column.in_(value)
        return found if clause.comparator == "IN" else not_(found)
    if clause.comparator == "LIKE":
        return like(column, value)
    if clause.comparator == "ILIKE":
        return like(func.lower(column), value.lower())
    same: ColumnElement[bool] = column == value
    return same if clause.comparator == "=" else column != value


def _direction(column: Any, descending: bool) -> list[Any]:
    return [column.desc() if descending else column.asc()]
