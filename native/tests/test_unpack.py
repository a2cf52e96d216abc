"""`madang-unpack` and `madang-tar x`: what others make, and what nobody should."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from archives import GNU_TAR, MIB, TAR, UNPACK, make_tree, run, state_of


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o644
    return info


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# -- what others make ----------------------------------------------------------------------------

GNU_FORMATS = [
    ["--format=gnu"],
    ["--format=gnu", "-S"],
    ["--format=posix"],
    ["--format=posix", "-S", "--sparse-version=0.0"],
    ["--format=posix", "-S", "--sparse-version=0.1"],
    ["--format=posix", "-S", "--sparse-version=1.0"],
    ["-z"],
]


@pytest.mark.parametrize("options", GNU_FORMATS, ids=" ".join)
@pytest.mark.parametrize("jobs", ["1", "16"])
def test_what_gnu_tar_made_is_as_it_was(tree: Path, options: list[str], jobs: str) -> None:
    here = tree.parent
    if "--format=posix" not in options:
        os.utime(tree / "nothing", (0, 0))
        options = [*options, "--mtime=@1000000000"]  # the old formats know whole seconds only
    run(GNU_TAR, "-c", *options, "-f", "it.tar", "tree", cwd=here)
    run(GNU_TAR, "-xpf", "it.tar", "-C", make(here / "theirs"), cwd=here)
    run(TAR, "-xpf", "it.tar", "-C", make(here / "ours"), "--jobs", jobs, cwd=here)
    assert state_of(here / "ours" / "tree") == state_of(here / "theirs" / "tree")
    if "-S" in options:
        assert os.stat(here / "ours" / "tree" / "sparse").st_blocks * 512 < MIB


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("options", [[], ["-z"], ["--zstd"]], ids=" ".join)
def test_there_and_back(tree: Path, options: list[str]) -> None:
    here = tree.parent
    run(TAR, "-c", *options, "-f", "it.tar", "tree", cwd=here)
    run(UNPACK, "it.tar", "-p", "--same-owner", "--verify", "-d", "new/ours", cwd=here)
    assert state_of(here / "new" / "ours" / "tree") == state_of(tree)
    run("sh", "-c", f"cat it.tar | {UNPACK} - -p -d piped", cwd=here)
    assert state_of(here / "piped" / "tree") == state_of(tree)


def test_listing_is_gnus(tree: Path) -> None:
    here = tree.parent
    for options in (["--format=gnu"], ["--format=posix"]):
        run(GNU_TAR, "-cS", *options, "-f", "it.tar", "tree", cwd=here)
        for how in ("tf", "tvf"):
            assert run(TAR, how, "it.tar", cwd=here) == run(GNU_TAR, how, "it.tar", cwd=here)
        assert run(TAR, "tf", "it.tar", "tree/deep", cwd=here) == run(
            GNU_TAR, "tf", "it.tar", "tree/deep", cwd=here
        )
    _, err = run(TAR, "tf", "it.tar", "nowhere", cwd=here, expect=2)
    assert "nowhere: Not found in archive" in err


def test_zip_of_zipfile(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "it.zip", "w") as archive:
        archive.writestr("stored", b"s" * 1000)
        archive.writestr("folder/deflated", b"d" * 3 * MIB, zipfile.ZIP_DEFLATED)
        archive.writestr("한글 ü", b"utf-8")
        info = zipfile.ZipInfo("script", (2020, 2, 2, 2, 2, 2))
        info.external_attr = (stat.S_IFREG | 0o4755) << 16
        archive.writestr(info, b"#!/bin/sh\n")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, b"folder/deflated")
        archive.mkdir("empty/")
        archive.writestr("nothing", b"")
        with archive.open(zipfile.ZipInfo("zip64"), "w", force_zip64=True) as file:
            file.write(b"64" * 1000)
    out, _ = run(UNPACK, "it.zip", "-d", "out", "--json-lines", cwd=tmp_path)
    rows = [json.loads(line) for line in out.splitlines()]
    assert {row["name"] for row in rows} >= {"stored", "한글 ü", "empty/"}
    assert all(row["result"] == "made" for row in rows)
    out_dir = tmp_path / "out"
    with zipfile.ZipFile(tmp_path / "it.zip") as archive:
        for name in archive.namelist():
            if not name.endswith("/") and name != "link":
                assert (out_dir / name).read_bytes() == archive.read(name)
    assert os.readlink(out_dir / "link") == "folder/deflated"
    assert (out_dir / "empty").is_dir()
    mode = (out_dir / "script").stat().st_mode
    assert mode & 0o100 and not mode & stat.S_ISUID
    assert time.localtime((out_dir / "script").stat().st_mtime)[:6] == (2020, 2, 2, 2, 2, 2)


def test_many_archives_at_once_and_names_that_are_chosen(tmp_path: Path) -> None:
    for number in range(5):
        one = tar_of(
            tmp_path / f"{number}.tar", (member(f"t/{number}/f"), b"x"), (member("t/same"), b"y")
        )
        assert one.exists()
    archives = [f"{number}.tar" for number in range(5)]
    run(
        UNPACK,
        *archives,
        "-d",
        "out",
        "--strip-components",
        "1",
        "--exclude",
        "same",
        cwd=tmp_path,
    )
    assert [name for name in names_in(tmp_path / "out") if "/" in name] == [
        f"{n}/f" for n in range(5)
    ]
    run(UNPACK, "0.tar", "-d", "one", "--member", "t/same", cwd=tmp_path)
    assert names_in(tmp_path / "one") == ["t", "t/same"]
    _, err = run(UNPACK, "missing.tar", "0.tar", "-d", "rest", cwd=tmp_path, expect=2)
    assert "missing.tar: Cannot open: No such file or directory" in err
    assert (tmp_path / "rest" / "t" / "0" / "f").exists()


def test_what_comes_later_replaces_what_came_before(tmp_path: Path) -> None:
    parts = [(member("f"), b"1" * 100_000), (member("l", tarfile.LNKTYPE, "f"), b"")]
    parts += [(member("f"), b"2" * number) for number in range(50)]
    tar_of(tmp_path / "it.tar", *parts)
    run(UNPACK, "it.tar", "-d", "out", "--jobs", "8", cwd=tmp_path)
    assert (tmp_path / "out" / "f").read_bytes() == b"2" * 49
    assert (tmp_path / "out" / "l").read_bytes() == b"1" * 100_000


# -- what leads outside --------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory beside the target that must stay as it is."""
    folder = make(tmp_path / "outside")
    (folder / "precious").write_text("as it was")
    yield folder
    assert names_in(folder) == ["precious"]
    assert (folder / "precious").read_text() == "as it was"
    assert (folder / "precious").stat().st_nlink == 1


