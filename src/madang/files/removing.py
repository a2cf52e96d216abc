"""Removing trees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from madang.files.run import AT_FDCWD, AnyPath, Failure, Run, failures, native, path_list


@dataclass(frozen=True, slots=True)
class Removed:
    """What is gone. `complete` is False when it was stopped; `failures` is sorted by path."""

    files: int
    directories: int
    failures: tuple[Failure, ...]
    complete: bool


def remove(
    paths: AnyPath | Iterable[AnyPath],
    *,
    recursive: bool = False,
    missing_ok: bool = False,
    one_file_system: bool = False,
    dry_run: bool = False,
    exclude: Iterable[str] = (),
    dir_fd: int | None = None,
    run: Run | None = None,
) -> Removed:
    """Remove files and, with `recursive`, directories with all that is in them.

    Symbolic links are removed, never followed, also those that somebody puts there meanwhile. What
    can't be removed is in `failures`, and the rest is gone. `exclude` has patterns of what stays,
    with the directories it is in (`"*.o"`; one with a slash is matched with the end of the path).
    `dir_fd` is an open directory that relative paths begin at.

        done = remove("/data/scratch", recursive=True)
        for failure in done.failures:
            print(failure)

    Raises InvalidInput for what is no path, Unsupported when `madang-native` is not installed.
    """
    names = path_list(paths)
    files, directories, complete, failed = native("removing files").remove(
        names,
        recursive=recursive,
        missing_ok=missing_ok,
        one_file_system=one_file_system,
        dry_run=dry_run,
        exclude=list(exclude),
        at_fd=AT_FDCWD if dir_fd is None else dir_fd,
        **(run or Run()).native,
    )
    return Removed(files, directories, failures(failed), complete)
