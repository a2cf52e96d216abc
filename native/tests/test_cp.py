"""cp against GNU's, on trees with everything in them; and what GNU's does not promise."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
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


@pytest.fixture
def tmp_path() -> Iterator[Path]:
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


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    make_tree(root)
    return root


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


# -- as GNU's ----------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", ["1", "8"])
@pytest.mark.parametrize(
    "flags",
    [
        "-r", "-a", "-rp", "-rd", "-rT", "-rx", "-rlP",
        "-R --preserve=mode", "-R --preserve=timestamps", "-R --preserve=links",
        "-a --no-preserve=mode", "-a --no-preserve=ownership",
        "-r --sparse=always", "-a --sparse=never", "-r --reflink=never",
    ],
)  # fmt: skip
def test_trees_are_copied_as_gnu_does(tree: Path, flags: str, jobs: str) -> None:
    theirs = run("cp", *flags.split(), tree, tree.with_name("theirs"))
    mine = cp(*flags.split(), f"--jobs={jobs}", tree, tree.with_name("ours"))
    assert (mine.returncode, mine.stderr) == (theirs.returncode, theirs.stderr)
    times = "-a" in flags or "times" in flags or "p" in flags.split("-")[1]
    expected = described(tree.with_name("theirs"), times)
    assert described(tree.with_name("ours"), times) == expected
    assert not leftovers(tree.parent)


@needs_root
@pytest.mark.parametrize("flags", ["-r", "-a", "-rp"])
def test_others_files_are_copied_as_gnu_does(tree: Path, flags: str) -> None:
    (tree / "secret").write_text("x")
    (tree / "secret").chmod(0o600)
    (tree / "closed").mkdir(mode=0o700)
    (tree / "closed/x").touch()
    (tree / "null").unlink()
    answers = []
    for number, command in enumerate((Path("cp"), BIN / "madang-cp")):
        target = tree.parent / f"by-nobody{number}"
        target.mkdir()
        os.chown(target, NOBODY, NOBODY)
        answer = run(command, flags, "tree", target, cwd=tree.parent, user=NOBODY)
        errors = {
            line.split(": ", 1)[1].replace(str(target), "T") for line in answer.stderr.splitlines()
        }
        answers.append((answer.returncode, errors, described(target, flags != "-r")))
    assert answers[0][0] == 1
    for side in answers:
        del side[2]["."]
    assert answers[1] == answers[0]


def both(tmp_path: Path, *words: str, before: str = "") -> tuple[Answer, Answer]:
    """The same words in two folders that a script has filled alike."""
    answers = []
    for name, command in (("theirs", Path("cp")), ("ours", BIN / "madang-cp")):
        folder = tmp_path / name
        folder.mkdir()
        subprocess.run(["bash", "-ec", before], cwd=folder, check=True)
        answers.append(run(command, *words, cwd=folder))
    return answers[0], answers[1]


FILLED = """
mkdir -p a/sub d e/a; echo 1 > a/f; echo 2 > a/sub/g; echo old > d/f; echo x > file
chmod 640 d/f; ln -s file link; ln -s d to-d; ln -s nowhere dangling; mkdir -p other/a; echo 3 > other/a/f
mkdir -p t/a; echo newer > t/a/f; mkdir -p u/f; ln -s ../../file t/a/sub; mkfifo pipe
touch -d 2001-01-01 a/f; touch -d 2002-01-01 t/a/f
"""


@pytest.mark.parametrize(
    "words",
    [
        "file new", "file d", "file d/", "file new/", "file no/where", "nowhere d", "a d", "file file",
        "file link", "link new", "-P link new", "-r link new", "-P link d", "file to-d", "file dangling/x",
        "-r a new", "-r a d", "-r a/ d", "-r a/. d", "-r . d/new", "-r a a", "-r a a/sub", "-r a a/sub/new",
        "-r a other/a d", "-r a a d", "file link d", "file file d", "a/f other/a/f d", "-t d file a/f",
        "-r -t d a file", "-T file d", "-rT a d", "-rT a a", "-r a file", "file u", "a/f u", "-r u/f file",
        "-n file d/f", "-u a/f t/a/f", "-u file a/f", "-rT a t/a", "-rnT a t/a", "-ruT a t/a", "-v file new",
        "-l file new", "-rlP a new", "-rv pipe new", "file /dev/null", "-f file d/f", "-p a/f d/f",
        "-r d/. to-d", "file ''", "-rp a/. new", "-dr link new", "-a a d file link new", "-r link to-d d",
        "-H link new", "-rH to-d new", "-rL link d", "-rT a to-d", "-rf a/sub/. t/a/f", "file a/../d",
    ],
)  # fmt: skip
def test_odd_cases_end_as_gnus(tmp_path: Path, words: str) -> None:
    arguments = ["" if word == "''" else word for word in words.split()]
    theirs, mine = both(tmp_path, *arguments, before=FILLED)
    expected = theirs.stderr.replace("'ours'", "'theirs'")
    assert (mine.returncode, mine.stderr.replace("madang-cp:", "cp:"), mine.stdout) == (
        theirs.returncode, expected, theirs.stdout,
    )  # fmt: skip
    found = described(tmp_path / "ours")
    if words not in ("-r . d/new", "-r a a/sub", "-r a a/sub/new"):  # theirs stops half-way
        assert found == described(tmp_path / "theirs")


def test_without_operands_it_says_what_is_missing(tmp_path: Path) -> None:
    assert cp(cwd=tmp_path).returncode != 0
    assert "missing file operand" in cp(cwd=tmp_path).stderr
    assert "missing destination file operand after 'x'" in cp("x", cwd=tmp_path).stderr
    assert "asks nothing" in cp("-i", "x", "y", cwd=tmp_path).stderr


def test_standard_input_and_output_can_be_copied(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text\n")
    assert cp("file", "/dev/stdout", cwd=tmp_path).stdout == "text\n"
    command = f"'{BIN}/madang-cp' <(echo piped) new && cat new"
    assert run("bash", "-c", command, cwd=tmp_path).stdout == "piped\n"
