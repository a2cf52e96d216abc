"""`madang-tar c` against GNU tar and Python's tarfile, on trees with everything in them."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from archives import GNU_TAR, MIB, TAR, make_tree, run, state_of


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


@pytest.mark.parametrize("options", [[], ["--sort=name"], ["--jobs", "1"], ["--zstd"], ["-z"]])
def test_gnu_tar_extracts_what_was_there(tree: Path, options: list[str]) -> None:
    here = tree.parent
    run(TAR, "-c", *options, "-f", "it.tar", "tree", cwd=here)
    (here / "out").mkdir()
    run(GNU_TAR, "-xpf", "it.tar", "-C", "out", cwd=here)
    assert state_of(here / "out" / "tree") == state_of(tree)
    extracted = os.stat(here / "out" / "tree" / "sparse")
    assert extracted.st_blocks * 512 < MIB, "GNU tar has lost the holes"


def test_tarfile_reads_what_was_there(tree: Path) -> None:
    run(TAR, "cf", "it.tar", "tree", cwd=tree.parent)
    expected = state_of(tree)
    with tarfile.open(tree.parent / "it.tar") as archive:
        members = archive.getmembers()
        assert len(members) == len(expected)
        for member in members:
            name = os.path.relpath(os.fsencode(member.name), b"tree")
            mode, _, mtime_ns, content, linked = expected[b"" if name == b"." else name]
            if member.islnk():
                target = os.path.relpath(os.fsencode(member.linkname), b"tree")
                assert expected[target][4] == linked
            elif member.isfile():
                file = archive.extractfile(member)
                assert file and file.read() == content
            elif member.issym():
                assert os.fsencode(member.linkname) == content
            assert member.mode == int(str(mode), 8) & 0o7777
            assert abs(member.mtime - int(str(mtime_ns)) / 1e9) < 1e-6


def test_order_by_name_is_gnus_and_the_bytes_are_the_same_each_time(tree: Path) -> None:
    here = tree.parent
    for number in range(3):
        jobs = ["--jobs", str(1 + 15 * number)]
        run(TAR, "-c", "--sort=name", *jobs, "-f", f"{number}.tar", "tree", "tree/deep", cwd=here)
    assert (here / "0.tar").read_bytes() == (here / "1.tar").read_bytes()
    assert (here / "0.tar").read_bytes() == (here / "2.tar").read_bytes()
    run(GNU_TAR, "-c", "--sort=name", "-f", "gnu.tar", "tree", "tree/deep", cwd=here)
    ours, _ = run(GNU_TAR, "tf", "0.tar", cwd=here)
    theirs, _ = run(GNU_TAR, "tf", "gnu.tar", cwd=here)
    assert ours == theirs


def test_directories_and_targets_of_links_come_first(tmp_path: Path) -> None:
    for a in range(10):
        (tmp_path / "t" / str(a) / "b").mkdir(parents=True)
    for a in range(10):
        for b in range(10):
            file = tmp_path / "t" / str(a) / "b" / str(b)
            file.write_bytes(b"x" * 100 * b)
            (tmp_path / "t" / str(9 - a) / f"{a}{b}").hardlink_to(file)
    run(TAR, "cf", "it.tar", "--jobs", "32", "t", cwd=tmp_path)
    seen = set()
    with tarfile.open(tmp_path / "it.tar") as archive:
        for member in archive:
            assert member.name == "t" or os.path.dirname(member.name) in seen
            assert not member.islnk() or member.linkname in seen
            seen.add(member.name)
    assert len(seen) == 1 + 20 + 200


def test_standard_output_and_two_compressions(tree: Path) -> None:
    here = tree.parent
    plain = subprocess.run([TAR, "c", "--sort=name", "tree"], cwd=here, capture_output=True)
    assert plain.returncode == 0
    zipped = subprocess.run([TAR, "cz", "--sort=name", "tree"], cwd=here, capture_output=True)
    assert gzip.decompress(zipped.stdout) == plain.stdout
    run(TAR, "caf", "it.tar.zst", "--sort=name", "--level", "7", "tree", cwd=here)
    if zstd := shutil.which("zstd"):
        (here / "it.tar").unlink(missing_ok=True)
        run(zstd, "-q", "-d", "it.tar.zst", cwd=here)
        assert (here / "it.tar").read_bytes() == plain.stdout


def test_names_directories_and_excluded_ones(tree: Path) -> None:
    here = tree.parent
    words = ["--exclude", "er", "-C", "tree", "deep", "-C", "../tree/deep", "medium"]
    for program, file in ((TAR, "a.tar"), (GNU_TAR, "b.tar")):
        run(program, "-cf", here / file, *words, cwd=here)
    ours, _ = run(GNU_TAR, "tf", "a.tar", cwd=here)
    theirs, _ = run(GNU_TAR, "tf", "b.tar", cwd=here)
    assert sorted(ours.splitlines()) == sorted(theirs.splitlines())
    absolute = str(tree / "deep")
    _, err = run(TAR, "-cf", "a.tar", absolute, "tree/../tree/file", cwd=here)
    assert "Removing leading `/' from member names" in err
    assert "Removing leading `tree/../' from member names" in err
    ours, _ = run(GNU_TAR, "tf", "a.tar", cwd=here)
    assert absolute.lstrip("/") + "/medium" in ours.splitlines()
    assert "tree/file" in ours.splitlines()
    run(TAR, "-cPf", "a.tar", absolute, cwd=here)
    assert run(GNU_TAR, "tPf", "a.tar", cwd=here)[0].startswith("/")


def test_owner_time_and_no_recursion(tree: Path) -> None:
    words = ["--owner", "lee:1234", "--group", ":77", "--mtime", "@1000000000", "--no-recursion"]
    out, _ = run(TAR, "-cvf", "it.tar", *words, "tree", "tree/file", cwd=tree.parent)
    assert sorted(out.splitlines()) == ["tree/", "tree/file"]
    with tarfile.open(tree.parent / "it.tar") as archive:
        for member in archive:
            assert (member.uname, member.uid, member.gid) == ("lee", 1234, 77)
            assert member.mtime == 1_000_000_000


def test_sockets_and_the_archive_itself_are_left_out(tree: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tree / "socket"))
        _, err = run(TAR, "cf", "tree/it.tar", "tree", cwd=tree.parent)
    assert "tree/socket: socket ignored" in err
    _, err = run(TAR, "cf", "tree/it.tar", "tree", cwd=tree.parent)
    assert "tree/it.tar: file is the archive; not dumped" in err
    names, _ = run(GNU_TAR, "tf", "tree/it.tar", cwd=tree.parent)
    assert not [name for name in names.splitlines() if "it.tar" in name or "socket" in name]


def test_what_is_missing_or_unreadable_is_told_and_the_rest_is_there(tree: Path) -> None:
    (tree / "secret").write_text("nobody may read this")
    (tree / "secret").chmod(0)
    (tree / "closed").mkdir(mode=0)
    words = [TAR, "-cf", "it.tar", "tree", "missing"]
    if os.geteuid() == 0:
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *words]
        for folder in (tree.parent, *tree.parent.parents):
            if folder.stat().st_uid == 0 and not folder.stat().st_mode & 1:
                folder.chmod(folder.stat().st_mode | 0o1)  # pytest's are closed to others
        tree.parent.chmod(0o777)
    _, err = run(*words, cwd=tree.parent, expect=2)
    assert "tree/secret: Cannot open: Permission denied" in err
    assert "tree/closed: Cannot open: Permission denied" in err
    assert "missing: Cannot stat: No such file or directory" in err
    assert "Exiting with failure status due to previous errors" in err
    names, _ = run(GNU_TAR, "tf", "it.tar", cwd=tree.parent)
    assert "tree/file" in names.splitlines()


def test_attributes_and_acls(tree: Path) -> None:
    here = tree.parent
    try:
        os.setxattr(tree / "file", "user.note", b"\0binary\xff=%")
        os.setxattr(tree / "deep", "user.a=b%c", b"odd name")
    except OSError:
        pytest.skip("no extended attributes here")
    # user::rw- user:1:r-- group::r-- mask::r-- other::---
    parts = [(1, 6, -1), (2, 4, 1), (4, 4, -1), (16, 4, -1), (32, 0, -1)]
    acl = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little")
        + bits.to_bytes(2, "little")
        + (who & 0xFFFFFFFF).to_bytes(4, "little")
        for tag, bits, who in parts
    )
    with_acl = True
    try:
        os.setxattr(tree / "block", "system.posix_acl_access", acl)
        os.setxattr(tree / "deep", "system.posix_acl_default", acl)
    except OSError:
        with_acl = False
    run(TAR, "-c", "--xattrs", "--acls", "-f", "it.tar", "tree", cwd=here)
    (here / "out").mkdir()
    words = ["-xpf", "it.tar", "--xattrs", "--xattrs-include=*", "--acls", "-C", "out"]
    run(GNU_TAR, *words, cwd=here)
    out = here / "out" / "tree"
    assert os.getxattr(out / "file", "user.note") == b"\0binary\xff=%"
    assert os.getxattr(out / "deep", "user.a=b%c") == b"odd name"
    if with_acl:
        assert os.getxattr(out / "block", "system.posix_acl_access") == acl
        assert os.getxattr(out / "deep", "system.posix_acl_default") == acl


@pytest.fixture
def mutator(tree: Path) -> Iterator[threading.Event]:
    """Makes, cuts and removes files in `tree` until told to stop."""
    stop = threading.Event()

    def mutate() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            path = tree / "deep" / f"m{number % 50}"
            path.write_bytes(b"y" * (number * 7919 % 400_000))
            os.truncate(path, number % 100)
            (tree / "deep" / f"m{(number + 25) % 50}").unlink(missing_ok=True)
            shutil.rmtree(tree / "moving", ignore_errors=True)
            (tree / "moving" / "a").mkdir(parents=True, exist_ok=True)
            (tree / "moving" / "a" / "f").touch()

    thread = threading.Thread(target=mutate)
    thread.start()
    yield stop
    stop.set()
    thread.join()


def test_an_archive_is_whole_though_files_change_meanwhile(
    tree: Path, mutator: threading.Event
) -> None:
    for number in range(10):
        words = [TAR, "-c", "-f", "it.tar", "--jobs", str(1 + number % 5 * 4), "tree"]
        finished = subprocess.run(words, cwd=tree.parent, capture_output=True, check=False)
        assert finished.returncode in (0, 1), finished.stderr
        with tarfile.open(tree.parent / "it.tar") as archive:
            for member in archive:
                if member.isfile():
                    file = archive.extractfile(member)
                    assert file and len(file.read()) == member.size
        run(GNU_TAR, "tf", "it.tar", cwd=tree.parent)
    mutator.set()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_is_not_whole_has_not_the_name(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "t").mkdir()
    for number in range(8):
        (tmp_path / "t" / str(number)).write_bytes(bytes(8 * MIB))
    words = [TAR, "-c", "-z", "--level", "9", "-f", "it.tar", "t"]
    process = subprocess.Popen(words, cwd=tmp_path)
    while not list(tmp_path.glob(".it.tar.*.part")):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(how)
    assert process.wait() == -how
    assert not (tmp_path / "it.tar").exists()
    if how == signal.SIGTERM:
        assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_a_full_disk_is_told() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    _, err = run(TAR, "cf", "/dev/full", __file__, cwd=Path("/"), expect=2)
    assert "/dev/full: Cannot write: No space left on device" in err


@pytest.mark.parametrize(
    "words",
    [["cf"], ["-cx"], ["cf", "x"], ["-c", "--sort=size", "x"], ["-c", "--mtime=never", "x"], []],
)
def test_a_command_line_that_means_nothing(tmp_path: Path, words: list[str]) -> None:
    _, err = run(TAR, *words, cwd=tmp_path, expect=2)
    assert err.startswith("madang-tar: ")
    assert not list(tmp_path.iterdir())


def test_links_to_files_are_followed_where_asked_for(tree: Path) -> None:
    (tree / "to file").symlink_to("large")
    run(TAR, "-chf", "it.tar", "tree", cwd=tree.parent, expect=2)  # some lead nowhere
    with tarfile.open(tree.parent / "it.tar") as archive:
        member = archive.getmember("tree/to file")
        assert member.islnk() or member.size == (tree / "large").stat().st_size
        assert archive.getmember("tree/up").issym()
