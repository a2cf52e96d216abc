"""A task's folder on the node, as the agent reads and writes it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from madang.server.cluster.codec import from_json, to_json
from madang.server.cluster.protocol import ExitRecord, TaskSpec
from madang.server.cluster.shim import cgroups, log, records
from madang.server.cluster.shim.reports import has_unsent


class TaskFolder:
    """`tasks/TASK/`: the shim's records, the log, the spooled reports."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.task_id = path.name

    def __str__(self) -> str:
        return str(self.path)

    @property
    def exists(self) -> bool:
        return self.path.is_dir()

    def create(self, spec: TaskSpec) -> None:
        """Make the folder with the spec in it, which holds the task's token."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        records.write_json(str(self), records.SPEC, to_json(spec), durable=False)

    def spec(self) -> TaskSpec | None:
        value = records.read_json(str(self), records.SPEC)
        return None if value is None else from_json(TaskSpec, value)

    def plan(self) -> dict[str, Any]:
        return records.read_json(str(self), records.PLAN) or {}

    def write_plan(self, plan: dict[str, Any]) -> None:
        records.write_json(str(self), records.PLAN, plan, durable=False)

    def exit(self) -> ExitRecord | None:
        value = records.read_json(str(self), records.EXIT)
        return None if value is None else from_json(ExitRecord, value)

    def write_exit(self, record: ExitRecord) -> None:
        records.write_exit_record(str(self), to_json(record))

    def status(self) -> dict[str, Any]:
        return records.read_status(str(self))

    def started_at(self) -> float | None:
        if not self.status().get("started"):
            return None
        return (self.path / records.STATUS).stat().st_mtime

    @property
    def launched(self) -> bool:
        return (self.path / records.LAUNCHED).exists()

    @property
    def forgotten(self) -> bool:
        return (self.path / records.FORGOTTEN).exists()

    @property
    def has_unsent_reports(self) -> bool:
        return has_unsent(str(self))

    def open_shim(self) -> int | None:
        """A pidfd of the living shim, or None."""
        return records.open_process(records.read_json(str(self), records.SHIM))

    def order_stop(self) -> None:
        """Leave the order where any shim, this one or the next, finds it."""
        (self.path / records.STOP).touch()

    def forget(self) -> None:
        """Drop everything but the log and the record of the end."""
        plan = self.plan()
        cgroups.remove(plan.get("cgroups", {}))
        app_socket = plan.get("app_socket")
        if app_socket and os.path.lexists(app_socket):
            os.unlink(app_socket)
        (self.path / records.FORGOTTEN).touch()
        for entry in list(self.path.iterdir()):
            if entry.name not in (records.EXIT, records.FORGOTTEN) and not (
                entry.name.startswith("log.")
            ):
                self._remove(entry)

    def unforget(self) -> None:
        (self.path / records.FORGOTTEN).unlink(missing_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def remove_scratch(self) -> None:
        """Drop the task's home and temporary files, and what its shim, killed after it wrote the
        exit record, may have left."""
        records.kill_process(records.read_json(str(self), records.CHILD))
        scratch = self.plan().get("scratch")
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)
            if not scratch.startswith(str(self)):
                shutil.rmtree(os.path.dirname(scratch), ignore_errors=True)

    def read_log(self, offset: int, limit: int) -> tuple[int, bytes]:
        return log.read(str(self), offset, limit)

    def log_end(self) -> int:
        return log.bounds(str(self))[1]

    def _remove(self, entry: Path) -> None:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
