"""Trees with everything in them, and what can be told of a tree: for the tests of cp and sync."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from programs import BIN

NOBODY = 65534
is_root = os.geteuid() == 0
needs_root = pytest.mark.skipif(not is_root, reason="only root may do this")

Answer = subprocess.CompletedProcess[str]


def run(*words: str | Path, cwd: Path | None = None, user: int | None = None) -> Answer:
    command = [str(word) for word in words]
    if user is not None:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, errors="surrogateescape", check=False,
        env=environment, timeout=120,
    )  # fmt: skip


def cp(*words: str | Path, cwd: Path | None = None, user: int | None = None) -> Answer:
    return run(BIN / "madang-cp", *words, cwd=cwd, user=user)


def sync(*words: str | Path, cwd: Path | None = None, user: int | None = None) -> Answer:
    return run(BIN / "madang-sync", *words, cwd=cwd, user=user)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Where other users may go, too."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
        subprocess.run(["chmod", "-R", "u+rwx", folder], check=False)


def make_tree(root: Path) -> None:
    for folder in (
        "a/b/c",
        "a/empty",
        "wide",
        "sp ace/x",
        "no-write",
        "sticky",
        "deep" + "/d" * 60,
    ):
        (root / folder).mkdir(parents=True)
    chance = random.Random(5)
    for number in range(300):
        (root / "wide" / f"f{number}").write_bytes(
            chance.randbytes(chance.choice((0, 1, 100, 4096)))
        )
    for number, size in enumerate((131071, 131072, 131073, 1 << 20, 3_000_001)):
        (root / "a" / f"size{number}").write_bytes(chance.randbytes(size))
    for path in (
        "a/one",
        "a/b/two",
        "a/b/c/three",
        "sp ace/it's",
        "sp ace/new\nline",
        "no-write/file",
    ):
        (root / path).write_text(path)
    Path(os.fsdecode(os.fsencode(root) + b"/sp ace/\xff\xfe")).touch()
    for name in ("a/hard", "a/b/hard", "wide/hard"):
        os.link(root / "a/one", root / name)
    with open(root / "a/sparse", "wb") as file:
        file.truncate(4 << 20)
        file.seek(1 << 20)
        file.write(b"x" * 5000)
    with open(root / "a/all-hole", "wb") as file:
        file.truncate(1 << 20)
    (root / "to-file").symlink_to("a/one")
    (root / "to-directory").symlink_to("a")
    (root / "loop").symlink_to(".")
    (root / "dangling").symlink_to("x" * 3000)
    os.mkfifo(root / "fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "socket"))
    for path, mode in (
        ("a/one", 0o600),
        ("a/b/two", 0o4751),
        ("sticky", 0o1777),
        ("no-write", 0o555),
        ("a/b", 0o2750),
    ):
        (root / path).chmod(mode)
    with suppress(OSError):
        os.setxattr(root / "a/b/two", "user.colour", b"blue\0and green")
        os.setxattr(root / "a/b", "user.colour", b"red")
    if is_root:
        os.mknod(root / "null", stat.S_IFCHR | 0o620, os.makedev(1, 3))
        os.chown(root / "a/b/two", NOBODY, 4711)
        (root / "a/b/two").chmod(0o6751)
        os.chown(root / "to-file", NOBODY, 4711, follow_symlinks=False)
        os.chown(root / "wide", NOBODY, NOBODY)
    if shutil.which("setfacl"):
        run("setfacl", "-m", "u:1234:rw", root / "a/size1")
        run("setfacl", "-m", "d:u:1234:rwx", root / "sticky")
        (root / "sticky/in-it").touch()
    for number, path in enumerate(("a/one", "a/b", "to-file", "fifo", "no-write", "wide")):
        os.utime(
            root / path,
            ns=(10**18 + number, 11 * 10**17 + 123456789 + number),
            follow_symlinks=False,
        )


def described(root: Path, times: bool = False) -> dict[str, tuple[object, ...]]:
    """All that can be told of a tree, but its hard links are named by their first path."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[tuple[int, int], str] = {}
    paths = [
        os.path.join(folder, name)
        for folder, folders, files in os.walk(root)
        for name in [*folders, *files]
    ]
    for path in [os.fspath(root), *sorted(paths)]:
        status = os.lstat(path)
        name = os.path.relpath(path, root)
        content: object = None
        if stat.S_ISREG(status.st_mode):
            with open(path, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        link = (
            None
            if stat.S_ISDIR(status.st_mode)
            else first.setdefault((status.st_dev, status.st_ino), name)
        )
        xattrs = {}
        with suppress(OSError):
            attributes = os.listxattr(path, follow_symlinks=False)
            xattrs = {name: os.getxattr(path, name, follow_symlinks=False) for name in attributes}
        found[name] = (
            oct(status.st_mode), status.st_uid, status.st_gid, status.st_rdev,
            content, link, xattrs,
            status.st_mtime_ns if times else 0,
            status.st_blocks if content and times else 0,
        )  # fmt: skip
    return found


def leftovers(folder: Path) -> list[str]:
    return [
        name
        for _, folders, files in os.walk(folder)
        for name in [*folders, *files]
        if ".madang-part" in name
    ]
