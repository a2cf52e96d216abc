"""Who this process is among the workers of its job."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PLATFORM_PACKAGES = ("madang", "madang-native")


@dataclass(frozen=True, slots=True)
class Context:
    """This process in its job. Outside of a task: rank 0 of 1, and empty names."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    attempt: int = 0
    task_id: str = ""
    workload_id: str = ""
    project: str = ""
    role: str = ""

    @property
    def is_first(self) -> bool:
        """Whether this is the worker that logs and saves for all (rank 0)."""
        return self.rank == 0


def context(variables: Mapping[str, str] | None = None) -> Context:
    """This process's place, from the variables that the platform (and torchrun) set.

    Read anew at each call: torchrun, started in a task, gives its workers ranks of their own.
    """
    given = os.environ if variables is None else variables
    return Context(
        rank=int(given.get("RANK") or 0),
        world_size=int(given.get("WORLD_SIZE") or 1),
        local_rank=int(given.get("LOCAL_RANK") or 0),
        local_world_size=int(given.get("LOCAL_WORLD_SIZE") or 1),
        attempt=int(given.get("MADANG_ATTEMPT") or 0),
        task_id=given.get("MADANG_TASK_ID", ""),
        workload_id=given.get("MADANG_WORKLOAD_ID", ""),
        project=given.get("MADANG_PROJECT", ""),
        role=given.get("MADANG_ROLE", ""),
    )


def rank() -> int:
    """This worker's number, from 0 up to, not including, `world_size()`."""
    return context().rank


def world_size() -> int:
    """How many workers the job has."""
    return context().world_size


def local_rank() -> int:
    """This worker's number among those of its node."""
    return context().local_rank


def environment_requirements() -> list[str]:
    """What this task's environment holds, as `name==version` lines; empty when it is not known.

    For `mlflow.pytorch.log_model(…, pip_requirements=train.environment_requirements())`: exact,
    and spares mlflow from starting Python again to find out. The platform's own libraries are left
    out, as every environment has them.
    """
    path = os.environ.get("MADANG_ENVIRONMENT_LOCK") or Path(sys.prefix) / "environment.lock"
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return []
    return [line for line in lines if line.partition("==")[0] not in _PLATFORM_PACKAGES]
