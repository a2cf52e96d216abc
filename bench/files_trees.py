"""The trees of `bench/files.py`."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

FILE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Shape:
    """`outer` directories of `inner` directories of `each` files; all zero directories: flat."""

    outer: int
    inner: int
    each: int
    holes: bool = False
    """Files have their length but no content: a million fit into memory."""

    @property
    def files(self) -> int:
        return max(1, self.outer * self.inner) * self.each

    @property
    def folders(self) -> list[str]:
        names = [f"d{a:03}/e{b:03}" for a in range(self.outer) for b in range(self.inner)]
        return names or ["."]

    def make(self, root: Path) -> None:
        for name in self.folders:
            (root / name).mkdir(parents=True)
        folders = [root / name for name in self.folders]
        if self.files < 200_000:
            for folder in folders:
                _fill(folder, self)
            return
        with ProcessPoolExecutor() as pool:
            for _ in pool.map(_fill, folders, repeat(self), chunksize=20):
                pass


def _fill(folder: Path, shape: Shape) -> None:
    content = os.urandom(FILE_BYTES)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number in range(shape.each):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            file = os.open(f"file{number:06}.dat", flags, 0o644, dir_fd=handle)
            if shape.holes:
                os.truncate(file, FILE_BYTES)
            else:
                os.write(file, content)
            os.close(file)
    finally:
        os.close(handle)


NESTED = Shape(40, 25, 40)
FEW = Shape(5, 4, 40)
"""As many files to a directory, for commands that take one round trip after the other."""

FLAT = Shape(0, 0, 20_000)
FLAT_FEW = Shape(0, 0, 800)
SMALL = Shape(2, 5, 10)
MILLION = Shape(40, 25, 1200, holes=True)


def make_large(root: Path, *, files: int, size: int) -> None:
    root.mkdir()
    piece = os.urandom(1 << 20)
    for number in range(files):
        with (root / f"large{number}.dat").open("wb", buffering=0) as file:
            for _ in range(size >> 20):
                file.write(piece)
