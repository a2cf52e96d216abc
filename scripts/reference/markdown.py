"""Writing Markdown from text that was not written as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

_CODE_SPAN = re.compile(r"(`[^`]*`)")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(head), _row(["---"] * len(head))]
    lines.extend(_row([cell.replace("|", "\\|") for cell in row]) for row in rows)
    return "\n".join(lines)


def prose(text: str) -> str:
    """A docstring as Markdown: what looks like HTML in it is text."""
    return "\n".join(
        line if line.startswith("    ") else _escape(line)
        for line in inspect.cleandoc(text).splitlines()
    )


def one_line(text: str) -> str:
    """For a cell of a table."""
    return _escape(" ".join(text.split()))


def code(text: object) -> str:
    return f"`{text}`" if str(text) else ""


def page(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(line: str) -> str:
    parts = _CODE_SPAN.split(line)
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)
