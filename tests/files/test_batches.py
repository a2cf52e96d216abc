"""Listing in batches, finding and summing up from Python."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from madang.core.errors import InvalidInput
from madang.files import Kind, Run, batches, find, scan, usage

pytest.importorskip("madang_native")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for folder in ("a/b", "c"):
        (root / folder).mkdir(parents=True)
        for number in range(300):
            (root / folder / f"f{number}.txt").write_bytes(b"x" * number)
    os.link(root / "c/f7.txt", root / "c/same")
    (root / "link").symlink_to("a")
    (root / os.fsdecode(b"\xff")).touch()
    return root


def test_batches_have_what_a_scan_has(tree: Path) -> None:
    rows = []
    with batches(tree) as found:
        for batch in found:
            assert len(batch.offsets) == len(batch) + 1
            rows += [
                (batch.path(i), int(batch.kinds[i]), int(batch.sizes[i]), int(batch.modes[i]))
                for i in range(len(batch))
            ]
            same = [i for i in range(len(batch)) if batch.path(i) == b"c/same"]
            assert all(int(batch.links[i]) == 2 for i in same)
            assert int(batch.disk_bytes.sum()) % 512 == 0
        assert found.errors == ()
    listed = [(entry.path, entry.kind, entry.size, entry.mode) for entry in scan(tree)]
    assert sorted(rows) == listed


def test_batches_as_arrow_hold_the_same(tree: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    tables = [batch.to_arrow() for batch in batches(tree)]
    table = arrow.Table.from_batches(tables)
    assert sorted(table["path"].to_pylist()) == [entry.path for entry in scan(tree)]
    assert sum(table["sizes"].to_pylist()) == sum(entry.size for entry in scan(tree))


def test_a_listing_is_given_up_when_it_is_closed(tree: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    found = batches(tree, run=Run(max_ops=50))
    found.close()
    assert list(found) == []
    assert set(os.listdir("/proc/self/fd")) == before


def test_what_is_no_directory_is_told(tree: Path) -> None:
    with pytest.raises(NotADirectoryError):
        batches(tree / "c/f1.txt")
    with pytest.raises(FileNotFoundError):
        batches(tree / "nowhere")


def test_find_by_name_kind_and_size(tree: Path) -> None:
    done = find(tree, ["-type", "f", "-name", "f2?.txt", "-size", "-22c"])
    names = sorted(path.removeprefix(os.fsencode(tree)) for path in done.paths)
    assert names == [b"/a/b/f20.txt", b"/a/b/f21.txt", b"/c/f20.txt", b"/c/f21.txt"]
    assert done.complete and done.failures == ()
    everything = find(tree).paths
    assert len(everything) == 1 + len(scan(tree))


@pytest.mark.parametrize("words", [["-delete"], ["-print"], ["-name"], ["-size", "q"], ["-or"]])
def test_what_is_no_test_is_refused(tree: Path, words: list[str]) -> None:
    with pytest.raises(InvalidInput):
        find(tree, words)
    assert len(find(tree).paths) > 600


def test_usage_counts_each_file_once(tree: Path) -> None:
    files = [entry for entry in scan(tree) if entry.kind == Kind.FILE]
    done = usage([tree / "a", tree / "c", tree / "nowhere"], apparent=True)
    assert [root.path for root in done.roots] == [os.fsencode(tree / "a"), os.fsencode(tree / "c")]
    assert done.total.inodes == 3 + 600
    assert len(done.failures) == 1
    plain = sum(entry.size for entry in files if entry.path != b"c/same")
    folders = sum((tree / name).stat().st_size for name in ("a", "a/b", "c"))
    assert done.total.bytes == plain + folders
