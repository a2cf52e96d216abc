"""chmod, chown and rm against the ordinary commands, on trees with everything in them."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from programs import BIN

NOBODY = 65534
is_root = os.geteuid() == 0
needs_root = pytest.mark.skipif(not is_root, reason="only root may do this")


Done = subprocess.CompletedProcess[str]


def run(*words: str | Path, cwd: Path | None = None, user: int | None = None) -> Done:
    command = [str(word) for word in words]
    if user is not None:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, errors="surrogateescape", check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip


def ours(name: str, *words: str | Path, **options: object) -> Done:
    return run(BIN / f"madang-{name}", *words, **options)  # type: ignore[arg-type]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Where other users may go, too."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for folder in ("a/b/c", "a/empty", "wide", "sp ace/x"):
        (root / folder).mkdir(parents=True)
    for number in range(700):
        (root / "wide" / f"f{number}").touch()
    for path in ("a/one", "a/b/two", "a/b/c/three", "sp ace/it's", "sp ace/new\nline"):
        (root / path).write_text(path)
    (Path(os.fsdecode(os.fsencode(root) + b"/sp ace/\xff\xfe"))).touch()
    os.link(root / "a/one", root / "a/hard")
    (root / "to-outside").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to(".")
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "socket"))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").write_text("precious")
    (tmp_path / "outside/precious").chmod(0o640)
    return root


def modes(root: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files, "."]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            found[os.path.normpath(os.path.relpath(path, root))] = (
                status.st_mode,
                status.st_uid,
                status.st_gid,
            )
    return found


@contextmanager
def two_of(tree: Path) -> Iterator[tuple[Path, Path]]:
    """The tree, and the same beside it."""
    other = tree.with_name("other")
    subprocess.run(["cp", "-a", tree, other], check=True)
    yield tree, other


MODES = [
    "600", "0755", "02775", "06755", "00700", "u+x", "go-rwx", "a=rX", "u=rwX,go=rX", "g+s", "+t",
    "u=g", "o=u-w", "u+s,g-s", "=", "a-x+X", "ug=rw,o=", "+x",
]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_chmod_makes_the_modes_that_chmod_makes(tree: Path, mode: str) -> None:
    with two_of(tree) as (mine, theirs):
        done, known = ours("chmod", "-R", mode, mine), run("chmod", "-R", mode, theirs)
        assert (done.returncode, done.stdout) == (known.returncode, known.stdout)
        assert modes(mine) == modes(theirs)
    assert stat.S_IMODE((tree.parent / "outside/precious").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "mode", ["", "8", "77777", "u", "u+q", "u+r,", ",u+r", "u=4", "z+r", "u+rg"]
)
def test_chmod_refuses_what_is_no_mode(tree: Path, mode: str) -> None:
    done, known = ours("chmod", mode, tree), run("chmod", mode, tree)
    assert (done.returncode, known.returncode) == (1, 1)
    assert f"invalid mode: '{mode}'" in done.stderr


@pytest.mark.parametrize("flag", ["-v", "-c"])
def test_chmod_says_what_chmod_says(tree: Path, flag: str) -> None:
    with two_of(tree) as (mine, theirs):
        done = ours("chmod", flag, "-R", "g=u,o-r", ".", cwd=mine)
        known = run("chmod", flag, "-R", "g=u,o-r", ".", cwd=theirs)
        links = re.compile(r"^neither symbolic link .*\n", re.MULTILINE)
        assert sorted(done.stdout.splitlines()) == sorted(links.sub("", known.stdout).splitlines())


def test_chmod_of_a_mode_with_a_dash(tree: Path) -> None:
    (tree / "a/one").chmod(0o777)
    assert ours("chmod", "-x", tree / "a/one").returncode == 0
    assert stat.S_IMODE((tree / "a/one").stat().st_mode) == 0o666


def test_chmod_dry_run_changes_nothing(tree: Path) -> None:
    before = modes(tree)
    done = ours("chmod", "-R", "--dry-run", "000", tree)
    assert modes(tree) == before
    assert "a/one' changed from 0644 (rw-r--r--) to 0000 (---------)" in done.stdout


@pytest.mark.parametrize("command", ["chmod", "chown", "rm"])
def test_what_does_not_exist_is_told_as_ever(tree: Path, command: str) -> None:
    words = {"chmod": ["600"], "chown": [str(os.getuid())], "rm": []}[command]
    done, known = (
        ours(command, *words, "no such", cwd=tree),
        run(command, *words, "no such", cwd=tree),
    )
    assert (done.returncode, done.stderr.removeprefix("madang-")) == (
        known.returncode,
        known.stderr,
    )


@pytest.mark.parametrize("command", ["chmod", "chown", "rm"])
def test_no_operand_and_unknown_options_are_refused(command: str) -> None:
    for words in ([], ["--no-such-option"]):
        done, known = ours(command, *words), run(command, *words)
        assert done.returncode == known.returncode == 1
        assert done.stderr


@needs_root
@pytest.mark.parametrize("owner", ["1234", "nobody", "1234:5678", ":5678", "nobody:", "+7:+8"])
def test_chown_makes_the_owners_that_chown_makes(tree: Path, owner: str) -> None:
    (tree / "a/one").chmod(0o6755)  # loses its setuid bit
    with two_of(tree) as (mine, theirs):
        done, known = ours("chown", "-R", owner, mine), run("chown", "-R", owner, theirs)
        assert (done.returncode, done.stderr) == (known.returncode, known.stderr)
        assert modes(mine) == modes(theirs)
    assert (tree.parent / "outside/precious").stat().st_uid == 0


@needs_root
def test_chown_only_from_an_owner(tree: Path) -> None:
    os.chown(tree / "a/b", 1, 2)
    done = ours("chown", "-R", "-v", "--from=1:2", "3:4", tree)
    assert {path for path, (_, user, _) in modes(tree).items() if user == 3} == {"a/b"}
    assert f"changed ownership of '{tree}/a/b' from daemon:bin to sys:adm" in done.stdout


@needs_root
def test_chown_of_a_link_follows_it_unless_told(tree: Path) -> None:
    (tree / "link").symlink_to("a/one")
    ours("chown", "-h", "11", tree / "link")
    assert ((tree / "link").lstat().st_uid, (tree / "a/one").stat().st_uid) == (11, 0)
    ours("chown", "12", tree / "link")
    assert ((tree / "link").lstat().st_uid, (tree / "a/one").stat().st_uid) == (11, 12)


@pytest.mark.parametrize("owner", ["no-such-user", ":no-such-group", "4294967295", "-1"])
def test_chown_refuses_unknown_owners(tree: Path, owner: str) -> None:
    done = ours("chown", "--", owner, tree)
    assert done.returncode == 1 and "invalid" in done.stderr


def test_rm_removes_all_and_nothing_else(tree: Path) -> None:
    done = ours("rm", "-rv", tree)
    assert (done.returncode, done.stderr) == (0, "")
    assert not tree.exists()
    assert (tree.parent / "outside/precious").read_text() == "precious"
    assert done.stdout.count("removed '") + done.stdout.count('removed "') == 700 + 12
    assert done.stdout.count("removed directory") == 8


def test_rm_says_what_rm_says(tree: Path) -> None:
    with two_of(tree) as (mine, theirs):
        done = ours("rm", "-rv", *sorted(os.listdir(mine)), cwd=mine)
        known = run("rm", "-rv", *sorted(os.listdir(theirs)), cwd=theirs)
        assert sorted(done.stdout.splitlines()) == sorted(known.stdout.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ["a"],
        ["a/one", "nowhere"],
        ["-d", "a/empty"],
        ["-d", "a"],
        ["-r", "."],
        ["-r", "a/.."],
        ["loop"],
        ["-f", "nowhere"],
        ["-rf", "nowhere", "a"],
        ["fifo", "socket"],
    ],
)
def test_rm_does_what_rm_does(tree: Path, words: list[str]) -> None:
    with two_of(tree) as (mine, theirs):
        done, known = ours("rm", *words, cwd=mine), run("rm", *words, cwd=theirs)
        assert done.returncode == known.returncode
        assert done.stderr.replace("madang-rm", "rm") == known.stderr
        assert modes(mine).keys() == modes(theirs).keys()


def test_rm_of_a_link_with_a_slash_leaves_what_it_points_to(tree: Path) -> None:
    done = ours("rm", "-rf", "to-outside/", cwd=tree)
    assert done.stderr == "madang-rm: cannot remove 'to-outside/': Not a directory\n"
    assert (tree.parent / "outside/precious").exists()


def test_rm_asks_nothing_and_says_so(tree: Path) -> None:
    done = ours("rm", "-i", tree / "a/one")
    assert done.returncode == 1 and "--dry-run" in done.stderr
    assert (tree / "a/one").exists()


def test_rm_keeps_what_is_excluded(tree: Path) -> None:
    done = ours("rm", "-r", "--exclude", "thr*", tree)
    assert done.returncode == 0
    assert modes(tree).keys() == {".", "a", "a/b", "a/b/c", "a/b/c/three"}


def test_rm_dry_run_removes_nothing(tree: Path) -> None:
    before = modes(tree)
    done = ours("rm", "-r", "--dry-run", tree)
    assert modes(tree) == before
    assert f"would remove '{tree}/a/one'" in done.stdout


@needs_root
@pytest.mark.parametrize("command", ["rm -r", "chmod -R 700", "chown -R 65534"])
def test_what_is_closed_is_told_and_the_rest_done(tree: Path, command: str) -> None:
    with two_of(tree) as (mine, theirs):
        for root in (mine, theirs):
            subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", root], check=True)
            os.chown(root / "a/b", 0, 0)
            (root / "a/b").chmod(0o700)
        name, *words = command.split()
        done = (
            ours(name, *words, ".", cwd=mine / "a", user=NOBODY)
            if name != "rm"
            else ours(name, *words, "b", "empty", cwd=mine / "a", user=NOBODY)
        )
        known = (
            run(name, *words, ".", cwd=theirs / "a", user=NOBODY)
            if name != "rm"
            else run(name, *words, "b", "empty", cwd=theirs / "a", user=NOBODY)
        )
        assert done.returncode == known.returncode == 1
        told = set(done.stderr.replace(f"madang-{name}", name).splitlines())
        # chown says of a closed directory that its owner stays, too.
        assert told - {"chown: changing ownership of './b': Operation not permitted"} == set(
            known.stderr.splitlines()
        )
        assert modes(mine) == modes(theirs)


def test_deep_and_few_descriptors(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    os.mkdir(deep)
    descriptor = os.open(deep, os.O_RDONLY)
    for _ in range(150):
        os.mkdir("d" * 100, dir_fd=descriptor)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    few = ["sh", "-c", 'ulimit -n 40; exec "$@"', "-"]
    assert run(*few, BIN / "madang-chmod", "-R", "--jobs", "4", "700", deep).stderr == ""
    done = run(*few, BIN / "madang-rm", "-r", "--jobs", "4", deep)
    assert (done.returncode, done.stderr) == (0, "")
    assert not deep.exists()


@pytest.mark.parametrize("command", ["rm -rf", "chmod -R 755", "chown -R 1234"])
def test_links_planted_meanwhile_are_not_followed(tmp_path: Path, command: str) -> None:
    """Somebody puts links to a place of others where directories and files were a moment ago."""
    if command.startswith("chown") and not is_root:
        pytest.skip("only root may do this")
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    for path in (outside / "f0", outside / "inner/f0"):
        path.write_text("precious")
        path.chmod(0o600)
    before = modes(outside)
    root = tmp_path / "root"
    stop = threading.Event()

    def plant(seed: int) -> None:
        random_ = random.Random(seed)
        while not stop.is_set():
            path = root / f"d{random_.randrange(8)}"
            with suppress(OSError):
                if random_.random() < 0.5:
                    path.rename(root / f"moved{random_.randrange(8)}")
                    path.symlink_to(outside)
                    continue
                folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                with suppress(OSError):
                    os.symlink(outside / "f0", "new", dir_fd=folder)
                    name = f"f{random_.randrange(4)}"
                    os.rename("new", name, src_dir_fd=folder, dst_dir_fd=folder)
                os.close(folder)

    for attempt in range(4):
        for number in range(8):
            (root / f"d{number}/inner").mkdir(parents=True)
            for file in range(30):
                (root / f"d{number}/f{file}").touch()
                (root / f"d{number}/inner/f{file}").touch()
        planters = [threading.Thread(target=plant, args=(10 * attempt + i,)) for i in range(2)]
        stop.clear()
        for planter in planters:
            planter.start()
        name, *words = command.split()
        done = ours(name, *words, root)
        stop.set()
        for planter in planters:
            planter.join()
        assert done.returncode in (0, 1)
        assert modes(outside) == before
        shutil.rmtree(root, ignore_errors=True)
