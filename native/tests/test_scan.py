"""The native scan against os.walk, on trees that hypothesis makes and on hostile ones."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import madang_native
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Row = tuple[bytes, int, int, int, int]
Scan = tuple[list[Row], list[tuple[bytes, int]]]

names = st.binary(min_size=1, max_size=40).filter(
    lambda name: name not in (b".", b"..") and b"/" not in name and b"\0" not in name
)
trees = st.recursive(
    st.binary(max_size=20) | st.just("link"),
    lambda children: st.dictionaries(names, children, max_size=6),
    max_leaves=40,
).filter(lambda tree: isinstance(tree, dict))


def scan(root: str | bytes | Path, num_threads: int = 4) -> Scan:
    with opened(root) as descriptor:
        return scan_descriptor(descriptor, num_threads)


def scan_descriptor(descriptor: int, num_threads: int = 4) -> Scan:
    paths, offsets, sizes, mtimes_ns, kinds, modes, errors = madang_native.scan(
        descriptor, num_threads
    )
    assert len(offsets) == len(sizes) + 1
    assert offsets[0] == 0 and offsets[-1] == len(paths)
    bounds = [int(offset) for offset in offsets]
    texts = [paths[start:end] for start, end in pairwise(bounds)]
    columns = zip(
        texts, sizes.tolist(), mtimes_ns.tolist(), kinds.tolist(), modes.tolist(), strict=True
    )
    return list(columns), errors


def walk(root: str | bytes | Path) -> list[Row]:
    top = os.fsencode(root)
    found = []
    for folder, subfolders, files in os.walk(top):
        for name in subfolders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            found.append(
                (
                    os.path.relpath(path, top),
                    status.st_size,
                    status.st_mtime_ns,
                    status.st_mode >> 12,
                    stat.S_IMODE(status.st_mode),
                )
            )
    return sorted(found)


@contextmanager
def opened(root: str | bytes | Path) -> Iterator[int]:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def plant(root: bytes, tree: dict[bytes, object]) -> None:
    for name, child in tree.items():
        path = os.path.join(root, name)
        if isinstance(child, dict):
            os.mkdir(path)
            plant(path, child)
        elif isinstance(child, bytes):
            with open(path, "wb") as file:
                file.write(child)
        else:
            os.symlink(root, path)


@settings(max_examples=60, deadline=None)
@given(tree=trees, num_threads=st.integers(1, 9))
def test_agrees_with_os_walk(tree: dict[bytes, object], num_threads: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        plant(os.fsencode(root), tree)
        assert scan(root, num_threads) == (walk(root), [])


def test_empty_tree(tmp_path: Path) -> None:
    assert scan(tmp_path) == ([], [])


@pytest.mark.parametrize(
    "name", ["with space", "new\nline", "한국어 이름", "가" * 85, "x" * 255, "-rf", "\x01", "*"]
)
def test_hostile_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / name).write_bytes(b"12345")
    rows, errors = scan(tmp_path)
    assert [row[0] for row in rows] == [name.encode(), f"{name}/{name}".encode()]
    assert errors == []


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = bytes(set(range(1, 256)) - {ord("/")})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"")
    assert [row[0] for row in scan(tmp_path)[0]] == [name]


def test_orders_by_bytes_of_the_whole_path(tmp_path: Path) -> None:
    for path in ("a/x", "a-b", "a0", "ab/y"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    assert [row[0] for row in scan(tmp_path)[0]] == [b"a", b"a-b", b"a/x", b"a0", b"ab", b"ab/y"]


def test_links_and_special_files_are_listed_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "to-outside").symlink_to(outside)
    (root / "to-itself").symlink_to("to-itself")
    (root / "to-root").symlink_to(".")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        rows, errors = scan(root)
    assert {row[0]: row[3] for row in rows} == {
        b"fifo": 1,
        b"socket": 12,
        b"to-itself": 10,
        b"to-outside": 10,
        b"to-root": 10,
    }
    assert errors == []


def test_large_directory_is_shared_in_batches(tmp_path: Path) -> None:
    for index in range(1500):  # not a multiple of a batch
        (tmp_path / f"{index:04}").touch()
    assert scan(tmp_path, 8) == (walk(tmp_path), [])


def test_sizes_and_times_beyond_32_bits(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 5 * 2**40)
    os.utime(path, ns=(0, 4_102_444_800_123_456_789))
    rows, _ = scan(tmp_path)
    assert rows[0][1:3] == (5 * 2**40, path.stat().st_mtime_ns)
    os.utime(path, ns=(0, -1_500_000_000))  # before 1970
    assert scan(tmp_path)[0][0][2] == -1_500_000_000


def test_tree_deeper_than_path_max(tmp_path: Path) -> None:
    depth, name = 60, "d" * 200
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    rows, errors = scan(tmp_path)
    assert errors == []
    assert [row[0] for row in rows] == [
        b"/".join([name.encode()] * n) for n in range(1, depth + 1)
    ]


def test_few_descriptors_are_enough_for_a_wide_and_deep_tree(tmp_path: Path) -> None:
    import resource

    for top in range(40):
        (tmp_path / str(top) / "a/b/c/d/e").mkdir(parents=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = max(int(entry) for entry in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 16, hard))
    try:
        rows, errors = scan(tmp_path, 4)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (len(rows), errors) == (240, [])


def test_closes_what_it_opens(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    before = os.listdir("/proc/self/fd")
    scan(tmp_path)
    assert os.listdir("/proc/self/fd") == before


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root reads everything, so be somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_unreadable_directory_is_an_error_and_the_rest_is_listed(tmp_path: Path) -> None:
    (tmp_path / "closed/inner").mkdir(parents=True)
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").chmod(0)
    tmp_path.chmod(0o755)
    with opened(tmp_path) as descriptor, unprivileged():
        rows, errors = scan_descriptor(descriptor)
    (tmp_path / "closed").chmod(0o700)
    assert [row[0] for row in rows] == [b"closed", b"open"]
    assert errors == [(b"closed", errno.EACCES)]


def test_directory_that_may_be_listed_but_not_searched(tmp_path: Path) -> None:
    (tmp_path / "listed/inner").mkdir(parents=True)
    (tmp_path / "listed").chmod(0o444)
    tmp_path.chmod(0o755)
    with opened(tmp_path) as descriptor, unprivileged():
        rows, errors = scan_descriptor(descriptor)
    (tmp_path / "listed").chmod(0o700)
    assert [row[0] for row in rows] == [b"listed"]
    assert errors == [(b"listed/inner", errno.EACCES)]


def test_root_that_is_no_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        *_, errors = madang_native.scan(descriptor, 2)
    finally:
        os.close(descriptor)
    assert errors == [(b"", errno.ENOTDIR)]
    *_, errors = madang_native.scan(descriptor, 2)
    assert errors == [(b"", errno.EBADF)]


def test_zero_threads_are_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as descriptor, pytest.raises(ValueError, match="num_threads"):
        madang_native.scan(descriptor, 0)


def test_files_that_vanish_meanwhile_are_no_errors(tmp_path: Path) -> None:
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for index in range(50):
                folder = tmp_path / f"{index}"
                folder.mkdir()
                (folder / "file").touch()
            for index in range(50):
                (tmp_path / f"{index}" / "file").unlink()
                (tmp_path / f"{index}").rmdir()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(200):
            rows, errors = scan(tmp_path)
            assert errors == []
            assert [row[0] for row in rows] == sorted({row[0] for row in rows})
    finally:
        stop.set()
        thread.join()


def test_a_signal_ends_a_long_scan(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    finished: list[object] = []
    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    try:
        with opened("/") as descriptor, pytest.raises(Stopped):
            # Python itself looks for signals only when `extend` is through.
            finished.extend(map(madang_native.scan, [descriptor], [1]))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert finished == []


def test_other_threads_run_meanwhile(tmp_path: Path) -> None:
    for index in range(20_000):
        (tmp_path / str(index)).touch()
    ticks = [0]
    stop = threading.Event()

    def tick() -> None:
        while not stop.is_set():
            ticks[0] += 1
            time.sleep(0)

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(60)  # nobody is made to give the GIL away
    thread = threading.Thread(target=tick)
    try:
        with opened(tmp_path) as descriptor:
            thread.start()
            before = ticks[0]
            madang_native.scan(descriptor, 1)
            after = ticks[0]
    finally:
        sys.setswitchinterval(interval_s)
        stop.set()
        thread.join()
    assert after > before


def test_columns_outlive_the_rest(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"123")
    with opened(tmp_path) as descriptor:
        sizes = madang_native.scan(descriptor, 1)[2]
    assert sizes.tolist() == [3]
    sizes[0] = 4  # the caller owns it
    assert sizes.tolist() == [4]