HOSTILE: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
    "dots": [(member("../outside/precious"), b"bad")],
    "dots within": [(member("a/../../outside/precious"), b"bad")],
    "link, then through it": [
        (member("l", tarfile.SYMTYPE, "../outside"), b""),
        (member("l/precious"), b"bad"),
        (member("l/new"), b"bad"),
        (member("l/folder", tarfile.DIRTYPE), b""),
    ],
    "absolute link, then through it": [
        (member("l", tarfile.SYMTYPE, "OUTSIDE"), b""),
        (member("l/new"), b"bad"),
    ],
    "link to a file, then the file": [
        (member("f", tarfile.SYMTYPE, "../outside/precious"), b""),
        (member("f"), b"bad"),
    ],
    "hard link": [
        (member("h", tarfile.LNKTYPE, "../outside/precious"), b""),
        (member("h"), b"bad"),
    ],
    "hard link through a link": [
        (member("l", tarfile.SYMTYPE, "../outside"), b""),
        (member("h", tarfile.LNKTYPE, "l/precious"), b""),
        (member("h"), b"bad"),
    ],
    "link for a directory": [
        (member("d", tarfile.DIRTYPE), b""),
        (member("d", tarfile.SYMTYPE, "../outside"), b""),
        (member("d/new"), b"bad"),
    ],
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("program", [UNPACK, TAR])
def test_nothing_is_written_outside(
    tmp_path: Path, outside: Path, name: str, program: str
) -> None:
    members = HOSTILE[name]
    for info, _ in members:
        info.linkname = info.linkname.replace("OUTSIDE", str(outside))
    tar_of(tmp_path / "it.tar", *members)
    make(tmp_path / "out")
    for jobs in ("1", "8"):
        words = ["it.tar", "-d", "out"] if program == UNPACK else ["-xf", "it.tar", "-C", "out"]
        finished = subprocess.run(
            [program, *words, "--jobs", jobs], cwd=tmp_path, capture_output=True
        )
        assert finished.returncode in (0, 2)
        assert names_in(outside) == ["precious"]


def test_links_that_were_there_are_not_followed(tmp_path: Path, outside: Path) -> None:
    tar_of(tmp_path / "it.tar", (member("l/precious"), b"bad"), (member("f"), b"fine"))
    make(tmp_path / "out")
    (tmp_path / "out" / "l").symlink_to(outside)
    (tmp_path / "out" / "f").symlink_to(outside / "precious")
    _, err = run(UNPACK, "it.tar", "-d", "out", cwd=tmp_path, expect=2)
    assert "l/precious: Cannot open: a symbolic link" in err
    assert (tmp_path / "out" / "f").read_text() == "fine"
    assert not (tmp_path / "out" / "f").is_symlink()


