from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from madang.core.errors import InvalidInput, Unsupported
from madang.files import Entry, Kind, ScanError, scan


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "한글 폴더").mkdir(mode=0o750)
    (tmp_path / "한글 폴더" / "new\nline").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "small").write_bytes(b"12")
    os.utime(tmp_path / "small", ns=(0, 1_234_567_890_123_456_789))
    (tmp_path / "small").chmod(0o640)
    return tmp_path


def test_entries_are_sorted_and_described(tree: Path) -> None:
    listing = scan(tree)
    assert [entry.name for entry in listing] == [
        "link",
        "small",
        "한글 폴더",
        "한글 폴더/new\nline",
    ]
    assert listing[1] == Entry(
        path=b"small", kind=Kind.FILE, size=2, mtime_ns=1_234_567_890_123_456_789, mode=0o640
    )
    assert [entry.kind for entry in listing] == [
        Kind.SYMLINK,
        Kind.FILE,
        Kind.DIRECTORY,
        Kind.FILE,
    ]
    assert listing.errors == ()


def test_indexing_agrees_with_iterating(tree: Path) -> None:
    listing = scan(tree)
    entries = list(listing)
    assert [listing[index] for index in range(len(listing))] == entries
    assert listing[-1] == entries[-1]
    assert listing.path(2) == entries[2].path
    with pytest.raises(IndexError):
        listing[len(listing)]


def test_totals_count_regular_files_only(tree: Path) -> None:
    listing = scan(tree)
    assert (len(listing), listing.num_files, listing.total_bytes) == (4, 2, 7)


@pytest.mark.parametrize("root", [str, os.fsencode, Path])
def test_root_may_be_any_path(tree: Path, root: type) -> None:
    assert len(scan(root(tree))) == 4


def test_root_may_be_an_open_directory_which_stays_open(tree: Path) -> None:
    descriptor = os.open(tree, os.O_RDONLY)
    assert len(scan(descriptor)) == 4
    assert stat.S_ISDIR(os.fstat(descriptor).st_mode)
    os.close(descriptor)


def test_missing_root_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        scan(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        scan(tmp_path / "file")


def test_every_number_of_threads_finds_the_same(tree: Path) -> None:
    expected = list(scan(tree))
    assert all(list(scan(tree, threads)) == expected for threads in (1, 2, 7, 256))


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_senseless_numbers_of_threads_are_refused(tmp_path: Path, threads: int) -> None:
    with pytest.raises(InvalidInput, match=f"threads={threads}.*Choose 1 to 256"):
        scan(tmp_path, threads)


def test_missing_native_library_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "madang_native", None)
    with pytest.raises(Unsupported, match="pip install madang-native"):
        scan(tmp_path)


def test_errors_read_well() -> None:
    assert str(ScanError(b"a/b", 13)) == "a/b: Permission denied"
    assert str(ScanError(b"", 5)) == ".: Input/output error"
