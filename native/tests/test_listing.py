"""ls, find and du against GNU's, on trees with everything in them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import BIN

NOBODY = 65534
is_root = os.geteuid() == 0
needs_root = pytest.mark.skipif(not is_root, reason="only root may do this")
needs_acl = pytest.mark.skipif(shutil.which("setfacl") is None, reason="there is no setfacl")


Answer = tuple[int, bytes, bytes]


def run(
    *words: str | Path, cwd: Path | None = None, user: int | None = None, **environment: str
) -> Answer:
    command = [str(word) for word in words]
    if user is not None:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    done = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
    )
    return done.returncode, done.stdout, done.stderr


def both(
    command: str, *words: str | Path, also: tuple[str, ...] = (), cwd: Path
) -> tuple[Answer, Answer]:
    """What GNU's says, and what ours says with `also` before, as if under its name."""
    theirs = run(command, *words, cwd=cwd)
    code, out, err = run(BIN / f"madang-{command}", *also, *words, cwd=cwd)
    err = err.replace(f"madang-{command}: ".encode(), f"{command}: ".encode())
    plain = theirs[2].replace("‘".encode(), b"'").replace("’".encode(), b"'").replace(b"`", b"'")
    return (theirs[0], theirs[1], plain), (code, out, err)


def lines(answer: Answer, end: bytes = b"\n") -> tuple[int, list[bytes], list[bytes]]:
    return answer[0], sorted(answer[1].split(end)), sorted(answer[2].splitlines())


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """With hard links, links and loops, special files, sparse ones, odd names, depth and width."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tree"
        os.chmod(folder, 0o755)
        make_tree(root)
        yield root


def make_tree(root: Path) -> None:
    for name in ("a/b/c", "a/empty", "wide", "sp ace", "deep" + "/d" * 100, "-rf"):
        (root / name).mkdir(parents=True)
    for number in range(1300):  # more than one batch
        (root / f"wide/{number}.{'txt' if number % 3 else 'dat'}").write_bytes(b"x" * number)
    odd = ("sp ace/new\nline", "sp ace/it's", "한국어", "-rf/-l")
    for name in ("a/one", "a/b/two", ".hidden", *odd):
        (root / name).write_text(name)
    Path(os.fsdecode(os.fsencode(root) + b"/sp ace/\xff\xfe")).touch()
    for name in ("a/hard", "a/b/hard", "wide/hard"):
        os.link(root / "a/one", root / name)
    (root / "to-dir").symlink_to("a")
    (root / "to-file").symlink_to("a/one")
    (root / "to-nowhere").symlink_to("nowhere")
    (root / "a/loop").symlink_to("..")
    (root / "a/itself").symlink_to("itself")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
    if is_root:
        os.mknod(root / "device", 0o020644, os.makedev(1, 3))
        os.mknod(root / "block", 0o060644, os.makedev(259, 12345))
        os.chown(root / "a/one", 12345, 54321)
    os.truncate(root / "a/b/two", 5 << 40)
    os.utime(root / "a/b/two", (0, 0))
    os.utime(root / "wide/7.txt", (4_102_444_800, 4_102_444_800))
    os.utime(root / "wide/8.txt", (-1e9, -1e9))
    modes = {"wide/1.txt": 0o6755, "a/empty": 0o1777, "wide/2.txt": 0, "-rf": 0o3700}
    for name, mode in modes.items():
        (root / name).chmod(mode)
    (root / "wide/4.txt").chmod(0o4644)


LS = [
    "", "-l", "-a", "-A", "-la", "-s", "-ls", "-h", "-lh", "-lsh", "-p", "-lp", "-F", "-lF",
    "-n", "-i", "-li", "-t", "-lt", "-S", "-lS", "-r", "-ltr", "-1", "-d", "-ld",
    "-C -w 40", "-CF -w 60", "-sC -w 50", "-g", "-o", "-lG", "--full-time",
    "-l --time-style=iso", "-l --time-style=+%s%%", "-l --time-style=long-iso", "-X", "-lk",
    "-l --si", "-s --block-size=K", "-l --block-size=M", "-I *2*", "-lcu",
    "--group-directories-first -l",
]  # fmt: skip


@pytest.mark.parametrize("flags", LS)
def test_ls_prints_what_ls_prints(tree: Path, flags: str) -> None:
    for where in ((), ("wide", "a/one", "to-dir", "to-file", "."), ("sp ace", "nowhere")):
        theirs, ours = both("ls", *flags.split(), "--", *where, cwd=tree)
        assert ours == theirs


@pytest.mark.parametrize("flags", ["-R", "-lR", "-laR", "-lsihFR", "-lRt", "-RSr", "-CR"])
def test_ls_of_trees_in_its_order(tree: Path, flags: str) -> None:
    for where in ((), ("a", "wide/", "deep", "to-dir")):
        theirs, ours = both("ls", flags, *where, also=("--sort",), cwd=tree)
        assert ours == theirs


def test_ls_of_trees_in_any_order_has_the_same_parts(tree: Path) -> None:
    theirs, ours = both("ls", "-lR", cwd=tree)
    assert sorted((ours[1] + b"\n").split(b"\n\n")) == sorted((theirs[1] + b"\n").split(b"\n\n"))
    assert lines(ours) == lines(theirs)


@needs_acl
def test_ls_marks_access_control_lists(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").touch()
    for rule, name in (("u:1:r", "file"), ("d:u:1:rx", "folder")):
        if subprocess.run(["setfacl", "-m", rule, tmp_path / name], check=False).returncode != 0:
            pytest.skip("this file system has no access control lists")
    theirs, ours = both("ls", "-la", cwd=tmp_path)
    assert ours == theirs
    assert b"+" in ours[1]


FIND = [
    "", "-type f", "-type l,d", "-name *.txt", "-iname *T", "-path */b/*", "-size +1k",
    "-size -3", "-size 100c", "-mtime +100", "-mtime -3", "-mmin -1200", "-newer ./a/one",
    "-maxdepth 1", "-mindepth 2 -maxdepth 3", "-depth", "-empty", "-perm 644", "-perm -u+s",
    "-perm /111", "-links +1 -type f", "-user root", "-nouser", "-nogroup",
    "( -name a* -o -name b* ) ! -type d -print", "-name a -prune -o -print",
    "-regex .*/[ab].*", "-iregex .*/\\(A\\|W\\)[^/]*", "-lname *a*", "-xtype f", "-xtype l",
    "-samefile ./a/hard", "-newermt 2020-01-01", "-true -false , -name one", "-executable",
    "-writable -type d", "-name one -print -o -name two -print",
    "-not -name *.txt -a -not -name *.dat",
]  # fmt: skip


@pytest.mark.parametrize("expression", FIND)
def test_find_finds_what_find_finds(tree: Path, expression: str) -> None:
    for where in ((".",), ("a", "wide/", "to-dir"), ()):
        theirs, ours = both("find", *where, *expression.split(), cwd=tree)
        assert lines(ours) == lines(theirs)


@pytest.mark.parametrize(
    "format_",
    [
        "%p|%f|%h|%P|%H|%d|%y|%Y|%l\\n",
        "%s|%k|%b|%m|%M|%n|%u|%g|%U|%G|%i|%D\\n",
        "%10s|%-10s|%05m|%#m|%.3f|%6d\\n",
        "%t|%T@|%TY-%Tm-%Td|%T+|%TS|%TT|%Tk|%Tb %Te\\n",
        "x\\ty\\0z\\061\\\\%%\\n",
        "%S\\n",
        "%f\\n\\c not this",
    ],
)
def test_find_formats_as_find(tree: Path, format_: str) -> None:
    theirs, ours = both("find", ".", "a/", "-printf", format_, cwd=tree)
    assert lines(ours) == lines(theirs)


def test_find_in_long_words(tree: Path) -> None:
    theirs = run(
        "find", "wide", "-type", "f", "-name", "*.dat", "-size", "+1", "-print0", cwd=tree
    )
    ours = run(
        BIN / "madang-find",
        "wide",
        "--type",
        "f",
        "--name=*.dat",
        "--size",
        "+1",
        "--print0",
        "--jobs",
        "3",
        cwd=tree,
    )
    assert lines(ours, b"\0") == lines(theirs, b"\0")


def test_find_leaves_out_and_tells_in_json(tree: Path) -> None:
    _, out, _ = run(
        BIN / "madang-find", "--exclude", "wide", "--exclude=d", "--json-lines", cwd=tree
    )
    found = {item["path"]: item for item in map(json.loads, out.splitlines())}
    assert "./wide" not in found and "./deep" in found and "./deep/d" not in found
    assert found["./a/b/two"] | {"mode": "", "group": "", "user": ""} == {
        "path": "./a/b/two",
        "type": "file",
        "mode": "",
        "user": "",
        "group": "",
        "size": 5 << 40,
        "mtime_ns": 0,
    }
    assert "./sp ace/\udcff\udcfe" in found


def test_find_stops_at_the_first(tree: Path) -> None:
    for _ in range(20):
        code, out, _ = run(
            BIN / "madang-find", ".", "-name", "*.txt", "-print", "-quit", "--jobs", "8", cwd=tree
        )
        assert code == 0 and len(out.splitlines()) == 1


def test_find_deletes(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    assert run(BIN / "madang-find", "tree", "-name", "*.txt", "-delete", cwd=tmp_path)[0] == 0
    assert not list(tmp_path.glob("tree/wide/*.txt")) and list(tmp_path.glob("tree/wide/*.dat"))
    assert run(BIN / "madang-find", "tree", "-delete", cwd=tmp_path) == (0, b"", b"")
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-exec rm {} ;", b"-print0 | xargs -0 COMMAND"),
        ("-fprint x", b"> FILE"),
        ("-name", b"missing argument to '-name'"),
        ("( -name x", b"')' is missing"),
        ("-nonsense", b"unknown predicate '-nonsense'"),
        ("-type q", b"letters of"),
        ("-name a b", b"paths must precede expression"),
        ("-size x", b"invalid argument 'x' to '-size'"),
        ("-L", b"never followed"),
        ("-o -name x", b"nothing before '-o'"),
        ("-printf %Q", b"%Q"),
        ("-newer nowhere", b"No such file"),
    ],
)
def test_find_says_what_it_does_not_understand(tree: Path, words: str, says: bytes) -> None:
    code, out, err = run(BIN / "madang-find", *words.split(), cwd=tree)
    assert code == 1 and out == b"" and says in err


DU = [
    "", "-a", "-s", "-h", "-b", "-k", "-m", "-c", "-d 1", "-d0", "-x", "-l", "--inodes",
    "-S", "-ab", "-sh", "-sc --inodes", "--si", "-B 512", "-BM", "--apparent-size -h",
    "--exclude=*.txt", "--exclude=a", "-s --exclude=b/c",
]  # fmt: skip


@pytest.mark.parametrize("flags", DU)
def test_du_sums_up_what_du_sums_up(tree: Path, flags: str) -> None:
    roots = (
        (),
        ("a",),
        ("deep", "wide"),
        ("wide/1.dat", "wide/2.dat"),
        ("a", "a"),
        ("a/", "a/b"),
        ("a/b", "a"),
        ("a/one", "a"),
    )
    for where in roots:
        flags_here = flags.split()
        if not {"-s", "-sh", "-d0", "-sc", "-l"} & set(flags_here):
            flags_here.append("--exclude=hard")  # in which directory it counts is chance
        theirs, ours = both("du", *flags_here, *where, cwd=tree)
        assert lines(ours) == lines(theirs)


def test_du_counts_a_file_in_the_first_argument_that_has_it(tree: Path) -> None:
    for where in (("a", "wide"), ("wide", "a"), ("wide", "a/b", "a/one")):
        theirs, ours = both("du", "-sb", *where, cwd=tree)
        assert ours == theirs


@needs_root
@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("ls", ("-R", "--sort")),
        ("ls", ("-lR", "--sort")),
        ("find", (".", "-size", "+0")),
        ("du", ("-a",)),
    ],
)
def test_what_may_not_be_read_is_told_and_the_rest_is_done(
    tmp_path: Path, command: str, flags: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.chmod(folder, 0o755)
        for name in ("closed/inner", "listed/inner", "open/inner"):
            (root / name).mkdir(parents=True)
            (root / name / "file").write_bytes(b"12")
        (root / "closed").chmod(0)
        (root / "listed").chmod(0o744)
        theirs = run(command, *(flag for flag in flags if flag != "--sort"), cwd=root, user=NOBODY)
        ours = run(BIN / f"madang-{command}", *flags, cwd=root, user=NOBODY)
    code, out, err = ours
    err = err.replace(b"madang-", b"")
    assert (code, sorted(out.splitlines())) == (theirs[0], sorted(theirs[1].splitlines()))
    plain = theirs[2].replace("‘".encode(), b"'").replace("’".encode(), b"'")
    assert sorted(err.splitlines()) == sorted(plain.splitlines())


def test_what_is_not_there_is_told(tree: Path) -> None:
    for command in ("ls", "find", "du"):
        theirs, ours = both(command, "nowhere", "a/empty", cwd=tree)
        assert ours == theirs
        assert ours[0] == (2 if command == "ls" else 1)


def test_ls_in_json(tree: Path) -> None:
    _, out, _ = run(BIN / "madang-ls", "-R", "--json-lines", cwd=tree)
    found = {item["path"]: item for item in map(json.loads, out.splitlines())}
    assert found["./to-dir"]["target"] == "a" and found["./a/one"]["nlink"] == 4
    assert found["./a/b"]["type"] == "directory"
    assert len(found) == len(
        run("find", ".", "-mindepth", "1", "-not", "-name", ".*", "-printf", "x", cwd=tree)[1]
    )


names = st.binary(min_size=1, max_size=12).filter(
    lambda name: name not in (b".", b"..") and not set(name) & set(b"/\0")
)
trees = st.recursive(
    st.integers(0, 9000),
    lambda children: st.dictionaries(names, children, max_size=5),
    max_leaves=25,
).filter(lambda tree: isinstance(tree, dict))


def plant(root: bytes, tree: dict[bytes, object]) -> None:
    for name, child in tree.items():
        path = os.path.join(root, name)
        if isinstance(child, dict):
            os.mkdir(path)
            plant(path, child)
        else:
            with open(path, "wb") as file:
                file.write(b"x" * int(str(child)))


@settings(max_examples=15, deadline=None)
@given(tree=trees, jobs=st.integers(1, 5))
def test_trees_of_any_names(tree: dict[bytes, object], jobs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plant(os.fsencode(folder), tree)
        root = Path(folder)
        theirs, ours = both("ls", "-lAR", also=("--sort", f"--jobs={jobs}"), cwd=root)
        assert ours == theirs
        theirs, ours = both("find", "-print0", cwd=root)
        assert lines(ours, b"\0") == lines(theirs, b"\0")
        theirs, ours = both("du", "-a0", cwd=root)
        assert lines(ours, b"\0") == lines(theirs, b"\0")


def test_trees_that_change_meanwhile(tmp_path: Path) -> None:
    stop = threading.Event()
    (tmp_path / "stays/inner").mkdir(parents=True)

    def churn() -> None:
        while not stop.is_set():
            for index in range(30):
                (tmp_path / f"{index}").mkdir()
                (tmp_path / f"{index}/file").touch()
            for index in range(30):
                (tmp_path / f"{index}/file").unlink()
                (tmp_path / f"{index}").rmdir()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(10):
            for command in (("ls", "-lR"), ("find", "-size", "-9"), ("du", "-a")):
                code, out, err = run(BIN / f"madang-{command[0]}", *command[1:], cwd=tmp_path)
                assert code in (0, 1) and b"stays/inner" in out
                gone = os.strerror(errno.ENOENT).encode()
                assert all(gone in line for line in err.splitlines())
    finally:
        stop.set()
        thread.join()


def test_stat_prints_what_stat_prints(tree: Path) -> None:
    names = [name for name in sorted(os.listdir(tree)) if name != "-rf"]
    every = "%a|%A|%b|%B|%d|%D|%f|%F|%g|%G|%h|%i|%n|%o|%r|%s|%t|%T|%u|%U|%w|%W|%x|%X|%y|%Y|%z|%Z"
    for flags in ((), ("-L",), ("-c", every), ("-c", "%10s|%-10h|%010i|%Hd %Ld %Hr %Lr|%%")):
        theirs, ours = both("stat", *flags, *names, "a/one", "nowhere", cwd=tree)
        assert ours == theirs
    theirs, ours = both("stat", "--printf", "%n\\t%s\\n", *names, cwd=tree)
    assert ours == theirs
    _, out, _ = run(BIN / "madang-stat", "--json-lines", "to-dir", cwd=tree)
    assert json.loads(out)["target"] == "a"
