"""Code that comes with a job: how little a bad bundle costs."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from madang.core.errors import InvalidInput, LimitExceeded
from madang.server.context import ServerContext
from madang.server.workloads import code

MEBIBYTE = 2**20


def tar_of(*names: str) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"hello"))
    return sink.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
async def test_plain_and_gzip_are_unpacked(
    sqlite_context: ServerContext, pack: type[bytes]
) -> None:
    digest = await code.store(sqlite_context, pack(tar_of("train.py", "lib/deep/a.py")))
    path = code.bundle_path(sqlite_context, digest)
    assert (path / "lib/deep/a.py").read_bytes() == b"hello"
    assert (path / "train.py").read_bytes() == b"hello"


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
async def test_nothing_else_is_decompressed(
    sqlite_context: ServerContext, pack: type[bytes]
) -> None:
    with pytest.raises(InvalidInput, match="plain or gzip"):
        await code.store(sqlite_context, pack(tar_of("a")))


@pytest.mark.parametrize("damage", [lambda tar: tar[:30], lambda tar: tar[:-9] + b"\xff" * 9])
async def test_damaged_gzip_is_told(sqlite_context: ServerContext, damage: type[bytes]) -> None:
    with pytest.raises(InvalidInput):
        await code.store(sqlite_context, damage(gzip.compress(tar_of("a", "b"))))


def test_a_bomb_in_a_header_costs_no_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, 20 * MEBIBYTE
    tar = gzip.compress(header.tobuf() + bytes(header.size), compresslevel=1)
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded, match="extended headers"):
            code._store(tmp_path, tar)
        assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE
    finally:
        tracemalloc.stop()
    assert list(tmp_path.iterdir()) == []


def test_headers_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is between the members counts, too: here headers, each of them within its limit."""
    monkeypatch.setattr(code, "_MAX_STREAM_BYTES", 4 * MEBIBYTE)
    header = tarfile.TarInfo("header")
    record = b"%d comment=%s\n" % (MEBIBYTE // 2, b"a" * (MEBIBYTE // 2 - 16))
    header.type, header.size = tarfile.XHDTYPE, len(record)
    one = header.tobuf() + record + tarfile.TarInfo("f").tobuf()
    code._store(tmp_path, gzip.compress(one * 6 + bytes(1024)))
    with pytest.raises(LimitExceeded):
        code._store(tmp_path, gzip.compress(one * 9 + bytes(1024)))


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded, match="nested"):
        code._store(tmp_path, tar_of("a/" * 1900 + "b"))
