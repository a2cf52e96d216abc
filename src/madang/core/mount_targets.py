"""Where in a task something may be mounted.

Mounting is done by root, who follows the links in the way to a target. A target below another
mount would let whoever can write there choose where root goes: each must stand apart.
"""

from __future__ import annotations

import posixpath

_SYSTEM = frozenset(
    [
        "bin",
        "boot",
        "dev",
        "etc",
        "home",
        "newroot",
        "oldroot",
        "proc",
        "root",
        "run",
        "sbin",
        "sys",
        "tmp",
        "usr",
        "var",
    ]
)


def problem_with(target: str) -> str:
    """What is wrong with a place in the task, "" when it is plain (see `plain_target`) and hides
    nothing of the task's own system."""
    if not target.startswith("/") or ".." in target.split("/"):
        return "is not an absolute path without '..'"
    if not target.isprintable():
        return "has characters that can't be printed"
    if target != plain_target(target):
        return "is not a path in its shortest form"
    top = target.split("/")[1]
    # /lib64, /lib32, /libx32…
    if not top or top in _SYSTEM or top.startswith("lib"):
        return "is where the task's own system is"
    return ""


def plain_target(target: str) -> str:
    """The shortest form of an absolute path."""
    return "/" + posixpath.normpath(target).lstrip("/")


def clash(one: str, other: str) -> bool:
    """Whether two plain places are the same, or one lies in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
