"""Where the commands of `bench/files.py` run: this machine's disk, memory, and a slow NAS."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from bench.files_commands import Command, CommandFailed, Operation, Run, Timing, built, timed
from bench.files_trees import Shape


@contextmanager
def in_memory() -> Iterator[Path]:
    """A tmpfs of the benchmark's own: it is gone at once, however many files are in it."""
    _need_root()
    folder = Path(tempfile.mkdtemp(prefix="madang-bench-"))
    options = "size=80%,nr_inodes=0,mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "bench", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)
        folder.rmdir()


IMAGE_BYTES = 12 << 30


@contextmanager
def on_disk() -> Iterator[Path]:
    """An ext4 of the benchmark's own, in a file on this machine's disk: what is left over is gone
    at once, and a disk that discards each removed file by itself does not hide the commands.
    `BENCH_DISK` names a folder to be used as it is."""
    _need_root()
    given = os.environ.get("BENCH_DISK")
    if given:
        with tempfile.TemporaryDirectory(prefix="madang-bench-", dir=given) as own:
            yield Path(own)
        return
    with tempfile.TemporaryDirectory(prefix="madang-bench-", dir="/var/tmp") as around:
        image, folder = Path(around) / "image", Path(around) / "mounted"
        with image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        flags = ["-q", "-i", "8192", "-E", "lazy_itable_init=0,nodiscard"]
        subprocess.run(["mkfs.ext4", *flags, image], check=True)
        folder.mkdir()
        subprocess.run(["mount", "-o", "loop,nodiscard", image, folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=False)


def _need_root() -> None:
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        sys.exit("this benchmark mounts file systems: it needs root, and /dev/fuse")


class Place:
    """A folder with trees, and the commands' view of it."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder = folder
        self.scratch = scratch
        """In memory, for archives and output."""

        self._numbers = itertools.count()
        self._turns: dict[Path, int] = {}
        self._made: dict[Shape, Path] = {}
        self._spare: dict[Shape, list[Path]] = {}

    def view(self) -> AbstractContextManager[Path]:
        return nullcontext(self.folder)

    def tree(self, shape: Shape) -> Path:
        if shape not in self._made:
            self._made[shape] = self._new(shape)
        return self._made[shape]

    def stock(self, shape: Shape, count: int) -> None:
        """Make trees to be used up ahead of time, where making them would disturb what follows."""
        spare = self._spare.setdefault(shape, [])
        spare.extend(self._new(shape) for _ in range(count - len(spare)))

    def give_up(self, shape: Shape) -> None:
        """What uses up a tree may have the one that the others ran on: they are over."""
        if shape in self._made:
            self._spare.setdefault(shape, []).append(self._made.pop(shape))

    def _new(self, shape: Shape) -> Path:
        path = self.folder / f"tree{next(self._numbers)}"
        shape.make(path)
        return path

    def measure(self, operation: Operation, command: Command, shape: Shape) -> Timing:
        """Run it once; it must do what it was asked to."""
        if operation.needs_copy:
            spare = self._spare.get(shape)
            tree = spare.pop() if spare else self._new(shape)
        else:
            tree = self.tree(shape)
        turn = self._turns[tree] = self._turns.get(tree, 0) + 1
        copy = self.folder / f"copy{next(self._numbers)}"
        archive, output = self.scratch / "archive.tar", self.scratch / "output"
        archive.unlink(missing_ok=True)
        self.before_run()
        with self.view() as root:
            seen = Run(shape, root / tree.name, root / copy.name, archive, output, turn)
            seconds = timed(command.words(seen), output)
        behind = Run(shape, tree, copy, archive, output, turn)
        is_seen = command.prints or not operation.only_prints
        if is_seen and not operation.is_done(behind):
            raise CommandFailed(f"`{' '.join(command.words(behind))}` did not do all of it")
        self.after_run(operation, copy)
        return Timing(seconds, shape.files)

    def before_run(self) -> None:
        """Whatever makes runs alike."""

    def after_run(self, operation: Operation, copy: Path) -> None:
        """By default nothing is removed: on a disk that would disturb the runs that follow."""


class Memory(Place):
    def after_run(self, operation: Operation, copy: Path) -> None:
        if operation.makes_copy:
            shutil.rmtree(copy)


class Disk(Place):
    def __init__(self, folder: Path, scratch: Path, *, cold: bool = False) -> None:
        super().__init__(folder, scratch)
        self.cold = cold

    def before_run(self) -> None:
        os.sync()
        if self.cold:
            Path("/proc/sys/vm/drop_caches").write_text("3")


class Nas(Memory):
    """A folder in memory seen through a mount where each round trip takes its time."""

    def __init__(self, folder: Path, scratch: Path, latency_ms: float, *flags: str) -> None:
        super().__init__(folder, scratch)
        self.latency_ms = latency_ms
        self.flags = flags
        self.round_trips = 0
        """Of the last run."""

    @contextmanager
    def view(self) -> Iterator[Path]:
        """A new mount, that knows nothing yet."""
        mount = Path(tempfile.mkdtemp(prefix="madang-nas-"))
        counts = self.scratch / "counts"
        program: list[str | Path] = [built("latency_fs"), self.folder, mount]
        command = [*program, str(self.latency_ms), "--counts", counts, *self.flags]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert server.stdout is not None
        if server.stdout.readline() != b"ready\n":
            sys.exit(f"the file system did not start; it ended with {server.wait()}")
        try:
            yield mount
        finally:
            if subprocess.run(["umount", mount], check=False).returncode != 0:
                server.terminate()
            server.wait()
            mount.rmdir()
        self.round_trips = int(counts.read_text().split()[1])
