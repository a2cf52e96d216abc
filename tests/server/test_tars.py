"""Reading tars from people: what tarfile writes is read alike, and no header costs much."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
import tracemalloc
from typing import IO, cast

import pytest

from madang.core.errors import InvalidInput, LimitExceeded
from madang.server.tars import MAX_HEADER_BYTES, SafeTarInfo

MEBIBYTE = 2**20


def extension(content: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A PAX header (or another extended one) as it lies in an archive."""
    entry = tarfile.TarInfo("header")
    entry.type, entry.size = kind, len(content)
    return entry.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def plain(name: str = "f") -> bytes:
    return tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT)


def read(content: bytes) -> list[tarfile.TarInfo]:
    return read_stream(io.BytesIO(content))


def read_stream(source: IO[bytes]) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=source, mode="r|", tarinfo=SafeTarInfo) as archive:
        return list(archive)


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_what_tarfile_writes_is_read_alike(format: int) -> None:
    sink = io.BytesIO()
    names = ["a", "folder/" * 20 + "b", "한글/" * 10 + "c", "d" * 90]
    if format != tarfile.USTAR_FORMAT:
        names += ["e" * 200, "f/" * 1000 + "g"]
    with tarfile.open(fileobj=sink, mode="w", format=format) as archive:
        for size, name in enumerate(names):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = size * 300, 1_700_000_000
            archive.addfile(entry, io.BytesIO(bytes(entry.size)))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "to/" * 30
        folder = tarfile.TarInfo("folder/")
        folder.type = tarfile.DIRTYPE
        archive.addfile(link)
        archive.addfile(folder)
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as archive:
        expected = archive.getmembers()
    wanted = [(e.name, e.linkname, e.type, e.size, e.offset_data) for e in expected]
    found = [(e.name, e.linkname, e.type, e.size, e.offset_data) for e in read(sink.getvalue())]
    assert found == wanted


@pytest.mark.parametrize(
    "kind",
    [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK],
)
def test_a_large_header_is_refused_before_it_is_read(kind: bytes) -> None:
    packed = gzip.compress(extension(bytes(16 * MEBIBYTE), kind) + plain(), compresslevel=1)
    tracemalloc.start()
    try:
        source = cast(IO[bytes], gzip.GzipFile(fileobj=io.BytesIO(packed)))
        with pytest.raises(LimitExceeded, match="extended headers"):
            read_stream(source)
        assert tracemalloc.get_traced_memory()[1] < 4 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_many_headers_before_one_member_are_refused() -> None:
    one = extension(b"12 comment=\n")
    with pytest.raises(LimitExceeded):
        read(one * (MAX_HEADER_BYTES // len(one) * 3) + plain())


@pytest.mark.parametrize(
    "content",
    [
        b"2 " * (MEBIBYTE // 4) + b"=",  # a key for each of its ends
        b"1" * (MEBIBYTE // 2),
        b"19 GNU.sparse.map=1\n",
        b"9 size=x\n",
        b"10 path=\0\n",
        b"99 path=a\n",
        b"0 path=a\n",
    ],
)
def test_what_a_header_may_not_say(content: bytes) -> None:
    started = time.process_time()
    with pytest.raises(InvalidInput):
        read(extension(content) + plain())
    assert time.process_time() - started < 0.5


def test_a_header_full_of_digits_is_read_in_linear_time() -> None:
    size = MEBIBYTE // 2
    started = time.process_time()
    [entry] = read(extension(b"%d comment=%s\n" % (size, b"1" * (size - 16))) + plain())
    assert entry.name == "f"
    assert time.process_time() - started < 0.5


def test_odd_members_are_refused() -> None:
    negative, sparse = tarfile.TarInfo("f"), tarfile.TarInfo("f")
    negative.size = -512
    sparse.type = tarfile.GNUTYPE_SPARSE
    long = b"5010 path=" + b"a" * 4999 + b"\n"
    for content in (
        negative.tobuf(tarfile.GNU_FORMAT),
        sparse.tobuf(tarfile.GNU_FORMAT),
        extension(long) + plain(),
    ):
        with pytest.raises(InvalidInput):
            read(content)
    with pytest.raises(tarfile.ReadError):
        read(extension(b"12 comment=\n") + bytes(1024))
