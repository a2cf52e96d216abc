"""How much of what, all together: guarantees and limits of queues, users and projects.

Counted as `Resources` are: `cpu`, `gpu`, `gpu/MODEL` and other accelerators in thousandths,
`memory` in bytes, other names as they are. On the wire and for people: `{"gpu": 4, "memory":
"64GiB"}`.
`kinds` are the kinds of accelerators that there are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal, InvalidOperation

from madang.core.errors import InvalidInput
from madang.core.resources import MILLI, format_bytes, parse_bytes

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}(/[A-Za-z0-9][A-Za-z0-9 ._-]{0,62})?")
_MOST = 2**53
"""Above it JSON numbers are no longer exact."""

GPU = ("gpu",)


def parse_amounts(
    request: Mapping[str, object], field: str, kinds: Collection[str] = GPU
) -> dict[str, int]:
    """Counted amounts of `{"gpu": 4, "memory": "64GiB"}`, sorted by name. Raises InvalidInput."""
    return {name: _parse(name, request[name], field, kinds) for name in sorted(request)}


def plain_amounts(
    amounts: Mapping[str, int], kinds: Collection[str] = GPU
) -> dict[str, str | int | float]:
    """The inverse of `parse_amounts`, as people would write it."""
    return {name: _plain(name, amounts[name], kinds) for name in sorted(amounts)}


def format_amounts(amounts: Mapping[str, int], kinds: Collection[str] = GPU) -> str:
    """`gpu=4 memory=64GiB`; `nothing` when there is none."""
    parts = (f"{name}={format_amount(name, amount, kinds)}" for name, amount in amounts.items())
    return " ".join(parts) or "nothing"


def format_amount(name: str, amount: int, kinds: Collection[str] = GPU) -> str:
    """`4`, `0.25`, `64GiB`."""
    return f"{_plain(name, amount, kinds)}"


def split_amounts(texts: Iterable[str], field: str) -> dict[str, str]:
    """`gpu=4,cpu=64`, each, as the command line takes them; `none` is no amount at all."""
    pairs: dict[str, str] = {}
    for part in (part for text in texts for part in text.split(",")):
        name, separator, value = part.strip().partition("=")
        if not separator and name in ("none", ""):
            continue
        if not separator or not name or not value:
            raise InvalidInput(
                f"{part!r} says not how much of what",
                field=field,
                hint="Write NAME=AMOUNT: gpu=8, or gpu/H100=4,memory=512GiB; or none.",
            )
        pairs[name.strip()] = value.strip()
    return pairs


def scale_of(name: str, kinds: Collection[str] = GPU) -> int:
    """In how many parts one of it is counted."""
    return MILLI if name == "cpu" or name.partition("/")[0] in kinds else 1


def _plain(name: str, amount: int, kinds: Collection[str]) -> str | int | float:
    if name == "memory":
        return format_bytes(amount)
    scale = scale_of(name, kinds)
    return amount // scale if amount % scale == 0 else amount / scale


def _parse(name: str, value: object, field: str, kinds: Collection[str]) -> int:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:100]!r} names nothing that can be shared",
            field=field,
            hint="Use gpu, gpu/MODEL, cpu, memory, or the name of what nodes count.",
        )
    if name == "memory":
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        amount = parse_bytes(value, field)
    else:
        try:
            if isinstance(value, bool):
                raise InvalidOperation
            exact = Decimal(str(value)) * scale_of(name, kinds)
            if not exact.is_finite() or exact != exact.to_integral_value():
                raise InvalidOperation
        except InvalidOperation:
            raise InvalidInput(
                f"'{name}={value}' is not an amount",
                field=field,
                hint=f"Write {name}=4"
                + (f" or {name}=0.5." if scale_of(name, kinds) > 1 else "."),
            ) from None
        if exact < 0:
            raise InvalidInput(f"'{name}={value}' is less than nothing", field=field)
        amount = int(exact)
    if amount > _MOST:
        raise InvalidInput(f"'{name}={value}' is more than any cluster has", field=field)
    return amount
