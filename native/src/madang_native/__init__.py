"""The native parts of Madang. Use them through `madang`, which gives them names and types."""

from madang_native._native import (
    Batches,
    Placement,
    archive,
    change_mode,
    change_owner,
    copy,
    extract,
    find,
    remove,
    scan,
    sync,
    usage,
)

__all__ = [
    "Batches",
    "Placement",
    "archive",
    "change_mode",
    "change_owner",
    "copy",
    "extract",
    "find",
    "remove",
    "scan",
    "sync",
    "usage",
]
