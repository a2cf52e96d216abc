"""Finding files, and what directories take up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from madang.core.errors import InvalidInput
from madang.files.run import AnyPath, Failure, Run, failures, native, path_list


@dataclass(frozen=True, slots=True)
class Found:
    """Paths of what matches, in no order. `complete` is False when it was stopped."""

    paths: list[bytes]
    failures: tuple[Failure, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """What one of the roots takes up, or all together."""

    path: bytes
    bytes: int
    inodes: int


@dataclass(frozen=True, slots=True)
class Usages:
    """Roots that are within others, or not there, are left out. A file with several names counts
    once."""

    roots: tuple[Usage, ...]
    total: Usage
    failures: tuple[Failure, ...]
    complete: bool


def find(
    roots: AnyPath | Iterable[AnyPath],
    expression: Iterable[str] = (),
    *,
    run: Run | None = None,
) -> Found:
    """Find what matches an expression of `find`, as words: `["-name", "*.jpg", "-size", "+1M"]`.

    A file is looked at only where the expression asks for more than names and kinds. Actions such
    as `-print` and `-delete` are refused: what is found is returned.

        for path in find("/mnt/nas/train", ["-type", "f", "-mtime", "-1"]).paths:
            print(os.fsdecode(path))

    Raises InvalidInput for what is no expression or no path, Unsupported without `madang-native`.
    """
    words = list(expression)
    for word in words:
        if word in _ACTIONS:
            raise InvalidInput(
                f"{word} is an action",
                field="expression",
                hint="Leave it out: what is found is returned, to do with as you like.",
            )
    try:
        paths, complete, failed = native("finding files").find(
            path_list(roots), words, **(run or Run()).native
        )
    except ValueError as error:
        raise InvalidInput(str(error), field="expression") from None
    return Found(paths.split(b"\0")[:-1], failures(failed), complete)


def usage(
    paths: AnyPath | Iterable[AnyPath],
    *,
    apparent: bool = False,
    count_links: bool = False,
    one_file_system: bool = False,
    exclude: Iterable[str] = (),
    run: Run | None = None,
) -> Usages:
    """Sum up what files and directories take up on the disk, or (`apparent`) say to hold.

    Raises InvalidInput for what is no path, Unsupported without `madang-native`.
    """
    roots, (num_bytes, inodes), complete, failed = native("summing up files").usage(
        path_list(paths),
        apparent=apparent,
        count_links=count_links,
        one_file_system=one_file_system,
        exclude=list(exclude),
        **(run or Run()).native,
    )
    shown = tuple(Usage(*root) for root in roots)
    return Usages(shown, Usage(b"", num_bytes, inodes), failures(failed), complete)


_ACTIONS = frozenset({
    "-print", "-print0", "-printf", "-ls", "-delete", "-exec", "-execdir", "-ok", "-okdir",
    "-fprint", "-fprint0", "-fprintf", "-fls", "-quit", "--print0", "--delete",
})  # fmt: skip
