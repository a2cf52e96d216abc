"""What is known of a running installation from outside: who runs it, where it listens, its logs.

Standard library alone: the supervisor and `madang down` use it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from madang.core.errors import Conflict, InvalidInput, MadangError, Unsupported
from madang.core.settings import Settings
from madang.server.listeners import listen_tcp
from madang.server.paths import StatePaths
from madang.server.settings import portal_url

_LOG_BYTES = 16 * 2**20
_ORPHANS_END_WITHIN_S = 20.0
_CERTIFICATE_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Process:
    """A process by pid and start time, so that a number used again is not taken for it."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, _start_time(pid))

    def is_alive(self) -> bool:
        return self.started != "" and _start_time(self.pid) == self.started


@contextmanager
def only_one(paths: StatePaths) -> Iterator[None]:
    """Be the only supervisor of this state folder. Raises Conflict when there is one already."""
    with (paths.state_dir / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = read(paths).get("url", "")
            raise Conflict(
                f"the platform in {paths.state_dir} is up already{where and f': {where}'}",
                hint="`madang down` stops it; --state-dir names another one.",
            ) from None
        yield


def write(paths: StatePaths, pids: dict[str, int], settings: Settings) -> None:
    """Note who runs, for `madang down` and for the next start after a crash."""
    processes = {name: [pid, _start_time(pid)] for name, pid in pids.items()}
    _write_whole(_file(paths), {"processes": processes, "url": portal_url(settings)})


def read(paths: StatePaths) -> dict[str, Any]:
    try:
        return dict(json.loads(_file(paths).read_text()))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return {}


def processes(paths: StatePaths) -> dict[str, Process]:
    """The processes of the installation that are alive."""
    noted = {
        name: Process(int(pid), str(started))
        for name, (pid, started) in read(paths).get("processes", {}).items()
    }
    return {name: process for name, process in noted.items() if process.is_alive()}


def forget(paths: StatePaths) -> None:
    _file(paths).unlink(missing_ok=True)


def wait_for_orphans(paths: StatePaths) -> None:
    """Wait until servers whose supervisor was killed have ended, as its death told them to."""
    orphans = list(processes(paths).values())
    deadline = time.monotonic() + _ORPHANS_END_WITHIN_S
    for orphan in orphans:
        while orphan.is_alive():
            late = time.monotonic() > deadline
            with suppress(ProcessLookupError):
                os.kill(orphan.pid, signal.SIGKILL if late else signal.SIGTERM)
            time.sleep(0.1)


def with_ports(settings: Settings, paths: StatePaths) -> Settings:
    """The settings with a free port for each 0, the same one as last time when it is free.

    Raises Conflict for a port that is taken.
    """
    if settings.port == settings.gateway_port != 0:
        raise InvalidInput(
            f"port and gateway_port are both {settings.port}",
            field="gateway_port",
            hint="Apps and files have an origin of their own: choose another --gateway-port.",
        )
    memory = paths.state_dir / "ports.json"
    remembered = json.loads(memory.read_text()) if memory.exists() else {}
    chosen: dict[str, int] = {}
    for setting in ("port", "gateway_port"):
        wanted = getattr(settings, setting)
        candidates = [wanted] if wanted else [remembered.get(setting, 0), 0]
        chosen[setting] = _first_free(settings.host, candidates, setting, set(chosen.values()))
    _write_whole(memory, remembered | chosen)
    return replace(settings, port=chosen["port"], gateway_port=chosen["gateway_port"])


def with_certificate(settings: Settings, paths: StatePaths) -> Settings:
    """The settings with a certificate of our own, made once, when `tls` asks for one."""
    if settings.tls != "self-signed" or settings.tls_cert:
        return settings
    folder = paths.state_dir / "tls"
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not certificate.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        _make_certificate(settings.host, certificate, key)
    return replace(settings, tls_cert=str(certificate), tls_key=str(key))


def rotated_log(paths: StatePaths, server: str) -> Path:
    """The log file of a server; a large one is put aside first."""
    path = paths.server_logs / f"{server}.log"
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path


def detached(
    paths: StatePaths, work: Callable[[Callable[[str], None], Callable[[], None]], None]
) -> int:
    """Run `work(say, ready)` in a process of its own that outlives this terminal.

    Relays what it says until it calls `ready` or fails, and returns the exit code. Later words
    go to the log `supervisor.log`.
    """
    paths.create()
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        os._exit(_in_background(paths, writer, work))
    os.close(writer)
    code = 1
    with os.fdopen(reader) as reports:
        for line in reports:
            report = json.loads(line)
            code = report.get("code", code)
            if text := report.get("text"):
                print(text, file=sys.stderr if code else sys.stdout, flush=True)
    return code


def _in_background(
    paths: StatePaths,
    writer: int,
    work: Callable[[Callable[[str], None], Callable[[], None]], None],
) -> int:
    os.setsid()
    log = os.open(rotated_log(paths, "supervisor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    reports: list[Any] = [os.fdopen(writer, "w")]

    def report(**facts: object) -> None:
        for file in reports:
            file.write(json.dumps(facts) + "\n")
            file.flush()

    def say(text: str) -> None:
        print(time.strftime("%Y-%m-%d %H:%M:%S"), text, flush=True)
        report(text=text, code=0)

    def ready() -> None:
        report(code=0)
        reports.pop().close()

    try:
        work(say, ready)
    except MadangError as error:
        text = "\n".join(filter(None, [f"Error: {error.message}.", error.hint]))
        print(text, flush=True)
        report(text=text, code=error.exit_code)
        return error.exit_code
    except Exception as error:
        print(time.strftime("%Y-%m-%d %H:%M:%S"), traceback.format_exc(), flush=True)
        where = paths.server_logs / "supervisor.log"
        report(text=f"Error: {type(error).__name__}: {error}. {where} has the rest.", code=1)
        return 1
    return 0


def _first_free(host: str, candidates: list[int], setting: str, taken: set[int]) -> int:
    for candidate in candidates:
        try:
            with listen_tcp(host, candidate, setting) as listener:
                port = int(listener.getsockname()[1])
        except Conflict:
            if candidate == candidates[-1]:
                raise
            continue
        if port not in taken:
            return port
    return _first_free(host, [0], setting, taken)


def _make_certificate(host: str, certificate: Path, key: Path) -> None:
    names = ["DNS:localhost", f"DNS:{socket.gethostname()}", "IP:127.0.0.1"]
    if host.replace(".", "").isdigit() or ":" in host:
        names.append(f"IP:{host}")
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", str(_CERTIFICATE_DAYS), "-subj", f"/CN={socket.gethostname()}"),
        *("-addext", f"subjectAltName={','.join(names)}"),
        *("-keyout", str(key), "-out", str(certificate)),
    ]
    old_mask = os.umask(0o077)
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        raise Unsupported(
            "a self-signed certificate takes the program openssl, which is not here",
            field="tls",
            hint="Install it, or give --tls-cert and --tls-key.",
        ) from None
    finally:
        os.umask(old_mask)


def _start_time(pid: int) -> str:
    """When the process began, in the kernel's ticks; empty when there is none or it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _file(paths: StatePaths) -> Path:
    return paths.state_dir / "running.json"


def _write_whole(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    try:
        temporary.write_text(json.dumps(value))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
