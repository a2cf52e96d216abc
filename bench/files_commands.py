"""The commands that `bench/files.py` compares: ordinary ones, ours, peers, and the ceiling."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.files_trees import FILE_BYTES, Shape

ROOT = Path(__file__).resolve().parent.parent
SOURCES = Path(__file__).parent / "files"
BUILD = ROOT / "build" / "bench-files"

PEERS = {"bfs": "bfs", "fdfind": "fd-find", "gdu": "gdu"}
"""Programs, and the Debian packages that have them."""

Words = list[str]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command: the tree it is given, and the places it may make."""

    shape: Shape
    tree: Path
    copy: Path
    archive: Path
    output: Path
    turn: int
    """Each run gives another mode and owner than the one before: there is always all to change."""

    @property
    def mode(self) -> str:
        return ("0750", "0755")[self.turn % 2]

    @property
    def owner(self) -> str:
        return ("1001", "1002")[self.turn % 2]


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    arguments: Callable[[Run], Words]
    """Those of the ordinary command; ours takes the same."""

    ceiling: tuple[str, str]
    """What the ceiling program calls it, and which of a run's attributes it takes besides."""

    is_done: Callable[[Run], bool]
    """Looked at behind the mount, after the run."""

    peers: Sequence[tuple[str, Callable[[Run], Words]]] = ()
    needs_copy: bool = False
    """It uses up its tree."""

    makes_copy: bool = False

    @property
    def title(self) -> str:
        return {"find": "find -size", "tar": "tar cf", "ls": "ls -lR"}.get(
            self.name, f"{self.name} -{'s' if self.name == 'du' else self.flag}"
        )

    @property
    def only_prints(self) -> bool:
        return self.ceiling[0] == "list"

    @property
    def flag(self) -> str:
        return "r" if self.name in ("rm", "cp") else "R"


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _last_file(run: Run, root: Path) -> Path:
    return root / run.shape.folders[-1] / f"file{run.shape.each - 1:06}.dat"


def _sum_is_right(run: Run) -> bool:
    kibibytes = int(run.output.read_text().split()[0].rstrip("K"))
    return run.shape.holes or kibibytes >= run.shape.files * FILE_BYTES // 1024


ALL_OPERATIONS = (
    Operation(
        "ls",
        lambda run: ["-lR", str(run.tree)],
        ("list", ""),
        lambda run: _lines(run.output) > run.shape.files,
        (("bfs", lambda run: [str(run.tree), "-ls"]),),
    ),
    Operation(
        "find",
        lambda run: [str(run.tree), "-size", "+3k"],
        ("list", ""),
        lambda run: _lines(run.output) >= run.shape.files,
        (
            ("bfs", lambda run: [str(run.tree), "-size", "+3k"]),
            ("fdfind", lambda run: ["--unrestricted", "--size", "+3ki", ".", str(run.tree)]),
        ),
    ),
    Operation(
        "du",
        lambda run: ["-s", str(run.tree)],
        ("list", ""),
        _sum_is_right,
        (("gdu", lambda run: ["--non-interactive", "--no-progress", "-s", str(run.tree)]),),
    ),
    Operation(
        "chmod",
        lambda run: ["-R", run.mode, str(run.tree)],
        ("chmod", "mode"),
        lambda run: _last_file(run, run.tree).stat().st_mode & 0o777 == int(run.mode, 8),
    ),
    Operation(
        "chown",
        lambda run: ["-R", f"{run.owner}:{run.owner}", str(run.tree)],
        ("chown", "owner"),
        lambda run: _last_file(run, run.tree).stat().st_uid == int(run.owner),
    ),
    Operation(
        "cp",
        lambda run: ["-r", str(run.tree), str(run.copy)],
        ("cp", "copy"),
        lambda run: _last_file(run, run.copy).stat().st_size == FILE_BYTES,
        makes_copy=True,
    ),
    Operation(
        "tar",
        lambda run: ["cf", str(run.archive), "-C", str(run.tree.parent), run.tree.name],
        ("tar", "archive"),
        lambda run: run.archive.stat().st_size >= run.shape.files * (FILE_BYTES + 512),
    ),
    Operation(
        "rm",
        lambda run: ["-r", str(run.tree)],
        ("rm", ""),
        lambda run: not run.tree.exists(),
        (("bfs", lambda run: [str(run.tree), "-delete"]),),
        needs_copy=True,
    ),
)

