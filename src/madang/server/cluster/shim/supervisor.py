"""Looking after one task: from its launch, or from where a killed shim left it, to its record."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
import traceback

from . import cgroups, launch, records
from .api_relay import ApiRelay
from .log import DiskFull, LogWriter
from .log import tail as log_tail
from .loop import READ, Loop
from .processes import TaskProcesses
from .pump import AppRelay
from .reports import Reports, Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ALREADY_RUNNING = 17
_STARTED_CHECKS_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.2, 0.5)
_KILL_AGAIN_S = 0.02
_LAST_REPORTS_S = 1.0
_PORT_RETRY_S = 0.5
_CAUSE_BYTES = 400


def run(folder: str, ready: int) -> None:
    """Own the task in `folder` until its record is written and its reports are delivered.

    `ready` takes one byte: 0 once the shim can be found in the folder.
    """
    os.chdir("/")
    lock = records.take_lock(folder, records.SHIM_LOCK, wait=False)
    if lock is None:
        os.write(ready, bytes([_ALREADY_RUNNING]))
        return
    _replace_standard_files(folder)
    # From when we can be found on, this signal is the order to stop, never our end.
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    records.write_json(folder, records.SHIM, records.identity(os.getpid()), durable=False)
    os.write(ready, b"\0")
    os.close(ready)
    Supervisor(folder).run()


def _replace_standard_files(folder: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    trouble = os.open(
        os.path.join(folder, "shim.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
    )
    for target, source in ((0, nothing), (1, trouble), (2, trouble)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(trouble)


class Supervisor:
    """One task. The folder is the state; what is here can be lost at any moment."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._plan: dict[str, Any] = records.read_plan(folder)
        self._loop = Loop()
        self._log: LogWriter | None = None
        self._reports: Reports | None = None
        self._api: ApiRelay | None = None
        self._app: AppRelay | None = None
        self._oom: cgroups.OomWatch | None = None
        self._launched: dict[str, Any] = {}
        self._child = -1
        self._child_pid = 0
        self._ended_pipe = -1
        self._started_s: float | None = None
        self._stopping: dict[str, Any] | None = records.read_json(folder, records.STOPPING)
        self._ending = False

    def run(self) -> None:
        try:
            if not os.path.exists(self._path(records.EXIT)):
                self._begin()
            else:
                records.kill_process(records.read_json(self._folder, records.CHILD))
                self._deliver_rest()
        except Exception as error:
            with contextlib.suppress(OSError):
                traceback.print_exc()
            if os.path.exists(self._path(records.LAUNCHED)):
                raise
            self._write_exit(_reason_of_failure(error, self._plan), None)
            self._nudge()
            return
        self._loop.run()

    def _begin(self) -> None:
        receive_stop, send_stop = socket.socketpair()
        for end in (receive_stop, send_stop):
            end.setblocking(False)
        signal.set_wakeup_fd(send_stop.fileno())
        self._wakeup = (receive_stop, send_stop)
        self._loop.watch(receive_stop.fileno(), READ, lambda events: self._poked())

        marker = records.read_json(self._folder, records.LAUNCHED)
        if marker is None or launch.never_began(self._folder, marker):
            self._launch()
        else:
            self._launched = marker
            self._adopt()

    # -- launching and adopting ------------------------------------------------------------

    def _launch(self) -> None:
        plan = self._plan
        if os.path.exists(self._path(records.STOP)):
            self._stopping = {"cause": "order", "boottime_s": records.boottime_s()}
            self._write_exit(("signal", {"signal": "SIGTERM"}), None)
            self._nudge()
            self._loop.stop()
            return
        records.reserve_exit_record(self._folder)
        uid, gid = plan["uid"], plan["gid"]
        launch.make_pipes(self._folder, uid, gid)
        receiver = launch.bind_report_socket(plan["report_socket"], uid, gid)
        self._open_log()
        self._open_relays(0)
        assert self._api is not None
        env = {
            name: value.replace(plan["relay_placeholder"], str(self._api.port))
            for name, value in plan["env"].items()
        }
        launch.write_environment(plan["environment_file"], env, uid, gid)
        self._launched = launch.mark_launched(self._folder, self._api.port)
        self._child_pid = launch.start(self._folder, plan, receiver)
        self._child = os.pidfd_open(self._child_pid)
        self._watch(receiver)

    def _adopt(self) -> None:
        child = records.read_json(self._folder, records.CHILD)
        descriptor = records.open_process(child)
        self._child_pid = child["pid"] if child else 0
        self._open_log()
        if descriptor is None:
            self._open_reports(None)
            self._child_ended()
            return
        self._child = descriptor
        receiver = launch.inherit_report_socket(descriptor)
        if receiver is None:
            receiver = launch.bind_report_socket(
                self._plan["report_socket"], self._plan["uid"], self._plan["gid"]
            )
        self._open_relays(self._launched["relay_port"])
        self._watch(receiver)

    def _watch(self, receiver: socket.socket) -> None:
        """Begin to look after the child that runs."""
        plan = self._plan
        self._open_reports(receiver)
        self._loop.watch(self._child, READ, lambda events: self._child_ended())
        self._ended_pipe = os.open(self._path(records.ENDED), os.O_RDONLY | os.O_NONBLOCK)
        self._loop.watch(self._ended_pipe, READ, lambda events: self._child_ended())
        self._oom = cgroups.OomWatch(plan["cgroups"])
        if self._oom.descriptor is not None:
            self._loop.watch(
                self._oom.descriptor, self._oom.mask, lambda events: self._check_oom()
            )
        self._check_started(0)
        if plan["time_limit_s"]:
            due_s = self._launched["boottime_s"] + plan["time_limit_s"]
            self._loop.call_at(due_s, lambda: self._stop("time_limit"))
        if plan["lease_file"]:
            self._check_lease()
        if self._stopping is not None:
            self._continue_stopping()
        self._poked()

    def _open_log(self) -> None:
        pipe = launch.open_output_pipe(self._folder)
        self._log = LogWriter(self._folder, pipe, self._plan["log_bytes"], self._plan["log_files"])
        self._loop.watch(pipe, READ, lambda events: self._drain())

    def _open_relays(self, port: int) -> None:
        plan = self._plan
        try:
            self._api = ApiRelay(self._loop, plan["control_socket"], plan["api_token"], port)
        except OSError:
            if not port:
                raise
            self._loop.call_later(_PORT_RETRY_S, lambda: self._open_relays(port))
            return
        if plan["app_port"]:
            self._app = AppRelay(self._loop, plan["app_socket"], plan["app_port"])

    def _open_reports(self, receiver: socket.socket | None) -> None:
        plan = self._plan
        self._reports = Reports(
            self._loop,
            receiver,
            Spool(self._folder),
            control_socket=plan["control_socket"],
            task_id=plan["task_id"],
            attempt=plan["attempt"],
            token=plan["api_token"],
            note=self._note,
        )

    # -- while it runs ---------------------------------------------------------------------

    def _drain(self) -> None:
        assert self._log is not None
        try:
            self._log.drain()
        except DiskFull:
            self._loop.unwatch(self._log.pipe)
            self._stop("disk_full")

    def _note(self, text: str) -> None:
        assert self._log is not None
        try:
            self._log.note(text)
        except DiskFull:
            self._stop("disk_full")

    def _check_started(self, attempt: int) -> None:
        """Look for the sandbox's word that the command runs; there is no event for a file."""
        if self._started_s is not None or self._ending:
            return
        status = records.read_status(self._folder)
        if status.get("started"):
            self._started_s = os.stat(self._path(records.STATUS)).st_mtime
            self._nudge()
        elif "missing" not in status:
            delay_s = _STARTED_CHECKS_S[min(attempt, len(_STARTED_CHECKS_S) - 1)]
            self._loop.call_later(delay_s, lambda: self._check_started(attempt + 1))

    def _check_oom(self) -> None:
        assert self._oom is not None
        self._oom.clear()
        if cgroups.oom_kills(self._plan["cgroups"]):
            self._stop("out_of_memory")
        else:
            # The event comes before the kill.
            self._loop.call_later(_KILL_AGAIN_S, self._check_oom_again)

    def _check_oom_again(self) -> None:
        if not self._ending and cgroups.oom_kills(self._plan["cgroups"]):
            self._stop("out_of_memory")

    def _check_lease(self) -> None:
        """Stop when the node's lease is over: control has given the task to another node."""
        lease = records.read_json("/", self._plan["lease_file"])
        due_s = lease["until_boottime_s"] if lease and lease["boot_id"] == records.boot_id() else 0
        if due_s <= records.boottime_s():
            self._stop("lease")
        else:
            self._loop.call_at(due_s, self._check_lease)

    # -- stopping --------------------------------------------------------------------------

    def _poked(self) -> None:
        receive_stop, _ = self._wakeup
        signalled = b""
        with contextlib.suppress(BlockingIOError):
            signalled = receive_stop.recv(4096)
        if signal.SIGUSR1 in signalled or os.path.exists(self._path(records.STOP)):
            self._stop("order")

    def _stop(self, cause: str) -> None:
        """End the task for `cause`; the first cause stays. What has no room or no memory left,
        or no right to go on, gets no grace."""
        if self._ending or self._stopping is not None:
            return
        self._stopping = {"cause": cause, "boottime_s": records.boottime_s()}
        with contextlib.suppress(OSError):  # a full disk: a later shim finds the cause anew
            records.write_json(self._folder, records.STOPPING, self._stopping, durable=False)
        self._continue_stopping()

    def _continue_stopping(self) -> None:
        assert self._stopping is not None
        if self._stopping["cause"] in ("out_of_memory", "disk_full"):
            self._kill()
            return
        self._processes().terminate()
        due_s = self._stopping["boottime_s"] + self._plan["grace_s"]
        self._loop.call_at(due_s, self._kill)

    def _kill(self) -> None:
        if self._ending:
            return
        processes = self._processes()
        if processes.users():
            processes.kill_users()
            self._loop.call_later(_KILL_AGAIN_S, self._kill)
        else:
            # Still in the sandbox's hands, before or after the user's part.
            self._loop.call_later(_KILL_AGAIN_S * 5, self._kill_sandbox)

    def _kill_sandbox(self) -> None:
        if not self._ending:
            self._processes().kill_all()
            self._loop.call_later(_KILL_AGAIN_S, self._kill_sandbox)

    def _processes(self) -> TaskProcesses:
        init_pid = records.read_status(self._folder).get("child-pid", 0)
        return TaskProcesses(self._plan["cgroups"], self._child_pid, init_pid)

    # -- the end ---------------------------------------------------------------------------

    def _child_ended(self) -> None:
        """The keeper says that all is over, or is gone itself."""
        if self._child >= 0 and not self._ending:
            self._loop.unwatch(self._child)
            self._loop.unwatch(self._ended_pipe)
        self._ending = True
        self._finish()

    def _finish(self) -> None:
        """Kill what was left behind, then write the record; again until nothing is left."""
        same_boot = self._launched["boot_id"] == records.boot_id()
        if same_boot and not self._processes().kill_all():
            self._loop.call_later(_KILL_AGAIN_S, self._finish)
            return
        assert self._reports is not None
        assert self._log is not None
        self._reports.close_receiver()
        try:
            self._log.drain(1 << 40)
        except DiskFull:
            self._stopping = self._stopping or {"cause": "disk_full"}
        reason, exit_code = self._outcome()
        self._write_exit(reason, exit_code)
        records.kill_process(records.read_json(self._folder, records.CHILD))
        cgroups.remove(self._plan["cgroups"])
        if self._oom is not None and self._oom.descriptor is not None:
            self._loop.unwatch(self._oom.descriptor)
            self._oom.close()
        for relay in (self._api, self._app):
            if relay is not None:
                relay.close()
        if self._plan["app_port"] and os.path.lexists(self._plan["app_socket"]):
            os.unlink(self._plan["app_socket"])
        self._deliver_rest()

    def _outcome(self) -> tuple[tuple[str, dict[str, Any]], int | None]:
        """Why it ended, from all that is known, and its exit code."""
        status = records.read_status(self._folder)
        exit_code: int | None = status.get(self._plan["exit_code_key"])
        facts = self._plan["facts"]
        if self._launched["boot_id"] != records.boot_id():
            return ("supervisor_lost", {"node": facts["node"], "cause": "rebooted"}), None
        if "error" in status:
            return ("start_failed", {"cause": status["error"]}), None
        if "missing" in status:
            return ("command_not_found", facts["command_not_found"]), 127
        if status.get("no_directory"):
            return ("start_failed", {"cause": facts["no_directory"]}), None
        cause = self._stopping["cause"] if self._stopping else None
        if cause == "disk_full":
            return ("disk_full", {"place": self._folder}), exit_code
        if cgroups.oom_kills(self._plan["cgroups"]) and exit_code != 0:
            return ("out_of_memory", {"limit": facts["memory_limit"]}), exit_code
        if cause == "time_limit":
            return ("time_limit", {"limit": facts["time_limit"]}), exit_code
        if cause == "lease":
            lease = records.read_json("/", self._plan["lease_file"]) or {"since": "the start"}
            return ("node_lost", facts["node_lost"] | {"since": lease["since"]}), exit_code
        if not status.get("started") and cause is None and status.get("keeper-code"):
            said = log_tail(self._folder, _CAUSE_BYTES) or "the sandbox gave no reason"
            return ("start_failed", {"cause": said.splitlines()[-1]}), None
        return self._by_exit_code(exit_code)

    def _by_exit_code(
        self, exit_code: int | None
    ) -> tuple[tuple[str, dict[str, Any]], int | None]:
        if exit_code is None:
            return ("supervisor_lost", {"node": self._plan["facts"]["node"]}), None
        if exit_code == 0:
            return ("completed", {}), 0
        number = exit_code - 128
        if number in signal.valid_signals():
            return ("signal", {"signal": signal.Signals(number).name}), exit_code
        return ("exit_code", {"exit_code": exit_code}), exit_code

    def _write_exit(self, reason: tuple[str, dict[str, Any]], exit_code: int | None) -> None:
        code, facts = reason
        usage = cgroups.usage(self._plan["cgroups"])
        started = records.read_status(self._folder).get("started")
        if started and self._started_s is None:
            self._started_s = os.stat(self._path(records.STATUS)).st_mtime
        stopped_by = {"stopped_by": self._stopping["cause"]} if self._stopping else {}
        records.write_exit_record(
            self._folder,
            {
                "reason": code,
                "facts": facts | stopped_by,
                "exit_code": exit_code,
                "started_at": self._started_s,
                "ended_at": time.time(),
                "peak_memory_bytes": int(usage["peak_memory_bytes"]),
                "cpu_s": usage["cpu_s"],
            },
        )

    def _deliver_rest(self) -> None:
        """Deliver the last reports, then go. The agent hears of the end when they have arrived,
        or at once when control is away, or after a second."""
        if self._reports is None:
            self._log = self._log or LogWriter(
                self._folder, -1, self._plan["log_bytes"], self._plan["log_files"]
            )
            self._open_reports(None)
        assert self._reports is not None
        self._reports.when_idle = self._leave_if_delivered
        nudge = self._loop.call_later(_LAST_REPORTS_S, self._nudge)
        self._leave_if_delivered()
        if not self._reports.delivered:
            return
        nudge.cancel()

    def _leave_if_delivered(self) -> None:
        assert self._reports is not None
        if self._reports.delivered:
            self._nudge()
            self._loop.stop()
        elif self._reports.failing:
            self._nudge()

    def _nudge(self) -> None:
        """Tell the agent to look at this task; when it is away it will look by itself."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wake:
            wake.setblocking(False)
            try:
                wake.sendto(self._plan["task_id"].encode(), self._plan["wake_socket"])
            except OSError:
                return

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)


def _reason_of_failure(error: Exception, plan: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    import errno

    if isinstance(error, DiskFull) or (
        isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    ):
        return "disk_full", {"place": plan["facts"]["task_folder"]}
    return "start_failed", {"cause": f"{type(error).__name__}: {error}"}
