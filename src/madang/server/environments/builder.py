"""Building environments on a node: uv in a sandbox, as a user that owns nothing else.

    built = build(EnvironmentBuild(digest, packages, "3.11", path), settings)

What is installed here runs in everyone's tasks, so the build is kept away from the platform: the
resolver runs under a user id of its own, sees its cache and the folder it fills, takes wheels
only, and runs nobody's code. The result is moved into place in one step and mounted read-only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from madang.core.settings import Settings
from madang.server.cluster.protocol import EnvironmentBuild, EnvironmentBuilt
from madang.server.environments import finish
from madang.server.environments.index_settings import IndexSettings, index_settings
from madang.server.paths import StatePaths, make_folder

LOCK_FILE = "environment.lock"
BUILDER_UID = 64_900
"""Owns the cache and the environments, and nothing else; below the ids that tasks run under."""

_NO_SANDBOX = ["setpriv", "--pdeathsig", "KILL"]
"""A build is worth nothing to a new agent: it ends with the old one."""
_ERROR_LINES = 40
_ETC = ("ssl", "pki", "ca-certificates", "resolv.conf", "hosts", "nsswitch.conf", "host.conf")
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/run/systemd/resolve")


class BuildFailed(Exception):
    """The message is for the person who asked for the environment."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Folders of one build. `growing` becomes `path` at the end.

    `growing` and `cache` lie in one `workshop`, which the sandbox mounts as one: files can't be
    hard-linked from one mount to another, be it of the same file system.
    """

    path: Path
    workshop: Path
    growing: Path
    cache: Path
    wheels: Path
    log: Path


def log_path(environment: Path) -> Path:
    """Where the build of the environment at that path is logged."""
    return environment.with_name(f"{environment.name}.log")


def build(
    order: EnvironmentBuild, settings: Settings, environment: Mapping[str, str] | None = None
) -> EnvironmentBuilt:
    """Build `order.path`; what is there already is taken as it is.

    Takes as long as it takes: call it in a thread. Safe to repeat and to run twice at once (the
    second waits for the first). Never raises for a build that fails: `error` has the resolver's
    message. `environment` is where the index settings come from, `os.environ` when left out.
    """
    started = time.monotonic()
    path = Path(order.path)
    workshop = path.parent / ".workshop"
    place = _Place(
        path=path,
        workshop=workshop,
        growing=workshop / f"building-{path.name}",
        cache=workshop / "cache",
        wheels=StatePaths(settings.state_dir).wheels,
        log=log_path(path),
    )
    try:
        with _only_build_of(path):
            if not (path / LOCK_FILE).exists():
                try:
                    _build(order, place, settings, environment or os.environ)
                finally:
                    shutil.rmtree(place.growing, ignore_errors=True)
    except BuildFailed as failure:
        return EnvironmentBuilt(False, error=str(failure), seconds=time.monotonic() - started)
    except OSError as error:
        return EnvironmentBuilt(
            False, error=_machine_trouble(error), seconds=time.monotonic() - started
        )
    return EnvironmentBuilt(
        ok=True,
        lock=tuple((path / LOCK_FILE).read_text().split()),
        seconds=time.monotonic() - started,
        size_bytes=_size_bytes(path),
    )


def _build(
    order: EnvironmentBuild, place: _Place, settings: Settings, environment: Mapping[str, str]
) -> None:
    _prepare(place)
    python = _find_python(order.python)
    index = index_settings(environment, find_links=[str(place.wheels), settings.find_links])
    run = _Runner(place, settings, python, index)
    target = str(place.growing)
    # Relocatable: what writes its own path down is right under the final name too.
    run([_uv(), "venv", "--quiet", "--relocatable", "--python", str(python), "--clear", target])
    wheels_only = [] if settings.allow_source_builds else ["--only-binary", ":all:"]
    run(
        [
            _uv(), "pip", "install", "--python", f"{target}/bin/python", "--no-progress",
            *index.options, *wheels_only, *order.packages,
        ]
    )  # fmt: skip
    site = f"{target}/lib/python{order.python}/site-packages"
    run(
        [
            f"{target}/bin/python", "-I", "-S", finish.__file__,
            site, f"{place.cache}/bytecode", f"{target}/{LOCK_FILE}",
        ]
    )  # fmt: skip
    _move_into_place(place)


def _prepare(place: _Place) -> None:
    """Empty folders, owned by the builder where it has an id of its own."""
    shutil.rmtree(place.growing, ignore_errors=True)
    shutil.rmtree(place.path, ignore_errors=True)  # without a lock file it is not an environment
    for folder, mode in ((place.workshop, 0o700), (place.cache, 0o700), (place.growing, 0o755)):
        make_folder(folder, mode)
        if os.geteuid() == 0:
            os.chown(folder, BUILDER_UID, BUILDER_UID)
    make_folder(place.wheels, 0o755)
    place.log.write_text("")


class _Runner:
    """Runs one command after the other in the build's sandbox, and logs what they say."""

    def __init__(
        self, place: _Place, settings: Settings, python: Path, index: IndexSettings
    ) -> None:
        self.place = place
        sandboxed = settings.sandbox == "bwrap"
        self._prefix = _sandbox(place, python, index) if sandboxed else _NO_SANDBOX
        # A hard-linked file that is written changes the cache and the next environment. It can't
        # be where tasks see environments through read-only mounts only; without a sandbox they
        # see the files themselves, as the user who owns them, so each environment gets its own
        # (which costs nothing on a file system that shares blocks, such as Btrfs or XFS).
        self._variables = index.variables | {
            "HOME": "/tmp",
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "UV_CACHE_DIR": f"{place.cache}/uv",
            "UV_LINK_MODE": "hardlink" if sandboxed else "copy",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_MANAGED_PYTHON": "0",
        }

    def __call__(self, command: Sequence[str]) -> None:
        """Raises BuildFailed with the last lines of what the command said."""
        with self.place.log.open("ab") as log:
            begin = log.tell()
            process = subprocess.run(
                [*self._prefix, *command],
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                check=False,
                umask=0o022,  # tasks of all users read what it makes
            )
        if process.returncode != 0:
            raise BuildFailed(self._message(begin, process.returncode))

    def _message(self, begin: int, code: int) -> str:
        with self.place.log.open("rb") as log:
            log.seek(begin)
            said = log.read().decode(errors="replace").strip()
        if "No space left on device" in said:
            return f"the disk that holds {self.place.path.parent} is full"
        lines = [line for line in said.splitlines() if not _is_uvs_own(line)]
        return (
            "\n".join(lines[-_ERROR_LINES:])
            or f"the builder ended with exit code {code} and said nothing"
        )