WANTED = os.environ.get("BENCH_COMMANDS", "").split()
OPERATIONS = [each for each in ALL_OPERATIONS if not WANTED or each.name in WANTED]


@dataclass(frozen=True, slots=True)
class Command:
    """A program and the arguments it takes for a run."""

    label: str
    program: str
    arguments: Callable[[Run], Words]
    prints: bool = True

    def words(self, run: Run) -> Words:
        return [self.program, *self.arguments(run)]


def ordinary(operation: Operation) -> Command:
    return Command(operation.name, _found(operation.name), operation.arguments)


def ours(operation: Operation) -> Command | None:
    program = Path(sys.executable).with_name(f"madang-{operation.name}")
    if not program.exists():
        return None
    return Command(program.name, str(program), operation.arguments)


def peers(operation: Operation) -> list[Command]:
    return [
        Command(name, program, arguments, prints=name != "gdu")  # it prints a sum of its own kind
        for name, arguments in operation.peers
        if (program := installed_peers().get(name))
    ]


def ceiling(operation: Operation, threads: int) -> Command:
    name, target = operation.ceiling

    def arguments(run: Run) -> Words:
        words = [name, str(threads), str(run.tree)]
        return [*words, str(getattr(run, target))] if target else words

    return Command(f"{threads} threads", str(built("ceiling")), arguments, prints=False)


def _found(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        sys.exit(
            f"the ordinary command {name!r} is not installed; there is nothing to compare with"
        )
    return program


@cache
def installed_peers() -> dict[str, str]:
    """Those that are here, after an attempt to install the others."""
    missing = [package for name, package in PEERS.items() if shutil.which(name) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(command, env=environment, capture_output=True, check=False)
    return {name: program for name in PEERS if (program := shutil.which(name))}


def missing_peers(operation: Operation) -> str:
    missing = [name for name, _ in operation.peers if name not in installed_peers()]
    return f"; {', '.join(missing)} cannot be had here" if missing else ""


@cache
def built(name: str) -> Path:
    """A program of bench/files, compiled anew where its sources have changed."""
    sources = {
        "latency_fs": ["latency_fs.cpp", "operations.cpp"],
        "ceiling": ["ceiling.cpp"],
    }[name]
    newest = max(path.stat().st_mtime for path in SOURCES.iterdir())
    program = BUILD / name
    if program.exists() and program.stat().st_mtime > newest:
        return program
    BUILD.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CXX", "g++")
    command = [compiler, "-std=c++20", "-O2", "-pthread", "-o", str(program)]
    if shutil.which(compiler) is None:
        sys.exit(f"no C++ compiler {compiler!r}: install one, or name it in CXX")
    subprocess.run([*command, *(str(SOURCES / source) for source in sources)], check=True)
    return program


@dataclass(frozen=True, slots=True)
class Timing:
    seconds: float
    files: int

    @property
    def rate(self) -> float:
        return self.files / self.seconds


def timed(words: Words, output: Path) -> float:
    """Seconds, measured around as little as possible; what it prints goes to a file."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    ]
    environment = {**os.environ, "LC_ALL": "C"}
    started = time.perf_counter()
    process = os.posix_spawn(words[0], words, environment, file_actions=actions)
    _, status = os.waitpid(process, 0)
    seconds = time.perf_counter() - started
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise CommandFailed(f"`{' '.join(words)}` ended with {code}")
    return seconds


class CommandFailed(Exception):
    """A command that did not do what it was asked to."""
