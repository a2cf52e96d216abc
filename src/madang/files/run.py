"""What every operation takes besides its own arguments, and how it tells what became of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from madang.core.errors import InvalidInput, Unsupported

MAX_JOBS = 512
AT_FDCWD = -100
"""The kernel's number for "the working directory" instead of an open one."""

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation is; totals are 0 where they are not known."""

    items: int
    bytes: int
    total_items: int = 0
    total_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that could not be done: what was tried, where, the errno. The rest was done."""

    action: str
    path: bytes
    errno: int

    def __str__(self) -> str:
        what = f"{self.action} " if self.action else ""
        return f"{what}{os.fsdecode(self.path)!r}: {os.strerror(self.errno)}"


class Stop(Protocol):
    """Says when to give up, as `threading.Event` does."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Run:
    """How an operation runs.

    jobs: requests at a time; None adapts to what the file system takes. max_ops: at most so many
    requests a second, to spare a shared server. progress: called some times a second, in the
    calling thread; what it raises ends the operation and is raised. stop: once it is set (by
    another thread, say) the operation ends early, and its result says `complete=False`.
    """

    jobs: int | None = None
    max_ops: float | None = None
    progress: Callable[[Progress], object] | None = None
    stop: Stop | None = None

    def __post_init__(self) -> None:
        if self.jobs is not None and not 1 <= self.jobs <= MAX_JOBS:
            raise InvalidInput(
                f"jobs={self.jobs} is not a number of requests at a time",
                field="jobs",
                hint=f"Choose 1 to {MAX_JOBS}, or leave it out: it adapts.",
            )
        if self.max_ops is not None and not self.max_ops > 0:
            raise InvalidInput(
                f"max_ops={self.max_ops} is not a rate",
                field="max_ops",
                hint="Choose a number above 0, or leave it out for no limit.",
            )

    def poll(self, items: int, num_bytes: int, total_items: int, total_bytes: int) -> bool:
        """For the native side: tells the progress; whether to stop."""
        if self.progress is not None:
            self.progress(Progress(items, num_bytes, total_items, total_bytes))
        return self.stop is not None and self.stop.is_set()

    @property
    def native(self) -> dict[str, Any]:
        """As the native functions take it."""
        return {"jobs": self.jobs or 0, "max_ops": self.max_ops or 0.0, "progress": self.poll}


def failures(found: Iterable[tuple[str, bytes, int]]) -> tuple[Failure, ...]:
    return tuple(Failure(*one) for one in found)


def path_list(paths: AnyPath | Iterable[AnyPath]) -> list[bytes]:
    """One path or several, as bytes. Raises InvalidInput for an empty one, and one with a NUL."""
    several = [paths] if isinstance(paths, (str, bytes, os.PathLike)) else list(paths)
    names = [os.fsencode(path) for path in several]
    for name in names:
        if not name or b"\0" in name:
            raise InvalidInput(
                f"{os.fsdecode(name)!r} is not a path",
                field="paths",
                hint="A path is not empty and has no NUL character.",
            )
    return names


def native(what: str) -> ModuleType:
    """The native library. Raises Unsupported where it is not installed."""
    try:
        import madang_native
    except ImportError as error:
        raise Unsupported(
            f"{what} needs madang-native, which can't be imported ({error})",
            hint="Install it: pip install madang-native, or ./native from a clone.",
        ) from None
    return madang_native
