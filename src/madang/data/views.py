"""Views: rules that choose items of a version, without copying any.

A *split* gives every item a place between 0 and 1 by its path's hash; a view is an interval of it.
The place depends on the path and the seed alone: an item stays on its side as data arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from madang.core.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD = 2**64


def hash_split(fractions: dict[str, float], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Rules for views that share out all items, e.g. `hash_split({"train": 0.8, "test": 0.2})`.

    Every item is in exactly one of them. Raises InvalidInput unless the fractions are above 0 and
    add up to 1.
    """
    if not fractions or min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-9:
        shown = ", ".join(f"{name}={part:g}" for name, part in fractions.items())
        raise InvalidInput(
            f"the fractions ({shown}) are not parts of one whole",
            field="fractions",
            hint="Each must be above 0, and together they must be 1.",
        )
    rules: dict[str, dict[str, Any]] = {}
    start = 0.0
    names = list(fractions)
    for name in names:
        end = 1.0 if name == names[-1] else start + fractions[name]
        rules[name] = {"kind": "split", "seed": seed, "start": start, "end": end}
        start = end
    return rules


def check_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the rule when `rule_mask` can follow it. Raises InvalidInput."""
    known = {"kind", "seed", "start", "end"}
    numbers = [rule.get(key) for key in ("seed", "start", "end")]
    if rule.get("kind") != "split" or set(rule) != known:
        raise InvalidInput(f"{rule!r} is not a rule of a view that this version knows")
    if not all(isinstance(value, int | float) for value in numbers) or not (
        0 <= rule["start"] < rule["end"] <= 1
    ):
        raise InvalidInput(f"{rule!r} is not a part of 0 to 1")
    return rule


def rule_mask(rule: dict[str, Any], hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which items the rule chooses."""
    check_rule(rule)
    places = _mixed(hashes, int(rule["seed"]))
    start, end = int(rule["start"] * _WORD), int(rule["end"] * _WORD)
    chosen: NDArray[np.bool_] = places >= start
    if end < _WORD:
        chosen &= places < end
    return chosen


def _mixed(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """splitmix64 of the hashes, shifted by the seed's: each seed has an order of its own."""
    import numpy as np

    def mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
        words = words + np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return words ^ (words >> np.uint64(31))

    shift = mix(np.array([seed % _WORD], dtype=np.uint64))
    return mix(hashes.astype(np.uint64) ^ shift)
