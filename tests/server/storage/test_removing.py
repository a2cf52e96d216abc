"""Removing trees for good."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from madang.server.storage.removing import remove_tree


@pytest.fixture(params=["native", "python"])
def tree(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "native":
        pytest.importorskip("madang_native")
    else:
        monkeypatch.setitem(sys.modules, "madang_native", None)
    root = tmp_path / "tree"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").touch()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").touch()
    (root / "a/link").symlink_to(tmp_path / "outside")
    return root


def test_a_tree_is_gone_and_what_links_lead_to_is_not(tree: Path) -> None:
    remove_tree(tree)
    assert not tree.exists()
    assert (tree.parent / "outside/precious").exists()


def test_relative_to_an_open_directory(tree: Path) -> None:
    parent = os.open(tree.parent, os.O_RDONLY)
    try:
        remove_tree("tree", dir_fd=parent)
    finally:
        os.close(parent)
    assert not tree.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files immutable")
def test_what_can_not_be_removed_is_raised(tree: Path) -> None:
    os.mkdir(tree / "mounted")
    if os.system(f"mount -t tmpfs none {tree}/mounted") != 0:
        pytest.skip("this machine mounts nothing")
    try:
        with pytest.raises(OSError, match="busy"):
            remove_tree(tree)
    finally:
        os.system(f"umount {tree}/mounted")
