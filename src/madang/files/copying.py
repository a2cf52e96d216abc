"""Copying trees, and making one equal to another."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from madang.core.errors import InvalidInput
from madang.files.run import AnyPath, Failure, Run, failures, native, path_list

Checksum = Literal["xxh3", "sha256"]


@dataclass(frozen=True, slots=True)
class Copied:
    """What was done. `others` are links, fifos and devices; `updated` got new attributes only;
    `skipped` were there already. `complete` is False when it was stopped; `failures` is sorted by
    path."""

    files: int
    directories: int
    others: int
    bytes: int
    updated: int
    skipped: int
    removed: int
    failures: tuple[Failure, ...]
    complete: bool


def copy(
    sources: AnyPath | Iterable[AnyPath],
    target: AnyPath,
    *,
    recursive: bool = False,
    preserve: bool = False,
    resume: bool = False,
    verify: Checksum | None = None,
    one_file_system: bool = False,
    dry_run: bool = False,
    to_disk: bool = False,
    exclude: Iterable[str] = (),
    run: Run | None = None,
) -> Copied:
    """Copy files and, with `recursive`, directories: one to the name `target`, several into the
    directory `target`.

    Nothing is ever under its final name that is not whole. `preserve` keeps owners, permissions,
    times, hard links and extended attributes. `resume` takes up a copy that was killed, and copies
    nothing twice. `verify` reads each file back. `to_disk` waits until it would survive a power
    failure. Symbolic links are copied, and none is followed that somebody puts there meanwhile.

        done = copy("/mnt/nas/train", "/scratch/train", recursive=True, resume=True)

    Raises InvalidInput for what is no path, Unsupported without `madang-native`.
    """
    several = not isinstance(sources, (str, bytes, os.PathLike))
    result = native("copying files").copy(
        path_list(sources),
        path_list(target)[0],
        into_directory=several,
        recursive=recursive,
        preserve=preserve,
        resume=resume,
        verify=_checksum(verify),
        one_file_system=one_file_system,
        dry_run=dry_run,
        to_disk=to_disk,
        exclude=list(exclude),
        **(run or Run()).native,
    )
    return _copied(result)


def sync(
    source: AnyPath,
    target: AnyPath,
    *,
    compare_content: bool = False,
    remove_extra: bool = False,
    force: bool = False,
    verify: Checksum | None = None,
    one_file_system: bool = False,
    dry_run: bool = False,
    to_disk: bool = False,
    exclude: Iterable[str] = (),
    run: Run | None = None,
) -> Copied:
    """Make the directory `target` equal to `source`: what differs in size or time (or, with
    `compare_content`, in content) is copied with all attributes.

    `remove_extra` removes what the source has not; with it a source that is empty or can't be read
    is refused unless `force`. A run that was killed is taken up by the next.

    Raises InvalidInput for what is no path, Unsupported without `madang-native`.
    """
    result = native("synchronizing directories").sync(
        path_list(source)[0],
        path_list(target)[0],
        compare_content=compare_content,
        remove_extra=remove_extra,
        force=force,
        verify=_checksum(verify),
        one_file_system=one_file_system,
        dry_run=dry_run,
        to_disk=to_disk,
        exclude=list(exclude),
        **(run or Run()).native,
    )
    return _copied(result)


def _copied(
    result: tuple[int, int, int, int, int, int, int, bool, list[tuple[str, bytes, int]]],
) -> Copied:
    *counts, complete, failed = result
    files, directories, others, num_bytes, updated, skipped, removed = counts
    return Copied(
        files, directories, others, num_bytes, updated, skipped, removed,
        failures(failed), complete,
    )  # fmt: skip


def _checksum(name: str | None) -> str:
    if name not in (None, "xxh3", "sha256"):
        raise InvalidInput(
            f"verify={name!r} is no checksum", field="verify", hint="Choose xxh3 or sha256."
        )
    return name or ""
