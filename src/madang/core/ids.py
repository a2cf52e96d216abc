"""Identifiers: `job-01k9r3m2t7q8x4c`: what it is, when it was made, and chance.

The first nine characters after the prefix are milliseconds since 1970 in Crockford's base 32, so
that sorting by id is sorting by age and a list can be paged by its last id alone.
"""

from __future__ import annotations

import re
import secrets
import time

from madang.core.errors import InvalidInput

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS = 9
_RANDOM_DIGITS = 6

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


def new_id(prefix: str) -> str:
    """A new identifier, e.g. `new_id("job")`."""
    return f"{prefix}-{_base32(time.time_ns() // 1_000_000, _TIME_DIGITS)}{random_word()}"


def random_word(length: int = _RANDOM_DIGITS) -> str:
    """Random letters and digits that are hard to mistake for one another."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def check_name(name: str, what: str) -> str:
    """Return `name` when it can name a resource, e.g. `check_name("vision", "project")`.

    Raises InvalidInput for anything but 1 to 63 of a-z, 0-9, '.', '_' and '-' that begin and
    end with a letter or digit.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} can't name {_article(what)} {what}",
            field="name",
            hint="Use 1 to 63 of a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends.",
        )
    return name


def _article(word: str) -> str:
    """`a` or `an`; a user is said with a y."""
    return "an" if word[0] in "aeio" else "a"


def _base32(number: int, digits: int) -> str:
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, 32)
        text = _ALPHABET[digit] + text
    return text
