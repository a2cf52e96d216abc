"""The list of a dataset version's items, as one file that is mapped into memory.

Layout: 8 bytes of magic, the format (u32), the header's length (u32), the header (JSON), then the
columns, each aligned to 64 bytes. The header names the columns with type, place and length, so
that columns can be added: readers pass over those that they don't know.

    paths      all paths one after the other, bytes, sorted, relative to the dataset's root
    ends       u64, where each path ends in `paths`
    sizes      u64, bytes
    mtimes_ns  i64
    labels     i32, index into the header's `classes`; -1: none
    hashes     u64, of the path: what hash-stable splits go by
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from madang.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[Any]

MAGIC = b"MDMANIF\n"
FORMAT = 1
NO_LABEL = -1

_PREAMBLE = struct.Struct("<8sII")
_ALIGNMENT = 64
_DTYPES = {
    "paths": "|u1",
    "ends": "<u8",
    "sizes": "<u8",
    "mtimes_ns": "<i8",
    "labels": "<i4",
    "hashes": "<u8",
}
_HASH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Manifest:
    """The items of a version: columns of equal length, in the order of their paths."""

    paths: Column
    ends: NDArray[np.uint64]
    sizes: NDArray[np.uint64]
    mtimes_ns: NDArray[np.int64]
    labels: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    classes: tuple[str, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.sizes)

    def path(self, index: int) -> bytes:
        """The path of item `index` (from 0), relative to the dataset's root."""
        start = int(self.ends[index - 1]) if index else 0
        return self.paths[start : int(self.ends[index])].tobytes()

    @property
    def total_bytes(self) -> int:
        return int(self.sizes.sum())


def path_hash(path: bytes) -> int:
    """The number that decides on which side of a split an item is, in all versions."""
    return int.from_bytes(hashlib.blake2b(path, digest_size=_HASH_BYTES).digest(), "little")


def make_manifest(items: list[tuple[bytes, int, int, int]], classes: tuple[str, ...]) -> Manifest:
    """A manifest of `(path, size, mtime_ns, label)` in the order of their paths."""
    import numpy as np

    paths = [item[0] for item in items]
    lengths = np.fromiter(map(len, paths), dtype="<u8", count=len(items))
    columns = {
        "paths": np.frombuffer(b"".join(paths), dtype="|u1"),
        "ends": np.cumsum(lengths, dtype="<u8"),
        "sizes": np.fromiter((item[1] for item in items), dtype="<u8", count=len(items)),
        "mtimes_ns": np.fromiter((item[2] for item in items), dtype="<i8", count=len(items)),
        "labels": np.fromiter((item[3] for item in items), dtype="<i4", count=len(items)),
        "hashes": np.fromiter(map(path_hash, paths), dtype="<u8", count=len(items)),
    }
    return Manifest(**columns, classes=classes, digest=_digest(columns, classes))


def write_manifest(manifest: Manifest, target: Path) -> None:
    """Write it whole or not at all; what is at `target` is replaced. Raises OSError."""
    columns = {name: getattr(manifest, name) for name in _DTYPES}
    places: dict[str, dict[str, Any]] = {}
    position = 0
    for name, column in columns.items():
        places[name] = {"dtype": _DTYPES[name], "offset": position, "count": len(column)}
        position = _aligned(position + column.nbytes)
    header = json.dumps(
        {"digest": manifest.digest, "classes": manifest.classes, "columns": places}
    ).encode()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
    with temporary.open("wb") as file:
        file.write(_PREAMBLE.pack(MAGIC, FORMAT, len(header)))
        file.write(header)
        base = _aligned(file.tell())
        for name, column in columns.items():
            file.seek(base + places[name]["offset"])
            file.write(memoryview(column).cast("B") if len(column) else b"")
        file.truncate(base + position)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(0o444)
    temporary.replace(target)


def read_manifest(path: Path | str) -> Manifest:
    """Map a manifest into memory; pages are read when they are used and shared by all readers.

    Raises NotFound when there is none, InvalidInput for a file that is none, is cut short, or was
    written by a newer version.
    """
    shown = os.fspath(path)
    try:
        with open(path, "rb") as file:
            header, start = _read_header(file, shown)
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise NotFound(f"there is no manifest {shown!r}") from None
    try:
        columns = {
            name: _column(mapped, start, header["columns"][name], shown) for name in _DTYPES
        }
        return Manifest(**columns, classes=tuple(header["classes"]), digest=header["digest"])
    except (KeyError, TypeError, ValueError):
        raise InvalidInput(f"the manifest {shown!r} is damaged") from None


def _read_header(file: IO[bytes], shown: str) -> tuple[dict[str, Any], int]:
    """The header, and where the columns begin."""
    preamble = file.read(_PREAMBLE.size)
    if len(preamble) < _PREAMBLE.size or not preamble.startswith(MAGIC):
        raise InvalidInput(f"{shown!r} is not a manifest")
    _, format_number, header_bytes = _PREAMBLE.unpack(preamble)
    if format_number != FORMAT:
        raise InvalidInput(
            f"{shown!r} has format {format_number}, this version reads {FORMAT}",
            hint="Update madang.",
        )
    try:
        header: dict[str, Any] = json.loads(file.read(header_bytes))
    except ValueError:
        raise InvalidInput(f"the manifest {shown!r} is damaged") from None
    return header, _aligned(_PREAMBLE.size + header_bytes)


def _column(mapped: mmap.mmap, base: int, place: dict[str, Any], shown: str) -> Column:
    import numpy as np

    dtype = np.dtype(place["dtype"])
    start, count = base + place["offset"], place["count"]
    if start + count * dtype.itemsize > len(mapped):
        raise InvalidInput(f"the manifest {shown!r} is cut short")
    return np.frombuffer(mapped, dtype, count, start) if count else np.empty(0, dtype)


def _digest(columns: dict[str, Any], classes: tuple[str, ...]) -> str:
    """Over what the items are; not over when or by whom they were listed."""
    hashed = hashlib.sha256(MAGIC)
    hashed.update(json.dumps(classes).encode())
    for name in ("paths", "ends", "sizes", "mtimes_ns", "labels"):
        hashed.update(columns[name].tobytes())
    return hashed.hexdigest()


def _aligned(position: int) -> int:
    return -(-position // _ALIGNMENT) * _ALIGNMENT
