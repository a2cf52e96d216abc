from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

def scan(
    root_fd: int, num_threads: int
) -> tuple[
    bytes,
    NDArray[np.uint64],
    NDArray[np.uint64],
    NDArray[np.int64],
    NDArray[np.uint8],
    NDArray[np.uint32],
    list[tuple[bytes, int]],
]:
    """List the tree below a directory with several threads, without holding the GIL.

    Returns (paths, offsets, sizes, mtimes_ns, kinds, modes, errors), sorted by path as bytes.
    Entry i's path, relative to the root, is `paths[offsets[i]:offsets[i + 1]]`; a kind is the file
    type bits of `st_mode` shifted right by 12; errors are (path, errno). Symbolic links are not
    followed; what vanishes during the scan is left out. `root_fd` stays the caller's. Raises
    KeyboardInterrupt soon after Ctrl-C.
    """

Failure = tuple[str, bytes, int]
"""What was tried, the path, the errno."""

Progress = Callable[[int, int, int, int], bool]
"""(items, bytes, all items, all bytes), 0 where it is not known; true: stop. Called by the calling
thread, some times a second; what it raises stops the operation, and is raised."""

def remove(
    paths: list[bytes],
    recursive: bool,
    missing_ok: bool,
    one_file_system: bool,
    dry_run: bool,
    exclude: list[str],
    at_fd: int,
    jobs: int,
    max_ops: float,
    progress: Progress | None,
) -> tuple[int, int, bool, list[Failure]]:
    """Returns (files, directories, complete, failures). jobs 0: adapts; max_ops 0: no limit."""

def change_mode(
    paths: list[bytes],
    mode: str,
    mask: int,
    recursive: bool,
    one_file_system: bool,
    dry_run: bool,
    exclude: list[str],
    at_fd: int,
    jobs: int,
    max_ops: float,
    progress: Progress | None,
) -> tuple[int, int, bool, list[Failure]]:
    """Returns (changed, retained, complete, failures). Raises ValueError for what is no mode."""

def change_owner(
    paths: list[bytes],
    user: int | None,
    group: int | None,
    recursive: bool,
    follow_links: bool,
    one_file_system: bool,
    dry_run: bool,
    exclude: list[str],
    at_fd: int,
    jobs: int,
    max_ops: float,
    progress: Progress | None,
) -> tuple[int, int, bool, list[Failure]]:
    """Returns (changed, retained, complete, failures)."""

Copied = tuple[int, int, int, int, int, int, int, bool, list[Failure]]
"""(files, directories, others, bytes, updated, skipped, removed, complete, failures)"""

def copy(
    sources: list[bytes],
    target: bytes,
    into_directory: bool,
    recursive: bool,
    preserve: bool,
    resume: bool,
    verify: str,
    one_file_system: bool,
    dry_run: bool,
    to_disk: bool,
    exclude: list[str],
    jobs: int,
    max_ops: float,
    progress: Progress | None,
) -> Copied:
    """verify: "", "xxh3" or "sha256"."""

def sync(
    source: bytes,
    target: bytes,
    compare_content: bool,
    remove_extra: bool,
    force: bool,
    verify: str,
    one_file_system: bool,
    dry_run: bool,
    to_disk: bool,
    exclude: list[str],
    jobs: int,
    max_ops: float,
    progress: Progress | None,
) -> Copied:
    """verify: "", "xxh3" or "sha256"."""

def archive(
    fd: int,
    paths: list[bytes],
    at_fd: int,
    compression: str,
    level: int,
    sort_by_name: bool,
    one_file_system: bool,
    xattrs: bool,
    acls: bool,
    exclude: list[str],
    jobs: int,
    max_ops: float,
    progress: Progress | None,
) -> tuple[int, int, int, int, int, bool, list[Failure]]:
    """Returns (members, bytes, archive_bytes, changed, errno, complete, failures).

    compression: "", "gzip" or "zstd"."""

def extract(
    archives: list[tuple[bytes, int]],
    directory: bytes,
    strip_components: int,
    keep_old: bool,
    resume: bool,
    verify: bool,
    dry_run: bool,
    same_owner: bool,
    to_the_letter: bool,
    max_bytes: int,
    exclude: list[str],
    jobs: int,
    max_ops: float,
    progress: Progress | None,
) -> tuple[int, int, int, int, bool, list[tuple[bytes, bytes, bytes]], list[Failure]]:
    """`archives` are (name, descriptor). Returns (members, bytes, same, left_out, complete,
    [(archive, member or empty, why)], failures)."""

