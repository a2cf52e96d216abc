"""Copying, synchronizing, archiving and extracting from Python."""

from __future__ import annotations

import os
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from madang.core.errors import InvalidInput
from madang.files import Progress, Run, archive, copy, extract, sync

pytest.importorskip("madang_native")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "a/b").mkdir(parents=True)
    for number in range(30):
        (root / "a/b" / f"f{number}").write_text(f"content {number}\n" * number)
    os.link(root / "a/b/f1", root / "a/same")
    (root / "link").symlink_to("a/same")
    (root / "a/b/f2").chmod(0o600)
    return root


def content(root: Path) -> dict[str, str | bytes]:
    return {
        str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_copy_of_a_tree_with_all_attributes(tree: Path, tmp_path: Path) -> None:
    done = copy(tree, tmp_path / "copy", recursive=True, preserve=True, verify="xxh3")
    assert (done.directories, done.failures, done.complete) == (3, (), True)
    assert content(tmp_path / "copy") == content(tree)
    same, one = (tmp_path / "copy/a/same").stat(), (tmp_path / "copy/a/b/f1").stat()
    assert same.st_ino == one.st_ino
    assert (tmp_path / "copy/a/b/f2").stat().st_mode & 0o777 == 0o600
    assert one.st_mtime_ns == (tree / "a/b/f1").stat().st_mtime_ns


def test_copy_of_several_into_a_directory_and_what_is_missing(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "into"
    target.mkdir()
    done = copy([tree / "a/b/f3", tree / "nowhere", tree / "a/b/f4"], target)
    assert sorted(os.listdir(target)) == ["f3", "f4"]
    assert [failure.path for failure in done.failures] == [os.fsencode(tree / "nowhere")]


def test_a_stopped_copy_is_resumed_without_copying_twice(tree: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    target = tmp_path / "copy"
    slow = Run(max_ops=300, progress=lambda progress: stop.set(), stop=stop)
    assert not copy(tree, target, recursive=True, resume=True, run=slow).complete
    done = copy(tree, target, recursive=True, resume=True)
    assert done.complete and done.failures == ()
    assert content(target) == content(tree)
    again = copy(tree, target, recursive=True, resume=True)
    assert again.files == 0 and again.skipped > 0


def test_sync_copies_only_what_differs_and_removes_what_is_too_much(
    tree: Path, tmp_path: Path
) -> None:
    target = tmp_path / "mirror"
    sync(tree, target)
    assert content(target) == content(tree)
    (target / "extra").touch()
    (tree / "a/b/f5").write_text("new")
    assert sync(tree, target, remove_extra=True, dry_run=True).removed == 1
    done = sync(tree, target, remove_extra=True)
    assert (done.files, done.removed) == (1, 1)
    assert content(target) == content(tree)


def test_a_checksum_that_does_not_exist_is_refused(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'md5' is no checksum"):
        copy(tree, tmp_path / "copy", verify="md5")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tgz"])
def test_an_archive_is_what_others_read(tree: Path, tmp_path: Path, name: str) -> None:
    done = archive(tmp_path / name, "a", directory=tree, sort=True)
    assert (done.failures, done.complete) == ((), True)
    with tarfile.open(tmp_path / name) as read:
        assert len(read.getnames()) == done.members
        member = read.extractfile("a/b/f7")
        assert member is not None and member.read() == (tree / "a/b/f7").read_bytes()
    assert done.archive_bytes == (tmp_path / name).stat().st_size


def test_a_stopped_archive_leaves_nothing(tree: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    def show(progress: Progress) -> None:
        stop.set()

    done = archive(tmp_path / "x.tar", tree, run=Run(max_ops=100, progress=show, stop=stop))
    assert not done.complete
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]
    with pytest.raises(InvalidInput, match="is a directory"):
        archive(tree, tree / "a")


def test_extract_of_several_archives_at_once(tree: Path, tmp_path: Path) -> None:
    archive(tmp_path / "x.tar.gz", "a", directory=tree)
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as made:
        made.writestr("from-zip/file", "zipped")
    done = extract([tmp_path / "x.tar.gz", tmp_path / "y.zip"], tmp_path / "out")
    assert (done.refused, done.failures, done.complete) == ((), (), True)
    assert content(tmp_path / "out/a") == content(tree / "a")
    assert (tmp_path / "out/from-zip/file").read_text() == "zipped"
    again = extract(tmp_path / "x.tar.gz", tmp_path / "out", resume=True)
    assert again.same > 0


def test_extract_refuses_what_leads_outside_and_says_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as made:
        made.writestr("../outside", "evil")
        made.writestr("inside", "good")
    done = extract(tmp_path / "evil.zip", tmp_path / "out")
    assert not (tmp_path / "outside").exists()
    assert (tmp_path / "out/inside").read_text() == "good"
    assert len(done.refused) == 1 and "outside" in str(done.refused[0])
    with pytest.raises(FileNotFoundError):
        extract(tmp_path / "nowhere.zip", tmp_path / "out")
