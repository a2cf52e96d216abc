"""Reading CSV files that people made: each error names file, row, column and value."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from madang.core.errors import InvalidInput
from madang.core.resources import Resources

MOST_S = 1e8
"""Three years: what takes longer is a mistake."""

_MOST_MOMENT_S = 1e11
"""The year 5138; further off seconds are no longer told apart."""


def bad_row(path: Path, row: int, column: str, value: object, hint: str) -> InvalidInput:
    """The value of one cell can't be used; `row` counts lines of the file, its header is 1."""
    return InvalidInput(
        f"{path.name}, row {row}, column {column!r}: {value!r} can't be used", hint=hint
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One line; reading a cell checks it."""

    path: Path
    number: int
    cells: dict[str, str]

    def text(self, column: str, default: str = "") -> str:
        return self.cells.get(column, "").strip() or default

    def required(self, column: str) -> str:
        text = self.text(column)
        if not text:
            raise self.bad(column, f"Each row needs a {column}.")
        return text

    def number_of(
        self,
        column: str,
        default: float | None = None,
        *,
        least: float = 0.0,
        most: float = math.inf,
        unit: str = "",
    ) -> float:
        """A finite number from `least` to `most`; an empty cell is `default`, if there is one."""
        text = self.text(column)
        if not text and default is not None:
            return default
        bounds = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        hint = f"Write a number {bounds}{', in ' + unit if unit else ''}."
        try:
            value = float(text)
        except ValueError:
            raise self.bad(column, hint) from None
        if not math.isfinite(value) or not least <= value <= most:
            raise self.bad(column, hint)
        return value

    def whole(
        self,
        column: str,
        default: int | None = None,
        *,
        least: int = 0,
        most: float = math.inf,
        unit: str = "",
    ) -> int:
        value = self.number_of(column, default, least=least, most=most, unit=unit)
        if value != int(value):
            raise self.bad(column, f"Write a whole number{', in ' + unit if unit else ''}.")
        return int(value)

    def moment(self, column: str) -> float:
        """Seconds: a plain number, or a date and time as in ISO 8601 (UTC if it names no zone)."""
        text = self.required(column)
        try:
            return self.number_of(column, least=-_MOST_MOMENT_S, most=_MOST_MOMENT_S)
        except InvalidInput:
            if is_number(text):
                raise
        try:
            when = datetime.fromisoformat(text)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise self.bad(column, "Write seconds, or a time like 2026-11-21T09:30:00Z.") from None

    def yes(self, column: str, default: bool = False) -> bool:
        text = self.text(column).lower()
        if text not in ("", "yes", "no", "true", "false", "1", "0"):
            raise self.bad(column, "Write yes or no.")
        return text in ("yes", "true", "1") if text else default

    def resources(self, columns: Sequence[str]) -> Resources:
        """As `madang job run` reads them; the error names the cell."""
        try:
            return Resources.parse({name: self.text(name) for name in columns})
        except InvalidInput as error:
            field = (error.field or "").rpartition(".")[2]
            column = field if field in columns else columns[0]
            raise self.bad(column, f"{error.message}. {error.hint or ''}".strip()) from None

    def bad(self, column: str, hint: str) -> InvalidInput:
        return bad_row(self.path, self.number, column, self.cells.get(column, ""), hint)


class OneClock:
    """The times of one column: all are seconds, or all are dates."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._first: tuple[int, bool] | None = None

    def check(self, row: Row) -> None:
        """Raises InvalidInput where this row's time is not of the kind of the first."""
        seconds = is_number(row.text(self._column))
        number, first = self._first = self._first or (row.number, seconds)
        if seconds != first:
            raise row.bad(
                self._column,
                f"Row {number} has {'seconds' if first else 'a date and time'}: write all alike.",
            )


def is_number(text: str) -> bool:
    """Whether it is meant as a plain number, and not as a date."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_table(
    path: Path, required: Collection[str], optional: Collection[str] | None = None
) -> Iterator[Row]:
    """The rows of a CSV file with a header. `optional` None: other columns are ignored; else a
    column that is neither is an error, since it is probably misspelt."""
    with open_text(path) as file:
        reader = csv.reader(file)
        try:
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header, required, optional)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise InvalidInput(
                        f"{path.name}, row {reader.line_num}: {len(cells)} cells, "
                        f"{len(header)} columns",
                        hint=f"The columns are {', '.join(header)}.",
                    )
                yield Row(path, reader.line_num, dict(zip(header, cells, strict=True)))
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"{path.name} is not a CSV file: {error}", hint="Save it as CSV in UTF-8."
            ) from None


def open_text(path: Path) -> TextIO:
    """Open a file for reading; what is wrong with it is said for people."""
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except FileNotFoundError:
        raise InvalidInput(f"there is no file {path}", hint="Check its name.") from None
    except OSError as error:
        raise InvalidInput(
            f"{path} can't be read: {error.strerror}", hint="Name a readable file."
        ) from None


def _check_header(
    path: Path, header: list[str], required: Collection[str], optional: Collection[str] | None
) -> None:
    missing = [name for name in required if name not in header]
    if missing:
        raise InvalidInput(
            f"{path.name}, row 1: there is no column {missing[0]!r}",
            hint=f"It needs {', '.join(required)}; it has {', '.join(header) or 'none'}.",
        )
    if optional is None:
        return
    unknown = [name for name in header if name not in required and name not in optional]
    if unknown:
        known = ", ".join([*required, *optional])
        raise InvalidInput(
            f"{path.name}, row 1: unknown column {unknown[0]!r}", hint=f"Known columns: {known}."
        )