class Batches:
    """A listing that goes on in threads of its own, a little ahead of who takes the batches."""

    def __init__(self, root_fd: int, jobs: int, max_ops: float) -> None:
        """The descriptor stays the caller's."""
    def next(
        self,
    ) -> (
        tuple[
            bytes,
            NDArray[np.uint64],
            NDArray[np.uint8],
            NDArray[np.uint64],
            NDArray[np.uint64],
            NDArray[np.int64],
            NDArray[np.uint32],
            NDArray[np.uint32],
            NDArray[np.uint32],
            NDArray[np.uint32],
            NDArray[np.uint64],
        ]
        | None
    ):
        """(paths, offsets, kinds, sizes, blocks, mtimes_ns, modes, users, groups, links, inodes),
        None at the end. Raises KeyboardInterrupt soon after Ctrl-C."""
    def failures(self) -> list[tuple[bytes, int]]: ...
    def close(self) -> None: ...

def find(
    paths: list[bytes], words: list[str], jobs: int, max_ops: float, progress: Progress | None
) -> tuple[bytes, bool, list[Failure]]:
    """Returns (paths, each with a NUL behind it; complete; failures). Raises ValueError for words
    that are no expression."""

def usage(
    paths: list[bytes],
    apparent: bool,
    count_links: bool,
    one_file_system: bool,
    exclude: list[str],
    jobs: int,
    max_ops: float,
    progress: Progress | None,
) -> tuple[list[tuple[bytes, int, int]], tuple[int, int], bool, list[Failure]]:
    """Returns ([(path, bytes, inodes)], (bytes, inodes) of all, complete, failures)."""

class Placement:
    """Where the next replica goes: the native search of `madang.scheduling.placement`.

    Tables are types of nodes x columns (devices), arrays are int64 and contiguous. `bind` keeps
    the arrays and reads them at each call: say `touch` when a row of theirs has changed. Copies
    share what was worked out; no two threads may use copies of one another at the same time.
    """

    def __init__(
        self, alike: NDArray[np.int64], counts: NDArray[np.int64], fullest_first: bool
    ) -> None: ...
    def copy(self) -> Placement: ...
    def bind(
        self,
        cpu_milli: NDArray[np.int64],
        memory_bytes: NDArray[np.int64],
        device_milli: NDArray[np.int64],
        device_memory_bytes: NDArray[np.int64],
        type_of: NDArray[np.int64],
        open: NDArray[np.bool_],
        rank: NDArray[np.int64],
        same: bool,
    ) -> None:
        """Look at these arrays from now on; `same`: their content is that of those before."""

    def touch(self, row: int) -> int:
        """A row has changed. Returns how many states of nodes have been seen."""

    def add_ask(
        self,
        cpu_milli: int,
        memory_bytes: int,
        whole: int,
        share: bool,
        suits: NDArray[np.int64],
        milli: NDArray[np.int64],
        device_memory_bytes: NDArray[np.int64],
        bias: NDArray[np.int64],
    ) -> int:
        """The number by which `choose` knows it, until fragments or prices are set."""

    def choose(self, ask: int, allowed: NDArray[np.bool_] | None) -> tuple[int, int]:
        """(row, column of the device for a share); row -1 when there is no room."""

    def choose_device(self, ask: int, row: int) -> int: ...
    def set_fragments(
        self,
        weights: NDArray[np.int64],
        cpu_milli: NDArray[np.int64],
        counts: NDArray[np.int64],
        milli: NDArray[np.int64],
        thresholds: NDArray[np.int64],
    ) -> None: ...
    def set_prices(
        self,
        lambdas: NDArray[np.int64],
        cpu_thresholds: NDArray[np.int64],
        table_of: NDArray[np.int64],
        shares: NDArray[np.int32],
        whole_values: NDArray[np.int32],
        slot_counts: NDArray[np.int64],
        slot_cpu_milli: NDArray[np.int64],
        slot_values: NDArray[np.int64],
    ) -> None: ...
