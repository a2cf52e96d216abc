"""The tasks of this node: their folders, their shims, and what is known of each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from madang.core.reasons import ReasonCode
from madang.server.cluster.agent.folder import TaskFolder
from madang.server.cluster.agent.networks import Networks
from madang.server.cluster.agent.prepare import CannotStart, Preparer, cannot_start
from madang.server.cluster.agent.shims import start_shim
from madang.server.cluster.protocol import ExitRecord, TaskOrder, TaskReport, TaskSpec
from madang.server.cluster.shim import cgroups, records

_STARTS_AT_ONCE = 4
_FIRST_RETRY_S = 0.05
_LAST_RETRY_S = 5.0
_GIVE_UP_LAUNCHING = 5
_MEASURE_EVERY_S = 1.0
_LAST_REPORTS_S = 3.0

logger = logging.getLogger("madang.agent")


@dataclass(slots=True)
class _Task:
    folder: TaskFolder
    spec: TaskSpec
    shim: int | None = None
    busy: bool = False
    failures: int = 0
    retry: asyncio.TimerHandle | None = None
    started_at: float | None = None
    exit: ExitRecord | None = None
    isolation: dict[str, str] = field(default_factory=dict)
    groups: cgroups.Groups = field(default_factory=dict)
    scratch_removed: bool = False
    held_back: bool = False
    tell_end_after_s: float | None = None
    usage: dict[str, float] = field(default_factory=dict)
    measured_s: float = 0.0


class Tasks:
    """Keeps each task as ordered, from whatever state its folder is in.

    `changed` is called when there is news for control. All methods belong to the event loop's
    thread; what blocks runs in a few threads of its own.
    """

    def __init__(
        self, folder: Path, preparer: Preparer, networks: Networks, changed: Callable[[], None]
    ) -> None:
        self._folder = folder
        self._preparer = preparer
        self._networks = networks
        self._changed = changed
        self._tasks: dict[str, _Task] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(_STARTS_AT_ONCE, thread_name_prefix="start")
        self._closing = False

    # -- what is ---------------------------------------------------------------------------

    def reports(self) -> tuple[TaskReport, ...]:
        return tuple(self._report(task) for task in self._tasks.values())

    def ended(self, task_id: str) -> bool:
        task = self._tasks.get(task_id)
        return task is None or task.exit is not None

    def folder_of(self, task_id: str) -> TaskFolder | None:
        """The folder of a task that is or was here."""
        if task_id in self._tasks:
            return self._tasks[task_id].folder
        if "/" in task_id or task_id.startswith("."):
            return None
        folder = TaskFolder(self._folder / task_id)
        return folder if folder.exists else None

    def scan(self) -> None:
        """Find the tasks of an earlier agent and take them over."""
        for path in sorted(self._folder.iterdir()):
            folder = TaskFolder(path)
            if not path.is_dir() or path.name.startswith(".") or folder.forgotten:
                continue
            spec = folder.spec()
            if spec is None:
                folder.remove()  # its maker was killed before it was written: never launched
                continue
            self._adopt(folder, spec)

    def refresh(self, task_id: str) -> None:
        """Read what has become of a task; its shim says that there is news."""
        task = self._tasks.get(task_id)
        if task is None or task.exit is not None:
            return
        before = (task.started_at, task.exit)
        task.started_at = task.started_at or task.folder.started_at()
        exit_record = task.folder.exit()
        if exit_record is not None and not self._holds_back(task):
            task.exit = exit_record
            self._after_exit(task)
        if before != (task.started_at, task.exit):
            self._changed()

    def _holds_back(self, task: _Task) -> bool:
        """Whether the end waits to be told: control takes no reports of a task that has ended, so
        the last ones go first. Once control is there they get a few seconds, no more."""
        if not task.folder.has_unsent_reports:
            return False
        if task.tell_end_after_s is not None and time.monotonic() >= task.tell_end_after_s:
            return False
        task.held_back = True
        return True

    def _tell_held_back(self) -> None:
        """Control has answered: from now on the shims have their few seconds."""
        for task in self._tasks.values():
            if task.held_back and task.tell_end_after_s is None:
                task.tell_end_after_s = time.monotonic() + _LAST_REPORTS_S
                loop = asyncio.get_running_loop()
                loop.call_later(_LAST_REPORTS_S + 0.01, self.refresh, task.spec.task_id)

    # -- what should be --------------------------------------------------------------------

    def apply(self, orders: tuple[TaskOrder, ...]) -> None:
        """Act on the orders; those obeyed already change nothing."""
        self._tell_held_back()
        wanted = {order.spec.task_id for order in orders}
        for order in orders:
            with _trouble_of(order.spec.task_id):
                task = self._tasks.get(order.spec.task_id) or self._meet(order.spec)
                if order.action == "stop":
                    self._stop(task)
                elif task.exit is None and task.shim is None:
                    self._look_after(task)
        for task_id in [task_id for task_id in self._tasks if task_id not in wanted]:
            with _trouble_of(task_id):
                task = self._tasks[task_id]
                if task.exit is None:
                    self._stop(task)
                elif not task.busy:
                    self._forget(task)

    async def close(self) -> None:
        """Leave all tasks as they are, running."""
        self._closing = True
        for task in self._tasks.values():
            if task.retry is not None:
                task.retry.cancel()
        while self._background:
            await asyncio.gather(*self._background, return_exceptions=True)
        for task in self._tasks.values():
            self._drop_shim(task)
        self._threads.shutdown()

    # -- inside ----------------------------------------------------------------------------

    def _meet(self, spec: TaskSpec) -> _Task:
        """A task ordered for the first time, or one that was forgotten and is asked for again."""
        folder = TaskFolder(self._folder / spec.task_id)
        if folder.exists and folder.exit() is not None:
            folder.unforget()
        task = _Task(folder, spec)
        self._tasks[spec.task_id] = task
        self.refresh(spec.task_id)
        return task

    def _adopt(self, folder: TaskFolder, spec: TaskSpec) -> None:
        task = _Task(folder, spec)
        self._tasks[spec.task_id] = task
        self._read_plan(task)
        self._watch_shim(task)
        self.refresh(spec.task_id)
        if task.exit is not None:
            if task.shim is None and folder.has_unsent_reports:
                self._look_after(task)
        elif task.shim is not None:
            child = records.read_json(str(folder), records.SHIM)
            self._networks.adopt(spec.network_group, child["pid"])
        elif folder.launched:
            child = records.read_json(str(folder), records.CHILD)
            if child and records.start_time(child["pid"]) == child["start_time"]:
                self._networks.adopt(spec.network_group, child["pid"])
            self._look_after(task)

    def _stop(self, task: _Task) -> None:
        if task.exit is not None:
            return
        if not task.folder.exists and not task.busy:
            # Never begun here: it ends before it starts.
            task.folder.create(task.spec)
            task.folder.write_exit(
                ExitRecord(
                    "signal", {"signal": "SIGTERM", "stopped_by": "order"}, None, None, time.time()
                )
            )
            self.refresh(task.spec.task_id)
            return
        if task.folder.exists:
            # For the next shim, should this one die; a full disk does not keep us from telling it.
            with contextlib.suppress(OSError):
                task.folder.order_stop()
        if task.shim is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(task.shim, signal.SIGUSR1)
        else:
            self._look_after(task)

    def _look_after(self, task: _Task) -> None:
        """See to it that the task has a shim."""
        if task.busy or task.retry is not None or self._closing:
            return
        task.busy = True
        running = asyncio.ensure_future(self._start(task))
        self._background.add(running)
        running.add_done_callback(self._background.discard)

    async def _start(self, task: _Task) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._start_blocking, task)
            task.failures = 0
        except CannotStart as problem:
            self._end_unstarted(task, problem)
        except Exception as error:
            logger.exception("task %s", task.spec.task_id)
            task.failures += 1
            if task.failures >= _GIVE_UP_LAUNCHING and not task.folder.launched:
                cause = f"{type(error).__name__}: {error}"
                self._end_unstarted(task, CannotStart(ReasonCode.START_FAILED, cause=cause))
            else:
                self._try_again(task)
        finally:
            task.busy = False
        self._read_plan(task)
        self._watch_shim(task)
        self.refresh(task.spec.task_id)

    def _start_blocking(self, task: _Task) -> None:
        """In a thread: make the task ready unless it is, and start a shim for it."""
        folder, spec = task.folder, task.spec
        if not folder.launched and folder.exit() is None:
            try:
                folder.create(spec)
            except OSError as error:
                raise cannot_start(error, folder) from error
            self._preparer.prepare(spec, folder)
        network = None
        if folder.plan().get("private_network"):
            network = self._networks.get(spec.network_group)
        start_shim(folder, network)

    def _end_unstarted(self, task: _Task, problem: CannotStart) -> None:
        try:
            task.folder.write_exit(problem.to_exit())
        except OSError:
            logger.exception("task %s", task.spec.task_id)
            task.exit = problem.to_exit()  # not even its record fits on the disk
            self._after_exit(task)
            self._changed()
        cgroups.remove(task.folder.plan().get("cgroups", {}))

    def _try_again(self, task: _Task) -> None:
        delay_s = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2**task.failures)

        def retry() -> None:
            task.retry = None
            self._look_after(task)

        task.retry = asyncio.get_running_loop().call_later(delay_s, retry)

    def _read_plan(self, task: _Task) -> None:
        plan = task.folder.plan()
        task.isolation = plan.get("isolation", {})
        task.groups = plan.get("cgroups", {})

    def _watch_shim(self, task: _Task) -> None:
        if task.shim is not None:
            return
        task.shim = task.folder.open_shim()
        if task.shim is not None:
            asyncio.get_running_loop().add_reader(task.shim, self._shim_gone, task)
        elif task.folder.exit() is None and task.folder.launched:
            self._shim_failed(task)

    def _shim_gone(self, task: _Task) -> None:
        self._drop_shim(task)
        self.refresh(task.spec.task_id)
        if task.exit is None or task.folder.has_unsent_reports:
            self._shim_failed(task)

    def _shim_failed(self, task: _Task) -> None:
        """Its shim has died before its time: the task goes on, the next shim adopts it."""
        if task.retry is None and not task.busy and not self._closing:
            logger.warning("task %s has lost its supervisor", task.spec.task_id)
            self._look_after(task) if task.failures == 0 else self._try_again(task)
            task.failures += 1

    def _drop_shim(self, task: _Task) -> None:
        if task.shim is not None:
            asyncio.get_running_loop().remove_reader(task.shim)
            os.close(task.shim)
            task.shim = None

    def _after_exit(self, task: _Task) -> None:
        group = task.spec.network_group
        if all(other.exit for other in self._tasks.values() if other.spec.network_group == group):
            self._networks.release(group)
        if not task.scratch_removed:
            task.scratch_removed = True
            self._in_thread(task.folder.remove_scratch)

    def _forget(self, task: _Task) -> None:
        self._drop_shim(task)
        del self._tasks[task.spec.task_id]
        self._in_thread(task.folder.forget)

    def _in_thread(self, action: Callable[[], None]) -> None:
        if not self._closing:
            self._threads.submit(action)

    def _report(self, task: _Task) -> TaskReport:
        self._measure(task)
        if task.exit is not None:
            phase = "exited"
        else:
            phase = "starting" if task.started_at is None else "running"
        return TaskReport(
            task_id=task.spec.task_id,
            phase=phase,  # type: ignore[arg-type]
            started_at=task.started_at,
            exit=task.exit,
            isolation=task.isolation,
            memory_bytes=int(task.usage.get("memory_bytes", 0)),
            cpu_s=task.usage.get("cpu_s", 0.0),
        )

    def _measure(self, task: _Task) -> None:
        """What it uses, looked up at most once a second: reports may follow each other fast."""
        now_s = time.monotonic()
        if task.exit is not None:
            task.usage = {}
        elif now_s >= task.measured_s + _MEASURE_EVERY_S:
            task.measured_s = now_s
            task.usage = cgroups.usage(task.groups)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)


@contextlib.contextmanager
def _trouble_of(task_id: str) -> Iterator[None]:
    """One task's trouble (a full disk, as a rule) is not the others'."""
    try:
        yield
    except OSError:
        logger.exception("task %s", task_id)
