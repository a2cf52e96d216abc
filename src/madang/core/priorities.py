"""Priorities: a number, or a class with a name that people remember."""

from __future__ import annotations

from madang.core.errors import InvalidInput

MAX_PRIORITY = 1000

PRIORITY_CLASSES = {"low": -100, "normal": 0, "high": 100, "urgent": 500}
"""Names for priorities, lowest first. Between them is room for finer numbers."""


def parse_priority(value: int | str) -> int:
    """The number that `high`, `"50"` or `50` stands for. Raises InvalidInput."""
    if isinstance(value, str) and value.strip().lower() in PRIORITY_CLASSES:
        return PRIORITY_CLASSES[value.strip().lower()]
    try:
        priority = int(value)
    except ValueError:
        raise InvalidInput(f"{value!r} is no priority", field="priority", hint=_HINT) from None
    if not -MAX_PRIORITY <= priority <= MAX_PRIORITY:
        raise InvalidInput(f"priority {priority} is out of range", field="priority", hint=_HINT)
    return priority


_HINT = (
    f"Use {', '.join(PRIORITY_CLASSES)}, or a number of -{MAX_PRIORITY} to {MAX_PRIORITY}: "
    "0 is normal, more goes first."
)
