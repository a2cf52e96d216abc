"""`madang files`: the native commands, Parquet, and folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("madang_native")


def madang(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "madang.cli", "files", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "a").mkdir(parents=True)
    for number in range(5):
        (root / "a" / f"f{number}").write_bytes(b"x" * number)
    return root


def test_a_command_runs_with_its_own_options_and_exit_code(tree: Path) -> None:
    done = madang("find", tree, "-name", "f3")
    assert (done.returncode, done.stdout) == (0, f"{tree}/a/f3\n")
    done = madang("rm", tree / "nowhere")
    assert done.returncode == 1
    assert done.stderr == f"madang-rm: cannot remove '{tree}/nowhere': No such file or directory\n"
    assert madang("rm", "-r", tree).returncode == 0
    assert not tree.exists()


def test_a_listing_as_parquet(tree: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    target = tmp_path / "listing.parquet"
    assert madang("ls", "-lR", tree, "--parquet", target).returncode == 0
    table = parquet.read_table(target).sort_by("path")
    assert table["path"].to_pylist() == [b"a", *(f"a/f{n}".encode() for n in range(5))]
    assert table["sizes"].to_pylist()[1:] == [0, 1, 2, 3, 4]
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_what_can_not_be_parquet_is_refused_with_the_way_out(tree: Path, tmp_path: Path) -> None:
    done = madang("find", tree, "-size", "+1M", "--parquet", tmp_path / "x")
    assert done.returncode != 0
    assert "madang files find DIRECTORY --parquet FILE" in done.stderr
    assert "Traceback" not in done.stderr
    done = madang("ls", tree / "nowhere", "--parquet", tmp_path / "x")
    assert done.returncode != 0 and "Traceback" not in done.stderr