def test_links_that_are_planted_meanwhile_are_not_followed(tmp_path: Path, outside: Path) -> None:
    members = [(member(f"d{number % 20}/f{number}"), b"x" * 100) for number in range(2000)]
    tar_of(tmp_path / "it.tar", *members)
    target = make(tmp_path / "out")
    stop = threading.Event()

    def plant() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            path = target / f"d{number % 20}"
            try:
                if path.is_symlink():
                    path.unlink()
                else:
                    path.rename(target / f"old{number}")
                    path.symlink_to(outside)
            except OSError:
                pass

    thread = threading.Thread(target=plant)
    thread.start()
    for _ in range(3):
        subprocess.run(
            [UNPACK, "it.tar", "-d", "out", "--jobs", "8"], cwd=tmp_path, capture_output=True
        )
    stop.set()
    thread.join()


def test_absolute_names_go_beneath_the_target(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "it.tar", "w") as archive:
        archive.addfile(member("/etc/f"), io.BytesIO(b""))
    _, err = run(UNPACK, "it.tar", "-d", "out", cwd=tmp_path)
    assert "Removing leading `/' from member names" in err
    assert (tmp_path / "out" / "etc" / "f").exists()


def test_modes_owners_and_devices(tmp_path: Path) -> None:
    info = member("suid")
    info.mode, info.uid, info.gid = 0o6777, 12345, 12345
    device = member("null", tarfile.CHRTYPE)
    device.devmajor, device.devminor = 1, 3
    tar_of(tmp_path / "it.tar", (info, b"x"), (device, b""))
    _, err = run("sh", "-c", f"umask 027; exec {UNPACK} it.tar -d out", cwd=tmp_path)
    assert "null: a device is not made" in err
    status = (tmp_path / "out" / "suid").stat()
    assert stat.S_IMODE(status.st_mode) == 0o750
    assert status.st_uid == os.geteuid()
    run(UNPACK, "it.tar", "-d", "out", "-p", cwd=tmp_path)
    assert stat.S_IMODE((tmp_path / "out" / "suid").stat().st_mode) == 0o6777
    if os.geteuid() == 0:
        run(UNPACK, "it.tar", "-d", "out", "--same-owner", cwd=tmp_path)
        assert (tmp_path / "out" / "suid").stat().st_uid == 12345


# -- what is damaged or too much -----------------------------------------------------------------


def test_zip_bombs(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "it.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small", b"1")
        archive.writestr("large", bytes(30 * MIB))
    _, err = run(UNPACK, "it.zip", "-d", "out", "--max-bytes", str(MIB), cwd=tmp_path, expect=2)
    assert "--max-bytes" in err and not names_in(tmp_path / "out")
    # A size that is declared, and more that comes.
    content = bytearray((tmp_path / "it.zip").read_bytes())
    for at in range(len(content) - 4):
        if struct.unpack_from("<I", content, at)[0] == 30 * MIB:
            struct.pack_into("<I", content, at, 1000)
    (tmp_path / "lies.zip").write_bytes(content)
    _, err = run(UNPACK, "lies.zip", "-d", "out", cwd=tmp_path, expect=2)
    assert "large: its content is longer than the archive says" in err
    assert names_in(tmp_path / "out") == ["small"]
    # Two members with the same bytes.
    content = bytearray((tmp_path / "it.zip").read_bytes())
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 4)
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    (tmp_path / "overlap.zip").write_bytes(content)
    _, err = run(UNPACK, "overlap.zip", "-d", "none", cwd=tmp_path, expect=2)
    assert "overlap" in err


