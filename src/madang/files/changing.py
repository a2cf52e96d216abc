"""Changing modes and owners of trees."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass

from madang.core.errors import InvalidInput
from madang.files.run import AT_FDCWD, AnyPath, Failure, Run, failures, native, path_list


@dataclass(frozen=True, slots=True)
class Changed:
    """How many were otherwise before and how many were not. `complete` is False when it was
    stopped; `failures` is sorted by path."""

    changed: int
    retained: int
    failures: tuple[Failure, ...]
    complete: bool


def chmod(
    paths: AnyPath | Iterable[AnyPath],
    mode: int | str,
    *,
    recursive: bool = False,
    one_file_system: bool = False,
    dry_run: bool = False,
    exclude: Iterable[str] = (),
    dir_fd: int | None = None,
    run: Run | None = None,
) -> Changed:
    """Change the mode of files and, with `recursive`, of all that is in directories.

    mode: a number (`0o640`) or what `chmod` takes (`"u=rwX,go=rX"`). Symbolic links in directories
    are left alone, and none is followed that somebody puts there meanwhile; those given lead to
    what they point to.

        chmod("/data/digits", "g+rX,o=", recursive=True)

    Raises InvalidInput for what is no mode or no path, Unsupported without `madang-native`.
    """
    if isinstance(mode, int) and not 0 <= mode <= 0o7777:
        raise _no_mode(mode)
    text = f"{mode:05o}" if isinstance(mode, int) else mode
    names = path_list(paths)
    module = native("changing modes")
    try:
        changed, retained, complete, failed = module.change_mode(
            names,
            mode=text,
            mask=_umask(),
            recursive=recursive,
            one_file_system=one_file_system,
            dry_run=dry_run,
            exclude=list(exclude),
            at_fd=AT_FDCWD if dir_fd is None else dir_fd,
            **(run or Run()).native,
        )
    except ValueError:
        raise _no_mode(mode) from None
    return Changed(changed, retained, failures(failed), complete)


def chown(
    paths: AnyPath | Iterable[AnyPath],
    user: int | str | None = None,
    group: int | str | None = None,
    *,
    recursive: bool = False,
    follow_links: bool = True,
    one_file_system: bool = False,
    dry_run: bool = False,
    exclude: Iterable[str] = (),
    dir_fd: int | None = None,
    run: Run | None = None,
) -> Changed:
    """Change the owner of files and, with `recursive`, of all that is in directories.

    user, group: a name or a number; None stays. Of symbolic links in directories the links
    themselves are changed; one that is given leads to what it points to unless `follow_links` is
    False or `recursive` is True.

    Raises InvalidInput for a user or group that does not exist, and when neither is given;
    Unsupported without `madang-native`.
    """
    if user is None and group is None:
        raise InvalidInput("neither a user nor a group is given", field="user")
    names = path_list(paths)
    changed, retained, complete, failed = native("changing owners").change_owner(
        names,
        user=None if user is None else _user_id(user),
        group=None if group is None else _group_id(group),
        recursive=recursive,
        follow_links=follow_links,
        one_file_system=one_file_system,
        dry_run=dry_run,
        exclude=list(exclude),
        at_fd=AT_FDCWD if dir_fd is None else dir_fd,
        **(run or Run()).native,
    )
    return Changed(changed, retained, failures(failed), complete)


def _no_mode(mode: int | str) -> InvalidInput:
    return InvalidInput(
        f"{mode!r} is no mode",
        field="mode",
        hint="It is a number such as 0o640, or letters such as 'u=rwX,go=rX'.",
    )


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _user_id(user: int | str) -> int:
    try:
        return _plain_id(user) if isinstance(user, int) else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise InvalidInput(f"there is no user {user!r}", field="user") from None


def _group_id(group: int | str) -> int:
    try:
        return _plain_id(group) if isinstance(group, int) else grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidInput(f"there is no group {group!r}", field="group") from None


def _plain_id(number: int) -> int:
    if not 0 <= number < 2**32 - 1:
        raise InvalidInput(f"{number} is no number of a user or group", field="user")
    return number
