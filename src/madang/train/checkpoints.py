"""Checkpoints that are whole or not there at all.

    saved = train.checkpoints()
    if last := saved.latest():
        model.load_state_dict(torch.load(last.path))
    ...
    saved.save(step, model.state_dict(), torch.save)

The folder outlives the attempt: a job that is tried again finds what the attempt before has saved.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from madang.train.reports import saved

_NAME = re.compile(r"step-(\d+)\.ckpt")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    step: int
    path: Path


class Checkpoints:
    """The checkpoints in a folder, one file a step. One process writes; any may read."""

    def __init__(self, folder: Path | str, *, keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(f"keep is {keep}: at least the newest checkpoint has to be kept")
        self.folder = Path(folder)
        self._keep = keep

    def save(self, step: int, state: Any, write: Callable[[Any, Any], object]) -> Checkpoint:
        """Save `state` as `write(state, file)` writes it (`torch.save`, `pickle.dump`).

        On disk before this returns; whoever is killed in between leaves the one before. The
        oldest beyond `keep` are deleted, and the platform is told that the work is safe. Raises
        OSError when the disk is full.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        target = Checkpoint(step, self.folder / f"step-{step:010d}.ckpt")
        descriptor, growing = tempfile.mkstemp(dir=self.folder, prefix=".saving-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(state, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(growing, target.path)
        except BaseException:
            Path(growing).unlink(missing_ok=True)
            raise
        _fsync(self.folder)
        for old in self.list()[: -self._keep]:
            if old.step != step:
                old.path.unlink(missing_ok=True)
        saved(step)
        return target

    def latest(self) -> Checkpoint | None:
        """The one of the highest step; None when nothing was saved yet."""
        found = self.list()
        return found[-1] if found else None

    def list(self) -> list[Checkpoint]:
        """All, by step."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        matches = ((name, _NAME.fullmatch(name)) for name in names)
        found = [Checkpoint(int(match[1]), self.folder / name) for name, match in matches if match]
        return sorted(found, key=lambda checkpoint: checkpoint.step)


def checkpoint_dir() -> Path:
    """The job's folder for checkpoints; outside of a task `checkpoints` where you are."""
    return Path(os.environ.get("MADANG_CHECKPOINT_DIR") or "checkpoints")


def checkpoints(*, keep: int = 2) -> Checkpoints:
    """The checkpoints of this job."""
    return Checkpoints(checkpoint_dir(), keep=keep)


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
