"""The native parts of Madang. Use them through `madang`, which gives them names and types."""

from madang_native._native import (
    Placement,
    archive,
    change_mode,
    change_owner,
    copy,
    extract,
    remove,
    scan,
    sync,
)

__all__ = [
    "Placement",
    "archive",
    "change_mode",
    "change_owner",
    "copy",
    "extract",
    "remove",
    "scan",
    "sync",
]
