"""What a setting may be: readers of text that say what is wrong and what would do.

Each raises ValueError whose words go on after "… can't be 'VALUE': ".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from madang.core.errors import InvalidInput
from madang.core.ids import check_name
from madang.core.resources import format_bytes, parse_bytes


def flag(text: str) -> bool:
    choices = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in choices:
        raise ValueError("write true or false")
    return choices[text.lower()]


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            named = " or ".join(repr(choice) for choice in choices if choice)
            raise ValueError(f"choose {named}{', or leave it empty' if '' in choices else ''}")
        return text

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text) if text.strip().lstrip("+-").isdigit() else None
        if number is None or not least <= number <= most:
            raise ValueError(f"it takes a whole number from {least} to {most}")
        return number

    return parse


def number(least: float, most: float, unit: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not least <= found <= most:  # nothing is true of NaN
            raise ValueError(f"it takes a number of {unit} from {least:g} to {most:g}")
        return found

    return parse


def size(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        found = parse_bytes(int(text) if text.isdigit() else text)
        if found < least:
            raise ValueError(f"it takes a size of at least {format_bytes(least)}, e.g. 64MiB")
        return found

    return parse


def folder(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise ValueError("it takes a folder, e.g. /var/lib/madang")
    return Path(text)


def node(text: str) -> str:
    """The name of a node, empty for the host's. Raises InvalidInput."""
    if text:
        check_name(text.lower(), "node")
    return text


def address(text: str) -> str:
    """An address that people use, empty for the usual one."""
    if not text:
        return text
    wanted = "it takes http://HOST or https://HOST, with :PORT where it is not the usual one"
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or parts.username is not None or " " in text:
        raise ValueError(wanted)
    return text


def database(text: str) -> str:
    """Never repeats the value, which may hold a password."""
    try:
        parts = urlsplit(text)
        if text == "sqlite" or (parts.scheme == "postgresql" and parts.port != 0):
            return text
    except ValueError:
        pass
    raise InvalidInput(
        "the value is no database that there is",
        field="database",
        hint="Use 'sqlite' or postgresql://USER:PASSWORD@HOST/NAME.",
    )
