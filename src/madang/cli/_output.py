"""What people see: tables on a terminal, JSON with `--json`, errors with a way out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from madang.client import Client
    from madang.core.errors import MadangError

T = TypeVar("T")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
ProjectOption = Annotated[
    str | None,
    typer.Option("--project", "-p", help="Project, by name or id; yours when you have one only."),
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to show.")]


def connect(project: str | None = None) -> Client:
    """A client as the environment and the login file say."""
    from madang.client import Client

    return Client(project=project)


def to_plain(value: Any) -> Any:
    """Dataclasses, times and enums as JSON can hold them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [to_plain(item) for item in value]
    return value


def print_json(value: Any) -> None:
    print(json.dumps(to_plain(value), indent=2, ensure_ascii=False))


def print_list(
    items: Sequence[T],
    columns: dict[str, Callable[[T], object]],
    *,
    as_json: bool,
    empty: str,
) -> None:
    """A table with `columns` (title → what to show), or a JSON list; `empty` says what to do."""
    if as_json:
        print_json(items)
        return
    if not items:
        print(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in columns:
        table.add_column(title, overflow="fold")
    for item in items:
        table.add_row(*(_cell(show(item)) for show in columns.values()))
    # A pipe has no width: rows must not be folded for one that nobody sees.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


def print_item(item: Any, *, as_json: bool, lines: Iterable[tuple[str, object]]) -> None:
    """One thing as `name  value` lines, or as JSON."""
    if as_json:
        print_json(item)
        return
    shown = [(name, _cell(value)) for name, value in lines if value not in (None, "")]
    width = max((len(name) for name, _ in shown), default=0)
    for name, text in shown:
        print(f"{name:<{width}}  {text}")


def fail(error: MadangError) -> int:
    """Say what went wrong and what to do, on stderr; the exit code for it."""
    print(f"Error: {error.message}.", file=sys.stderr)
    if error.hint:
        print(f"       {error.hint}", file=sys.stderr)
    return error.exit_code


def ask_secret(what: str, *, confirm: bool = False, empty: bool = False) -> str:
    """Ask for a password without showing it; from a pipe, the next line is taken."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    default = "" if empty else None
    return str(
        typer.prompt(
            what, default, hide_input=True, confirmation_prompt=confirm, show_default=False
        )
    )


def ago(moment: datetime | None) -> str:
    """`3 min ago`, for tables."""
    if moment is None:
        return "-"
    seconds = max(0, round((datetime.now(UTC) - moment).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def about(moment: datetime | None) -> str:
    """`about 14:20`, with the day when it is another one, in local time."""
    if moment is None:
        return "-"
    local = moment.astimezone()
    shown = "%H:%M" if local.date() == datetime.now().astimezone().date() else "%Y-%m-%d %H:%M"
    return f"about {local.strftime(shown)}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return str(value)
