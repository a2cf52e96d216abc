"""What training code imports, inside and outside of a task."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from madang import train


def test_alone() -> None:
    assert train.context({}) == train.Context()
    assert train.context({}).is_first


def test_in_a_task() -> None:
    found = train.context(
        {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MADANG_TASK_ID": "task-1"}
    )
    assert (found.rank, found.world_size, found.local_rank) == (3, 4, 1)
    assert found.task_id == "task-1" and not found.is_first


def test_imports_the_standard_library_only() -> None:
    """In `-S -I` Python there are no other packages."""
    source = Path(train.__file__).parents[2]
    code = f"import sys; sys.path.append({str(source)!r}); import madang.train"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_requirements_are_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "environment.lock"
    lock.write_text("madang==0.1.0+abc\nmadang-native==0.1.0\nnumpy==2.1\ntorch==2.13.0+cpu\n")
    monkeypatch.setenv("MADANG_ENVIRONMENT_LOCK", str(lock))
    assert train.environment_requirements() == ["numpy==2.1", "torch==2.13.0+cpu"]
    monkeypatch.setenv("MADANG_ENVIRONMENT_LOCK", str(tmp_path / "missing"))
    assert train.environment_requirements() == []


def test_checkpoints_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADANG_CHECKPOINT_DIR", str(tmp_path / "new"))
    saved = train.checkpoints()
    assert saved.latest() is None
    for step in (5, 100, 20):
        saved.save(step, {"step": step}, pickle.dump)
    latest = saved.latest()
    assert latest is not None and latest.step == 100
    assert pickle.loads(latest.path.read_bytes()) == {"step": 100}
    assert [checkpoint.step for checkpoint in saved.list()] == [20, 100]


def test_a_torn_checkpoint_is_none(tmp_path: Path) -> None:
    saved = train.Checkpoints(tmp_path)
    saved.save(1, "good", pickle.dump)

    def torn(state: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        saved.save(2, "bad", torn)
    latest = saved.latest()
    assert latest is not None and latest.step == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_keeping_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep is 0"):
        train.Checkpoints(tmp_path, keep=0)
