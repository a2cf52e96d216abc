"""Reading what `madang job run` is given: durations, mounts, pairs, ranges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from madang.client._convert import from_json
from madang.core.errors import InvalidInput
from madang.schemas.jobs import JobMount, JobRole

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")
_ROLE = 'Write {"name": "server", "command": ["python", "serve.py"], "resources": {"cpu": 4}}.'
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(text: str, option: str) -> float:
    """Seconds from `90`, `90s`, `30m`, `2h`, `1d`, or several: `1h30m`."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise InvalidInput(
            f"{text!r} is no length of time", field=option, hint="Write 90s, 30m, 2h or 1h30m."
        )
    return sum(float(part[1]) * _SECONDS[part[2]] for part in parts)


def parse_time_limit(text: str) -> float:
    """Seconds; 0 for no limit, which is said by leaving it out."""
    if not text:
        return 0.0
    seconds = parse_duration(text, "time-limit")
    if not seconds:
        raise InvalidInput(
            f"a time limit of {text!r} would end the job at once",
            field="time-limit",
            hint="Leave it out for no limit, or write how long it may take: 90s, 30m, 2h.",
        )
    return seconds


def parse_replicas(text: str) -> tuple[int, int | None]:
    """`2` or `2..4`."""
    low, _, high = text.partition("..")
    if not low.isdigit() or (".." in text and not high.isdigit()):
        raise InvalidInput(
            f"{text!r} is no number of processes", field="replicas", hint="Write 2, or 2..4."
        )
    return int(low), int(high) if high else None


def parse_mount(text: str) -> JobMount:
    """`FOLDER[:/target][:ro|:rw]`."""
    folder, *rest = text.split(":")
    read_only = False
    if rest and rest[-1] in ("ro", "rw"):
        read_only = rest.pop() == "ro"
    if not folder or len(rest) > 1 or (rest and not rest[0].startswith("/")):
        raise InvalidInput(
            f"{text!r} says not clearly what to mount",
            field="mount",
            hint="Write FOLDER, FOLDER:/target or FOLDER:/target:ro.",
        )
    return JobMount(folder, rest[0] if rest else None, read_only)


def parse_pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """`NAME=VALUE`, each."""
    pairs = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise InvalidInput(
                f"{text!r} has no name and value", field=option, hint="Write NAME=VALUE."
            )
        pairs[name] = value
    return pairs


def parse_role(text: str) -> JobRole:
    """`{"name": "server", "command": ["python", "ps.py"]}`, or `@FILE` with that in it."""
    try:
        value = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
        role = from_json(JobRole, value)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{text!r} can't be read: {error}", field="role", hint=_ROLE) from None
    if not role.name or not role.command:
        raise InvalidInput(f"{text!r} lacks a name or a command", field="role", hint=_ROLE)
    return role


def parse_counts(texts: Iterable[str]) -> dict[str, int]:
    """`matlab=2`, each."""
    counts = {}
    for name, count in parse_pairs(texts, "resource").items():
        if not (count.isascii() and count.isdigit()):
            raise InvalidInput(
                f"'{name}={count}' is not a whole number", field="resource", hint="Write matlab=2."
            )
        counts[name] = int(count)
    return counts


def parse_ranges(text: str) -> list[tuple[int, int]]:
    """`128-255`, or several: `75,128-255`."""
    ranges = []
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        if not low.isdigit() or (high and not high.isdigit()):
            raise InvalidInput(
                f"{part!r} is no exit code",
                field="retry-exit-codes",
                hint="Write 75 or 128-255, or several with commas.",
            )
        ranges.append((int(low), int(high or low)))
    return ranges


def local_file(command: Sequence[str]) -> str | None:
    """A file here that the command names and that will not be where it runs."""
    for word in command:
        if not word.startswith("/") and word.endswith((".py", ".sh")) and Path(word).is_file():
            return word
    return None
