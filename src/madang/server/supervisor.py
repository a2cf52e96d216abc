"""`madang up`: starts control, gateway and agent, keeps them alive, stops them.

Run as `python -m madang.server.supervisor [--detach]`; settings come from `MADANG_*`. It imports
the standard library alone: it is there all day and should weigh nothing. It holds control's
listening sockets, so that who connects while control starts again waits instead of being refused.
The servers end with it, whatever ends it; running tasks are nobody's child and go on.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import DEVNULL, STDOUT, Popen

from madang.core.errors import MadangError, Unavailable
from madang.core.settings import Settings
from madang.server import running
from madang.server.listeners import listen_tcp, listen_unix
from madang.server.paths import SERVER_UMASK, StatePaths
from madang.server.probes import answers, log_tail, login_link
from madang.server.settings import check_start, load_settings, portal_url, to_environment

_LOOK_EVERY_S = 0.05
_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 15.0
_STEADY_AFTER_S = 30.0
_LONGEST_PAUSE_S = 5.0
_TRIES_BEFORE_READY = 3
_FIRST_SHELL_CODE = 126
SAID_WHY = "Error: "
"""How a server's last line begins when it ended because of something that people can mend."""
_PR_SET_PDEATHSIG = 1
_SIGNALS = frozenset({signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Server:
    """One of the three processes; `failures` counts quick deaths in a row."""

    name: str
    arguments: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()
    process: Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    failures: int = 0
    ready: bool = False
    log_from: int | None = None
    """Where in its log file this supervisor's part begins."""


@dataclass(slots=True)
class Supervisor:
    settings: Settings
    paths: StatePaths
    say: Callable[[str], None]
    servers: list[Server] = field(default_factory=list)
    stopping: bool = False
    remembered: bool = True
    """Whether what runs has been written down; a full disk may have prevented it."""

    def run(self, announce: Callable[[], None]) -> None:
        """Start everything, call `announce` once all are ready, stay until SIGTERM or SIGINT."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        listeners = (
            listen_tcp(self.settings.host, self.settings.port, "port"),
            listen_unix(self.paths.control_socket),
        )
        descriptors = tuple(listener.fileno() for listener in listeners)
        numbers = tuple(str(descriptor) for descriptor in descriptors)
        self.servers = [
            Server("control", numbers, descriptors),
            Server("gateway"),
            Server("agent"),
        ]
        try:
            self._wait_until_ready()
            if not self.stopping:
                announce()
            while not self.stopping:
                self._keep_alive()
                self._wait(self._pause_s())
        finally:
            self._stop_all()

    def _wait(self, timeout_s: float) -> None:
        """Until a child ends, we are told to stop, or the time has passed."""
        told = signal.sigtimedwait(_SIGNALS, timeout_s)
        self.stopping |= told is not None and told.si_signo != signal.SIGCHLD

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not self.stopping:
            self._keep_alive()
            for server in self.servers:
                if server.process and not server.ready:
                    server.ready = answers(server.name, self.settings, self.paths)
                if not server.ready and server.failures >= _TRIES_BEFORE_READY:
                    raise self._failed(server, "could not start")
            late = [server for server in self.servers if not server.ready]
            if not late:
                return
            if time.monotonic() > deadline:
                raise self._failed(late[0], f"did not answer within {_READY_WITHIN_S:.0f} s")
            self._wait(_LOOK_EVERY_S)

    def _failed(self, server: Server, what: str) -> Unavailable:
        tail = log_tail(self.paths, server.name, server.log_from or 0)
        sentence = tail.splitlines()[-1]
        if sentence.startswith(SAID_WHY):
            return Unavailable(sentence.removeprefix(SAID_WHY).rstrip("."))
        return Unavailable(f"{server.name} {what}", hint=f"The end of its log:\n{tail}")

    def _keep_alive(self) -> None:
        for server in self.servers:
            if self._bury(server):
                self.remembered = False
            if server.process is None and time.monotonic() >= server.start_at:
                self._try_to_start(server)
                self.remembered = False
        if not self.remembered:
            self._remember()

    def _bury(self, server: Server) -> bool:
        """Notice a death; the next start is at once, then later and later."""
        code = server.process.poll() if server.process else None
        if code is None:
            return False
        now = time.monotonic()
        server.failures = 0 if now - server.started_at > _STEADY_AFTER_S else server.failures + 1
        if not server.ready and 1 < code < _FIRST_SHELL_CODE:  # it said itself why it can't
            server.failures = _TRIES_BEFORE_READY
        pause_s = min(0.1 * 4**server.failures, _LONGEST_PAUSE_S) if server.failures > 1 else 0.0
        server.process, server.start_at = None, now + pause_s
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        when = f"in {pause_s:.0f} s" if pause_s >= 1 else "now"
        if server.ready or server.failures < _TRIES_BEFORE_READY:
            self._tell(f"{server.name} {how}; starting it again {when}.")
        return True

    def _tell(self, text: str) -> None:
        with suppress(OSError):  # on a full disk nothing is said
            self.say(text)

    def _try_to_start(self, server: Server) -> None:
        """Start it, or try again later: a full disk or table of processes is no reason to end."""
        try:
            self._start(server)
        except OSError as error:
            server.start_at = time.monotonic() + _LONGEST_PAUSE_S
            self._tell(f"{server.name} can't be started: {error.strerror}; trying again.")

    def _start(self, server: Server) -> None:
        log_path = running.rotated_log(self.paths, server.name)
        supervisor = os.getpid()
        with log_path.open("ab") as log_file:
            if server.log_from is None:
                server.log_from = log_file.tell()
            server.process = Popen(
                [sys.executable, "-m", f"madang.server.{server.name}", *server.arguments],
                env=os.environ | to_environment(self.settings),
                stdin=DEVNULL,
                stdout=log_file,
                stderr=STDOUT,
                pass_fds=server.descriptors,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops them in order
                preexec_fn=lambda: _end_with(supervisor),
            )
        server.started_at = time.monotonic()

    def _remember(self) -> None:
        pids = {server.name: server.process.pid for server in self.servers if server.process}
        try:
            running.write(self.paths, pids | {"supervisor": os.getpid()}, self.settings)
            self.remembered = True
        except OSError as error:
            self._tell(f"what runs can't be written down: {error.strerror}; trying again.")

    def _pause_s(self) -> float:
        """Until something is to be tried again; deaths interrupt it."""
        waiting = [server.start_at for server in self.servers if server.process is None]
        if not self.remembered:
            waiting.append(time.monotonic() + _LONGEST_PAUSE_S)
        return max(0.0, min(waiting) - time.monotonic()) if waiting else 3600.0

    def _stop_all(self) -> None:
        processes = [server.process for server in self.servers if server.process]
        for process in processes:
            with suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + _STOP_WITHIN_S
        while any(process.poll() is None for process in processes):
            if time.monotonic() > deadline:
                for process in processes:
                    process.kill()
            time.sleep(_LOOK_EVERY_S)
        running.forget(self.paths)


def _end_with(supervisor: int) -> None:
    """In a child, before it becomes a server: be told to stop when the supervisor dies."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:  # it died before we could ask to be told
        os._exit(0)


def start(settings: Settings, say: Callable[[str], None], ready: Callable[[], None]) -> None:
    """Supervise an installation until told to stop; `ready` is called once all answer.

    Raises Conflict when it is up already or a port is taken, Unavailable when a server fails.
    """
    paths = StatePaths(settings.state_dir)
    check_start(settings)
    paths.create()
    with running.only_one(paths):
        running.wait_for_orphans(paths)
        settings = running.with_certificate(running.with_ports(settings, paths), paths)

        def announce() -> None:
            say(f"Madang is up: {portal_url(settings)}")
            if link := login_link(paths):
                say(f"Log in (once, within 15 minutes): {link}")
            ready()

        Supervisor(settings, paths, say).run(announce)
        say("Stopped. Tasks that were running go on; `madang up` finds them again.")


def main() -> int:
    os.umask(SERVER_UMASK)
    try:
        settings = load_settings({})
        if "--detach" in sys.argv[1:]:
            check_start(settings)
            paths = StatePaths(settings.state_dir)
            return running.detached(paths, lambda say, ready: start(settings, say, ready))
        start(settings, lambda text: print(text, flush=True), lambda: None)
    except MadangError as error:
        print("\n".join(filter(None, [f"Error: {error.message}.", error.hint])), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