def test_tar_bomb(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(30 * MIB))
    run(TAR, "-czf", "it.tgz", "large", cwd=tmp_path)
    _, err = run(UNPACK, "it.tgz", "-d", "out", "--max-bytes", str(MIB), cwd=tmp_path, expect=2)
    assert "--max-bytes" in err and not names_in(tmp_path / "out")


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.zst", "zip"])
def test_what_is_cut_off_says_where_and_what_is_there_is_whole(tmp_path: Path, kind: str) -> None:
    source = make(tmp_path / "t")
    for number in range(200):
        (source / f"{number:03}").write_bytes(random.Random(number).randbytes(10_000))
    if kind == "zip":
        shutil.make_archive(str(tmp_path / "it"), "zip", tmp_path, "t")
    else:
        run(TAR, "-caf", f"it.{kind}", "--sort=name", "t", cwd=tmp_path)
    content = (tmp_path / f"it.{kind}").read_bytes()
    (tmp_path / f"cut.{kind}").write_bytes(content[: len(content) // 2])
    _, err = run(UNPACK, f"cut.{kind}", "-d", "out", cwd=tmp_path, expect=2)
    assert f"cut.{kind}: " in err
    found = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    for path in found:
        assert path.read_bytes() == (source / path.name).read_bytes()
    if kind == "tar":
        assert "Unexpected EOF in archive, in t/" in err
        assert len(found) > 90


def test_a_wrong_checksum_is_told_by_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "it.zip", "w") as archive:
        archive.writestr("good", b"good" * 100)
        archive.writestr("bad", b"bad!" * 100)
    content = (tmp_path / "it.zip").read_bytes()
    (tmp_path / "it.zip").write_bytes(content.replace(b"bad!bad!bad!", b"bad!bat!bad!", 1))
    _, err = run(UNPACK, "it.zip", "-d", "out", cwd=tmp_path, expect=2)
    assert "bad: its content is damaged" in err
    assert names_in(tmp_path / "out") == ["good"]
    _, err = run(UNPACK, "it.zip", "-d", "none", "--dry-run", "--verify", cwd=tmp_path, expect=2)
    assert "bad: its content is damaged" in err and not (tmp_path / "none").exists()


def test_encrypted_and_unknown_ones_are_refused_in_words(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "it.zip", "w") as archive:
        archive.writestr("secret", b"x")
    content = bytearray((tmp_path / "it.zip").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "it.zip").write_bytes(content)
    _, err = run(UNPACK, "it.zip", "-d", "out", cwd=tmp_path, expect=2)
    assert "secret is encrypted" in err
    (tmp_path / "it.tar.bz2").write_bytes(b"BZh91AY&SY")
    assert "bzip2" in run(UNPACK, "it.tar.bz2", "-d", "out", cwd=tmp_path, expect=2)[1]
    (tmp_path / "text").write_text("no archive at all" * 100)
    assert "does not look like" in run(UNPACK, "text", "-d", "out", cwd=tmp_path, expect=2)[1]
    (tmp_path / "nothing").touch()
    run(TAR, "tf", "/dev/null", cwd=tmp_path)


def test_resume_makes_only_what_is_missing(tree: Path) -> None:
    here = tree.parent
    run(TAR, "-cf", "it.tar", "tree", cwd=here)
    run(UNPACK, "it.tar", "-d", "out", cwd=here)
    before = (here / "out" / "tree" / "large").stat().st_ino
    (here / "out" / "tree" / "file").unlink()
    (here / "out" / "tree" / "block").write_bytes(b"half")
    out, _ = run(UNPACK, "it.tar", "-d", "out", "--resume", "--json-lines", cwd=here)
    made = {
        row["name"]
        for row in map(json.loads, out.splitlines())
        if row["result"] == "made" and row["type"] == "file"
    }
    assert "tree/block" in made and "tree/large" not in made
    assert (here / "out" / "tree" / "large").stat().st_ino == before
    assert (here / "out" / "tree" / "block").read_bytes() == b"x" * 512


def test_killed_at_any_point_nothing_is_half_there(tmp_path: Path) -> None:
    source = make(tmp_path / "t")
    for number in range(60):
        (source / f"{number}").write_bytes(random.Random(number).randbytes(300_000))
    run(TAR, "-czf", "it.tgz", "t", cwd=tmp_path)
    for number in range(8):
        process = subprocess.Popen([UNPACK, "it.tgz", "-d", "out", "--resume"], cwd=tmp_path)
        try:
            process.wait(0.01 * (number + 1))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for path in (tmp_path / "out").rglob("*"):
            if path.is_file() and not path.name.startswith(".madang-part-"):
                assert path.read_bytes() == (source / path.name).read_bytes()
    run(UNPACK, "it.tgz", "-d", "out", "--resume", cwd=tmp_path)
    names = [name for name in os.listdir(tmp_path / "out" / "t") if not name.startswith(".madang")]
    assert sorted(names) == sorted(os.listdir(source))


def test_keep_old_files(tmp_path: Path) -> None:
    tar_of(tmp_path / "it.tar", (member("f"), b"new"), (member("g"), b"new"))
    (make(tmp_path / "out") / "f").write_text("old")
    _, err = run(TAR, "-xkf", "it.tar", "-C", "out", cwd=tmp_path, expect=2)
    assert "f: Cannot open: File exists" in err
    assert (tmp_path / "out" / "f").read_text() == "old"
    assert (tmp_path / "out" / "g").read_text() == "new"
    assert len(names_in(tmp_path / "out")) == 2


def test_the_checksum_is_the_common_one(tmp_path: Path) -> None:
    for size in (0, 1, 7, 8, 9, 100_001):
        content = random.Random(size).randbytes(size)
        with zipfile.ZipFile(tmp_path / "it.zip", "w") as archive:
            archive.writestr("f", content)
        run(UNPACK, "it.zip", "-d", "out", cwd=tmp_path)
        assert zlib.crc32((tmp_path / "out" / "f").read_bytes()) == zlib.crc32(content)