def _is_uvs_own(line: str) -> bool:
    """Whether a line is for who runs uv: its folder, or options that nobody can give it here."""
    return line.startswith("Using Python ") or "`--index-strategy" in line


def _sandbox(place: _Place, python: Path, index: IndexSettings) -> list[str]:
    """The bubblewrap call: the system and the index read-only, the workshop
    writable, the network as it is, and no way to any other file or process."""
    arguments = ["bwrap", "--die-with-parent", "--new-session"]
    arguments += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    arguments += ["--proc", "/proc", "--dev", "/dev"]
    for folder in ("/tmp", "/dev/shm"):
        arguments += ["--perms", "1777", "--tmpfs", folder]
    shown = [*_SYSTEM, *(f"/etc/{name}" for name in _ETC)]
    shown += [str(_prefix_of(python)), finish.__file__, _uv(), str(place.wheels)]
    shown += map(str, index.paths)
    for folder in _parents([*shown, str(place.workshop)]):
        # By itself bubblewrap makes them for root alone, and the builder is not root.
        arguments += ["--perms", "0755", "--dir", folder]
    for path in shown:
        arguments += ["--ro-bind-try", path, path]
    arguments += ["--bind", str(place.workshop), str(place.workshop)]
    if os.geteuid() != 0:
        return [*arguments, "--unshare-user-try", "--cap-drop", "ALL", "--"]
    arguments += ["--cap-drop", "ALL"]
    for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
        arguments += ["--cap-add", capability]
    return [
        *arguments, "--", "setpriv", "--reuid", str(BUILDER_UID), "--regid", str(BUILDER_UID),
        "--clear-groups", "--bounding-set", "-all", "--no-new-privs",
    ]  # fmt: skip


def _parents(paths: Sequence[str]) -> list[str]:
    """The folders above these paths, outer ones first."""
    found = {str(folder) for path in paths for folder in Path(path).parents}
    return sorted(found - {"/"})


def _move_into_place(place: _Place) -> None:
    """On disk first, then under its name, so that a power cut leaves all of it or nothing."""
    descriptor = os.open(place.growing, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ctypes.CDLL(None, use_errno=True).syncfs(descriptor)
    finally:
        os.close(descriptor)
    place.growing.rename(place.path)
    _fsync(place.path.parent)


@contextmanager
def _only_build_of(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(f".lock-{path.name}"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _find_python(version: str) -> Path:
    """An interpreter of that version on this machine: the server's own when it is one."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(os.path.realpath(sys.executable))
    found = subprocess.run(
        [_uv(), "python", "find", "--no-project", "--no-python-downloads", version],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    if found.returncode != 0:
        raise BuildFailed(
            f"this node has no Python {version}. Install it there, or take "
            f"{sys.version_info.major}.{sys.version_info.minor}, which the platform runs on."
        )
    return Path(os.path.realpath(found.stdout.strip()))


def _prefix_of(python: Path) -> Path:
    """`/opt/python/bin/python3.11` → `/opt/python`."""
    return python.parent.parent


def _uv() -> str:
    import uv

    return os.fspath(uv.find_uv_bin())


def _machine_trouble(error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and error.filename == "bwrap":
        return (
            "bubblewrap is not installed on the node: apt-get install bubblewrap, or choose "
            "the sandbox 'none'"
        )
    return f"the node could not do it: {error}"


def _size_bytes(path: Path) -> int:
    total = 0
    for root, _, names in os.walk(path):
        total += sum(os.lstat(os.path.join(root, name)).st_size for name in names)
    return total


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
