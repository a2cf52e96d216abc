"""Making archives of trees, and extracting them."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from madang.core.errors import InvalidInput
from madang.files.run import AT_FDCWD, AnyPath, Failure, Run, failures, native, path_list

Compression = Literal["gzip", "zstd"]

_BY_NAME: dict[str, Compression] = {
    ".gz": "gzip", ".tgz": "gzip", ".zst": "zstd", ".tzst": "zstd",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Archived:
    """What is in the archive: members, bytes of files, bytes that it takes. `changed` files were
    changed by others while they were read."""

    members: int
    bytes: int
    archive_bytes: int
    changed: int
    failures: tuple[Failure, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A member that was not extracted, or (`member` empty) an archive that can't be read on."""

    archive: bytes
    member: bytes
    why: str

    def __str__(self) -> str:
        member = f": {os.fsdecode(self.member)!r}" if self.member else ""
        return f"{os.fsdecode(self.archive)}{member}: {self.why}"


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was made. `same` were there already (`resume`), `left_out` were excluded."""

    members: int
    bytes: int
    same: int
    left_out: int
    refused: tuple[Refused, ...]
    failures: tuple[Failure, ...]
    complete: bool


def archive(
    target: AnyPath,
    paths: AnyPath | Iterable[AnyPath],
    *,
    directory: AnyPath | None = None,
    compression: Compression | None = None,
    level: int = 0,
    sort: bool = False,
    one_file_system: bool = False,
    xattrs: bool = False,
    acls: bool = False,
    exclude: Iterable[str] = (),
    run: Run | None = None,
) -> Archived:
    """Write a tar archive of `paths` (relative to `directory`) that any tar reads.

    The compression follows from the target's name (.tar.gz, .tar.zst) unless it is given. `target`
    is there when it is whole, never before. `sort` makes the same tree the same archive.

    Raises OSError when the archive can't be written, InvalidInput for what is no path, Unsupported
    without `madang-native`.
    """
    module = native("archiving files")
    name = path_list(target)[0]
    if compression is None:
        compression = _BY_NAME.get(os.path.splitext(os.fsdecode(name))[1])
    folder = AT_FDCWD if directory is None else os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with _written(name) as descriptor:
            result = module.archive(
                descriptor,
                path_list(paths),
                at_fd=folder,
                compression=compression or "",
                level=level,
                sort_by_name=sort,
                one_file_system=one_file_system,
                xattrs=xattrs,
                acls=acls,
                exclude=list(exclude),
                **(run or Run()).native,
            )
            members, num_bytes, archive_bytes, changed, error, complete, failed = result
            if error:
                raise OSError(error, os.strerror(error), os.fsdecode(name))
            if not complete:
                raise _StoppedError
    except _StoppedError:
        pass  # nothing is left of it
    finally:
        if folder != AT_FDCWD:
            os.close(folder)
    return Archived(members, num_bytes, archive_bytes, changed, failures(failed), complete)


def extract(
    archives: AnyPath | Iterable[AnyPath],
    directory: AnyPath = ".",
    *,
    strip_components: int = 0,
    keep_old: bool = False,
    resume: bool = False,
    verify: bool = False,
    dry_run: bool = False,
    same_owner: bool = False,
    to_the_letter: bool = False,
    max_bytes: int = 0,
    exclude: Iterable[str] = (),
    run: Run | None = None,
) -> Extracted:
    """Extract zip, tar, tar.gz and tar.zst, many at once, never to anywhere but below `directory`.

    Each file is under its name when it is whole. What leads outside, is damaged or more than
    `max_bytes` is in `refused`, and the rest is extracted. `resume` leaves what is there with the
    same size and time; `to_the_letter` gives modes as stored, with set-user-ID bits.

    Raises OSError for an archive that can't be opened, InvalidInput for what is no path,
    Unsupported without `madang-native`.
    """
    module = native("extracting archives")
    with contextlib.ExitStack() as stack:
        opened = []
        for name in path_list(archives):
            file = stack.enter_context(open(name, "rb"))
            opened.append((name, file.fileno()))
        result = module.extract(
            opened,
            path_list(directory)[0],
            strip_components=strip_components,
            keep_old=keep_old,
            resume=resume,
            verify=verify,
            dry_run=dry_run,
            same_owner=same_owner,
            to_the_letter=to_the_letter,
            max_bytes=max_bytes,
            exclude=list(exclude),
            **(run or Run()).native,
        )
    members, num_bytes, same, left_out, complete, refused, failed = result
    told = tuple(
        Refused(one, member, why.decode(errors="replace")) for one, member, why in refused
    )
    return Extracted(members, num_bytes, same, left_out, told, failures(failed), complete)


class _StoppedError(Exception):
    """So that what was written so far goes."""


@contextlib.contextmanager
def _written(name: bytes) -> Iterator[int]:
    """A new file that gets its name at the end, and is gone if that does not come."""
    if os.path.isdir(name):
        raise InvalidInput(
            f"{os.fsdecode(name)!r} is a directory",
            field="target",
            hint="Name the archive's file.",
        )
    growing = name + b"." + secrets.token_hex(6).encode() + b".part"
    descriptor = os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        yield descriptor
        os.rename(growing, name)
    except BaseException:
        os.unlink(growing)
        raise
    finally:
        os.close(descriptor)
