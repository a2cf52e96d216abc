"""Making a manifest from a directory tree."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from madang.core.errors import Unsupported
from madang.data.manifest import NO_LABEL, Manifest, make_manifest
from madang.files import Kind, scan

_MAX_LISTINGS = 3
_SHOWN_ERRORS = 10

Listed = list[tuple[bytes, int, int]]


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A manifest and what was seen on the way.

    `stable`: two listings in a row were equal; else files changed throughout, and the manifest is
    what the last listing saw. `skipped` counts what is no item (hidden, symlink, other,
    unreadable), `errors` has the first of what could not be read. `listed_with` is `native` or
    `python`.
    """

    manifest: Manifest
    stable: bool
    listed_with: str
    skipped: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def build_manifest(root: int) -> BuildResult:
    """List the tree below an open directory and make a manifest of its files.

    An item is a regular file whose path has no part that begins with a dot; its class is its first
    directory below `root`, and files right in `root` have none. Links are not followed. Raises
    OSError when `root` itself can't be read.
    """
    listed, skipped, errors, listed_with = _list(root)
    stable = False
    for _ in range(_MAX_LISTINGS - 1):
        again, skipped, errors, listed_with = _list(root)
        stable = again == listed
        listed = again
        if stable:
            break
    names = sorted({path.partition(b"/")[0] for path, _, _ in listed if b"/" in path})
    labels = {name: label for label, name in enumerate(names)}
    items = [
        (path, size, mtime_ns, labels[path.partition(b"/")[0]] if b"/" in path else NO_LABEL)
        for path, size, mtime_ns in listed
    ]
    manifest = make_manifest(items, tuple(map(os.fsdecode, names)))
    return BuildResult(manifest, stable, listed_with, skipped, errors)


def _list(root: int) -> tuple[Listed, dict[str, int], list[str], str]:
    try:
        listing = scan(root)
    except Unsupported:
        return (*_classified(_walk(root)), [], "python")
    errors = [str(error) for error in listing.errors]
    listed, skipped = _classified(
        (entry.path, entry.kind, entry.size, entry.mtime_ns) for entry in listing
    )
    if errors:
        skipped["unreadable"] = len(errors)
    return listed, skipped, errors[:_SHOWN_ERRORS], "native"


def _classified(
    entries: Iterator[tuple[bytes, int, int, int]],
) -> tuple[Listed, dict[str, int]]:
    """Split the entries into items, in the order of their paths, and counts of the rest."""
    listed: Listed = []
    skipped: Counter[str] = Counter()
    for path, kind, size, mtime_ns in entries:
        if path.startswith(b".") or b"/." in path:
            skipped["hidden"] += kind == Kind.FILE
        elif kind == Kind.FILE:
            listed.append((path, size, mtime_ns))
        elif kind == Kind.SYMLINK:
            skipped["symlink"] += 1
        elif kind != Kind.DIRECTORY:
            skipped["other"] += 1
    listed.sort()
    return listed, dict(+skipped)


def _walk(root: int) -> Iterator[tuple[bytes, int, int, int]]:
    """The same with the standard library, for where madang-native is not installed."""
    for directory, _, names, descriptor in os.fwalk(b".", dir_fd=root):
        prefix = os.fsencode(directory)[2:]
        for name in names:
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue
            path = prefix + b"/" + name if prefix else name
            yield path, status.st_mode >> 12, status.st_size, status.st_mtime_ns


def summary(manifest: Manifest) -> dict[str, Any]:
    """What the version holds, in numbers: classes, sizes, formats (by suffix)."""
    import numpy as np

    labels = manifest.labels
    counts = np.bincount(labels[labels >= 0], minlength=len(manifest.classes))
    sums = np.bincount(
        labels[labels >= 0], weights=manifest.sizes[labels >= 0], minlength=len(manifest.classes)
    )
    suffixes: Counter[str] = Counter()
    for index in range(len(manifest)):
        name = manifest.path(index).rpartition(b"/")[2]
        suffix = os.path.splitext(name)[1]
        suffixes[os.fsdecode(suffix).lower()] += 1
    sizes = manifest.sizes
    return {
        "classes": [
            {"name": name, "count": int(count), "bytes": int(total)}
            for name, count, total in zip(manifest.classes, counts, sums, strict=True)
        ],
        "unlabelled": int((labels < 0).sum()),
        "sizes": {
            "min": int(sizes.min()) if len(sizes) else 0,
            "median": int(np.median(sizes)) if len(sizes) else 0,
            "max": int(sizes.max()) if len(sizes) else 0,
        },
        "formats": dict(suffixes.most_common(20)),
    }
