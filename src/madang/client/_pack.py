"""Packing a folder of code: the same files always give the same bytes."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from madang.core.errors import InvalidInput, LimitExceeded
from madang.core.resources import format_bytes

MAX_BYTES = 32 * 2**20

IGNORE_FILE = ".madangignore"

_NEVER = ("__pycache__", "*.pyc", "node_modules", "*.egg-info")


def pack(folder: Path, names: Sequence[str] = ()) -> bytes:
    """A tar of the files in `folder`; only of `names` (files and folders in it), when given.

    Hidden files, caches, links to outside and what `.madangignore` names (one pattern a line, as
    in `*.csv` or `data`) stay behind. Raises InvalidInput for what is not there, LimitExceeded
    for more than 32 MiB.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{str(folder)!r} is not a folder", field="code")
    ignored = (*_NEVER, *_patterns(folder / IGNORE_FILE))
    root = folder.resolve()
    starts = [folder / name for name in names] or [folder]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(set(_files(starts, root, ignored))):
            _add(archive, path, root)
            if buffer.tell() > MAX_BYTES:
                raise LimitExceeded(
                    f"the code in {str(folder)!r} is larger than {format_bytes(MAX_BYTES)}",
                    hint=f"Name what is not code in {IGNORE_FILE}; put data into a folder and "
                    "mount it: `madang folder upload`, --mount.",
                )
    return buffer.getvalue()


def _files(starts: Sequence[Path], root: Path, ignored: Sequence[str]) -> Iterator[Path]:
    for start in starts:
        if not start.exists():
            raise InvalidInput(f"there is no {str(start)!r} to send", field="code")
        resolved = start.resolve()
        if not resolved.is_relative_to(root):
            raise InvalidInput(
                f"{str(start)!r} is not inside {str(root)!r}",
                field="code",
                hint="Give the folder that holds all of it.",
            )
        if resolved.is_file():
            yield resolved
            continue
        for parent, folders, files in os.walk(resolved):
            folders[:] = [name for name in folders if not _ignored(name, ignored)]
            for name in files:
                path = Path(parent) / name
                if _ignored(name, ignored) or not path.is_file():
                    continue
                if path.is_symlink() and not path.resolve().is_relative_to(root):
                    continue
                yield path


def _ignored(name: str, patterns: Sequence[str]) -> bool:
    return name.startswith(".") or any(fnmatch(name, pattern) for pattern in patterns)


def _patterns(path: Path) -> list[str]:
    if not path.is_file():
        return []
    lines = (line.strip().rstrip("/") for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _add(archive: tarfile.TarFile, path: Path, root: Path) -> None:
    """Times and owners stay out, so that the same content has the same digest."""
    data = path.read_bytes()
    member = tarfile.TarInfo(path.relative_to(root).as_posix())
    member.size = len(data)
    member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
    archive.addfile(member, io.BytesIO(data))
