"""What tests of archives share: running commands, making trees and telling them apart."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

from programs import BIN

TAR = str(BIN / "madang-tar")
UNPACK = str(BIN / "madang-unpack")
GNU_TAR = shutil.which("tar") or ""
MIB = 1024 * 1024


def run(*words: str | Path, cwd: Path, expect: int = 0) -> tuple[str, str]:
    command = [str(word) for word in words]
    finished = subprocess.run(command, cwd=cwd, capture_output=True, check=False, timeout=100)
    out, err = (
        text.decode(errors="surrogateescape") for text in (finished.stdout, finished.stderr)
    )
    assert finished.returncode == expect, f"{command}: {finished.returncode}\n{err}"
    return out, err


def state_of(root: Path) -> dict[bytes, tuple[object, ...]]:
    """What can be told of everything beneath `root`; hard links by the first of their names."""
    top = os.fsencode(root)
    names = [b""]
    for folder, folders, files in os.walk(top):
        names += [os.path.relpath(os.path.join(folder, name), top) for name in folders + files]
    found: dict[bytes, tuple[object, ...]] = {}
    first: dict[tuple[int, int], bytes] = {}
    for name in sorted(names):
        path = os.path.join(top, name)
        status = os.lstat(path)
        kind = stat.S_IFMT(status.st_mode)
        content: object = None
        if kind == stat.S_IFREG:
            content = Path(os.fsdecode(path)).read_bytes()
        elif kind == stat.S_IFLNK:
            content = os.readlink(path)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            content = status.st_rdev
        linked = first.setdefault((status.st_dev, status.st_ino), name)
        owner = (status.st_uid, status.st_gid)
        found[name] = (oct(status.st_mode), owner, status.st_mtime_ns, content, linked)
    return found


def make_tree(root: Path) -> Path:
    (root / "deep" / "er").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "file").write_bytes(b"hello\n")
    (root / "nothing").touch()
    (root / "block").write_bytes(b"x" * 512)
    (root / "large").write_bytes(os.urandom(3 * MIB + 17))
    (root / "deep" / "medium").write_bytes(os.urandom(200_000))
    for name in (b"not utf-8 \xff\xfe", b"new\nline", b" ", b"-dash", "한글".encode(), b"a" * 255):
        Path(os.fsdecode(os.path.join(os.fsencode(root), name))).write_bytes(name)
    folder = root
    for _ in range(20):
        folder = folder / ("d" * 30)
        folder.mkdir()
    (folder / "f").write_text("at the end of a long path")
    (folder / ("ü" * 100)).write_text("and no ASCII")
    (root / "deep" / "hard").hardlink_to(root / "file")
    (root / "deep" / "er" / "hard").hardlink_to(root / "file")
    (root / "deep" / "large").hardlink_to(root / "large")
    (root / "dangling").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to("..")
    (root / "long link").symlink_to("l" * 300)
    os.mkfifo(root / "fifo")
    with (root / "sparse").open("wb") as file:
        file.seek(MIB)
        file.write(b"in the middle")
        file.truncate(4 * MIB)
    with (root / "hole").open("wb") as file:
        file.truncate(MIB)
    for path in (root / "file", root / "dangling", root / "deep"):
        os.utime(path, ns=(0, 1_234_567_890_123_456_789), follow_symlinks=False)
    os.utime(root / "nothing", ns=(0, -1_500_000_000))
    (root / "block").chmod(0o4750)
    (root / "empty").chmod(0o1777)
    return root
