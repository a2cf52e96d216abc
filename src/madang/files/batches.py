"""Listing trees of any size in columns, part by part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from madang.core.errors import Unsupported
from madang.files.listing import ScanError
from madang.files.run import AnyPath, Run, native

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of the entries below a root, as columns of numpy.

    Entry i's path, relative to the root, is `paths[offsets[i]:offsets[i + 1]]`. `kinds` are those
    of `Kind`, `sizes` are in bytes, `disk_bytes` what is taken up on the disk, `modes` permission
    bits.
    """

    paths: bytes
    offsets: NDArray[np.uint64]
    kinds: NDArray[np.uint8]
    sizes: NDArray[np.uint64]
    disk_bytes: NDArray[np.uint64]
    mtimes_ns: NDArray[np.int64]
    modes: NDArray[np.uint32]
    users: NDArray[np.uint32]
    groups: NDArray[np.uint32]
    links: NDArray[np.uint32]
    inodes: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.kinds)

    def path(self, index: int) -> bytes:
        return self.paths[int(self.offsets[index]) : int(self.offsets[index + 1])]

    def to_arrow(self) -> Any:
        """A `pyarrow.RecordBatch` over the same memory. Raises Unsupported without PyArrow."""
        try:
            import pyarrow as pa
        except ImportError:
            raise Unsupported(
                "Arrow needs pyarrow, which is not installed", hint="pip install 'madang[arrow]'"
            ) from None
        offsets, text = pa.py_buffer(self.offsets), pa.py_buffer(self.paths)
        path = pa.Array.from_buffers(pa.large_binary(), len(self), [None, offsets, text])
        columns = {
            name: pa.array(getattr(self, name))
            for name in self.__slots__
            if name not in ("paths", "offsets")
        }
        return pa.RecordBatch.from_pydict({"path": path, **columns})


class Batches:
    """The batches of one listing, in no order; iterate once. `errors` is what could not be read,
    complete at the end. Close it, or use it in a `with` block, when it is not taken to its end."""

    def __init__(self, listing: Any) -> None:
        self._listing = listing

    def __iter__(self) -> Iterator[Batch]:
        while (columns := self._listing.next()) is not None:
            paths, offsets, kinds, sizes, blocks, *others = columns
            blocks *= 512
            yield Batch(paths, offsets, kinds, sizes, blocks, *others)

    @property
    def errors(self) -> tuple[ScanError, ...]:
        return tuple(ScanError(path, number) for path, number in self._listing.failures())

    def close(self) -> None:
        """Give up the rest; safe to repeat."""
        self._listing.close()

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def batches(root: AnyPath | int, *, run: Run | None = None) -> Batches:
    """List everything below `root`, a directory's path or an open directory's descriptor, with
    memory that does not grow with the tree: a little ahead of who takes the batches.

        total = 0
        with batches("/mnt/nas/datasets") as found:
            for batch in found:
                total += int(batch.disk_bytes.sum())

    Symbolic links are listed and never followed. Of `run`, `jobs` and `max_ops` count. Raises
    OSError when `root` can't be opened, Unsupported without `madang-native`.
    """
    module = native("listing files")
    limits = (run or Run()).native
    descriptor = root if isinstance(root, int) else os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return Batches(module.Batches(descriptor, limits["jobs"], limits["max_ops"]))
    finally:
        if not isinstance(root, int):
            os.close(descriptor)
