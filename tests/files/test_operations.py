"""Removing and changing trees from Python."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from madang.core.errors import InvalidInput, Unsupported
from madang.files import Progress, Run, chmod, chown, remove
from madang.files import run as run_module

pytest.importorskip("madang_native")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for folder in ("a/b", "c"):
        (root / folder).mkdir(parents=True)
        for number in range(40):
            (root / folder / f"f{number}").touch()
    (root / "link").symlink_to("a")
    return root


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_remove_tells_what_it_removed(tree: Path) -> None:
    done = remove(tree, recursive=True)
    assert (done.files, done.directories, done.failures, done.complete) == (81, 4, (), True)
    assert not tree.exists()


def test_remove_tells_what_it_could_not(tree: Path) -> None:
    done = remove([tree / "a", tree / "nowhere", tree / "link"])
    assert [(failure.path, failure.errno) for failure in done.failures] == [
        (os.fsencode(tree / "a"), errno.EISDIR),
        (os.fsencode(tree / "nowhere"), errno.ENOENT),
    ]
    assert str(done.failures[1]).endswith("nowhere': No such file or directory")
    assert done.files == 1
    assert remove(tree / "nowhere", missing_ok=True).failures == ()


def test_remove_keeps_what_is_excluded_and_a_dry_run_keeps_all(tree: Path) -> None:
    assert remove(tree, recursive=True, dry_run=True).files == 81
    remove(tree, recursive=True, exclude=["f39"])
    assert [path.name for path in tree.rglob("f*")] == ["f39", "f39"]


def test_paths_may_be_relative_to_an_open_directory(tree: Path) -> None:
    folder = os.open(tree, os.O_RDONLY)
    try:
        chmod("a", 0o700, recursive=True, dir_fd=folder)
        remove(b"c", recursive=True, dir_fd=folder)
    finally:
        os.close(folder)
    assert mode_of(tree / "a/b/f0") == 0o700
    assert not (tree / "c").exists()


def test_chmod_counts_what_was_otherwise(tree: Path) -> None:
    (tree / "c/f0").chmod(0o600)
    done = chmod(tree / "c", "u=rwX,go=", recursive=True)
    assert (done.changed, done.retained) == (40, 1)
    assert (mode_of(tree / "c"), mode_of(tree / "c/f1")) == (0o700, 0o600)
    assert chmod(tree / "c", 0o640, recursive=False).changed == 1
    assert mode_of(tree / "c") == 0o640


@pytest.mark.parametrize("mode", ["q", "", -1, 0o100000, "8"])
def test_chmod_refuses_what_is_no_mode(tree: Path, mode: int | str) -> None:
    with pytest.raises(InvalidInput, match="is no mode"):
        chmod(tree, mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_chown_by_name_and_number(tree: Path) -> None:
    chown(tree, "daemon", 7, recursive=True)
    status = (tree / "a/b/f3").stat()
    assert (status.st_uid, status.st_gid) == (1, 7)
    assert (tree / "link").lstat().st_uid == 1
    chown(tree / "link", 2, follow_links=False)
    assert ((tree / "link").lstat().st_uid, (tree / "a").stat().st_uid) == (2, 1)


def test_chown_refuses_unknown_people(tree: Path) -> None:
    with pytest.raises(InvalidInput, match="no user 'no-such'"):
        chown(tree, "no-such")
    with pytest.raises(InvalidInput, match="no group"):
        chown(tree, group="no-such")
    with pytest.raises(InvalidInput, match="neither"):
        chown(tree)
    with pytest.raises(InvalidInput, match="-2 is no number"):
        chown(tree, -2)


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="is not a path"):
        remove(path)


@pytest.mark.parametrize("limits", [{"jobs": 0}, {"jobs": 513}, {"max_ops": 0}, {"max_ops": -1}])
def test_limits_that_can_not_be_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match="is not a"):
        Run(**limits)  # type: ignore[arg-type]


def many(root: Path) -> Path:
    for number in range(30):
        (root / f"d{number}").mkdir(parents=True)
        for file in range(10):
            (root / f"d{number}/{file}").touch()
    return root


def test_a_limit_of_requests_is_kept_and_progress_told(tmp_path: Path) -> None:
    told: list[Progress] = []
    done = chmod(
        many(tmp_path / "tree"), 0o700, recursive=True, run=Run(max_ops=3000, progress=told.append)
    )
    assert done.changed == 331 and done.complete
    assert told and told[-1].items > 0


def test_stop_ends_it_and_says_so(tmp_path: Path) -> None:
    stop = threading.Event()
    root = many(tmp_path / "tree")
    run = Run(max_ops=1000, progress=lambda progress: stop.set(), stop=stop)
    done = remove(root, recursive=True, run=run)
    assert not done.complete
    assert root.exists()


def test_what_progress_raises_ends_it(tmp_path: Path) -> None:
    def broken(progress: Progress) -> None:
        raise RuntimeError("no more")

    root = many(tmp_path / "tree")
    with pytest.raises(RuntimeError, match="no more"):
        remove(root, recursive=True, run=Run(max_ops=1000, progress=broken))
    assert root.exists()


def test_without_the_native_library_it_says_what_to_install(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "madang_native", None)
    with pytest.raises(Unsupported, match="removing files needs madang-native") as caught:
        remove(tree)
    assert "pip install" in (caught.value.hint or "")
    assert run_module.MAX_JOBS == 512
