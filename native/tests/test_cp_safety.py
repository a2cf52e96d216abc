"""What GNU's cp does not promise: nothing half done under its name, resuming, verifying; and that
nobody who changes things meanwhile leads it astray."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from copies import cp, described, leftovers, make_tree, needs_root, open_folder, run
from programs import BIN


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


def many_files(root: Path, folders: int = 12, each: int = 60) -> None:
    chance = random.Random(1)
    for number in range(folders):
        folder = root / f"d{number % 3}" / f"e{number}"
        folder.mkdir(parents=True)
        for name in range(each):
            (folder / f"f{name}").write_bytes(chance.randbytes(3000))
    (root / "large").write_bytes(chance.randbytes(3 << 20))


def contents(root: Path) -> dict[str, str]:
    return {
        os.path.relpath(os.path.join(folder, name), root): hashlib.sha256(
            Path(folder, name).read_bytes()
        ).hexdigest()
        for folder, _, names in os.walk(root)
        for name in names
    }


def killed_after(seconds: float, *words: object) -> bool:
    """Whether it was killed, rather than done before."""
    process = subprocess.Popen([str(word) for word in words])
    try:
        return process.wait(timeout=seconds) != 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True


def actions(answer: subprocess.CompletedProcess[str]) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for line in answer.stdout.splitlines():
        event = json.loads(line)
        found.setdefault(event["action"], []).append(event)
    return found


# -- killed, and resumed -----------------------------------------------------------------------


@pytest.mark.parametrize("flags", ["-r", "-a"])
def test_a_killed_copy_has_nothing_half_done_under_its_name_and_is_resumed(
    tmp_path: Path, flags: str
) -> None:
    many_files(tmp_path / "source")
    expected = contents(tmp_path / "source")
    chance = random.Random(flags)
    num_left = 0
    for attempt in range(4):
        target = tmp_path / f"target{attempt}"
        words = [
            BIN / "madang-cp",
            flags,
            "--max-ops=20000",
            "--resume",
            tmp_path / "source",
            target,
        ]
        if killed_after(chance.uniform(0.01, 0.15), *words):
            assert not target.exists()
        answer = cp(flags, "--resume", "--json-lines", "-T", tmp_path / "source", target)
        assert answer.returncode == 0, answer.stderr
        assert contents(target) == expected
        num_left += len(actions(answer).get("left", []))
        assert not leftovers(tmp_path)
    assert num_left > 0


def test_a_killed_copy_into_what_is_there_leaves_each_file_old_or_new(tmp_path: Path) -> None:
    many_files(tmp_path / "source")
    expected = contents(tmp_path / "source")
    target = tmp_path / "target"
    chance = random.Random(2)
    shutil.copytree(tmp_path / "source", target)
    for folder, _, names in os.walk(target):
        for name in names:
            Path(folder, name).write_text("old")
    old = set(contents(target).values())
    for _ in range(5):
        words = ["-rT", "--resume", "--max-ops=20000", tmp_path / "source", target]
        killed_after(chance.uniform(0.01, 0.1), BIN / "madang-cp", *words)
        for name, digest in contents(target).items():
            if ".madang-part" not in name:
                assert digest == expected[name] or digest in old
    before = cp("-rT", "--resume", "--json-lines", tmp_path / "source", target)
    assert contents(target) == expected and not leftovers(target)
    again = cp("-rT", "--resume", "--json-lines", tmp_path / "source", target)
    assert "left" in actions(before)
    assert set(actions(again)) == {"left"}


def test_parts_of_a_living_copy_are_left_alone(tmp_path: Path) -> None:
    many_files(tmp_path / "source", folders=3, each=40)
    words = [BIN / "madang-cp", "-rT", "--max-ops=100", tmp_path / "source", tmp_path / "target"]
    with subprocess.Popen([str(word) for word in words]) as living:
        while not leftovers(tmp_path):
            assert living.poll() is None
        (part,) = {name for name in os.listdir(tmp_path) if ".madang-part" in name}
        answer = cp("-rT", "--resume", tmp_path / "source", tmp_path / "target")
        assert (answer.returncode, answer.stderr) == (0, "")
        assert living.poll() is None and (tmp_path / part).is_dir()
        living.kill()
    assert contents(tmp_path / "target") == contents(tmp_path / "source")


def test_a_changed_source_is_copied_again_by_resume(tmp_path: Path) -> None:
    many_files(tmp_path / "source", folders=2, each=5)
    target = tmp_path / "target"
    cp("-rT", "--resume", tmp_path / "source", target)
    changed = tmp_path / "source/d0/e0/f1"
    changed.write_bytes(b"n" * changed.stat().st_size)
    answer = cp("-rT", "--resume", "--json-lines", tmp_path / "source", target)
    assert [event["source"] for event in actions(answer)["copied"]] == [str(changed)]
    assert contents(target) == contents(tmp_path / "source")


# -- verified ----------------------------------------------------------------------------------


def test_checksums_are_those_of_others(tmp_path: Path) -> None:
    chance = random.Random(3)
    sizes = [
        0,
        1,
        3,
        4,
        8,
        9,
        16,
        17,
        64,
        128,
        129,
        240,
        241,
        255,
        256,
        257,
        1024,
        1025,
        131073,
        1 << 20,
    ]
    source = tmp_path / "source"
    source.mkdir()
    for size in sizes:
        (source / f"{size:07}").write_bytes(chance.randbytes(size))
    answer = cp("-r", "--verify=sha256", "--json-lines", source, tmp_path / "a")
    expected = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in source.iterdir()
    }
    files = [event for event in actions(answer)["copied"] if event["type"] == "file"]
    assert {Path(str(event["target"])).name: event["sha256"] for event in files} == expected
    answer = cp("-r", "--verify", "--json-lines", source, tmp_path / "b")
    found = sorted(
        (str(event["target"]), event["xxh3"])
        for event in actions(answer)["copied"]
        if event["type"] == "file"
    )
    assert [digest for _, digest in found] == XXH3_OF_THESE


# As xxhash (PyPI) gives them.
XXH3_OF_THESE = [
    "2d06800538d394c2", "429e81bc6744101c", "de278f0817d2cd64", "4758d5af31c155f6",
    "92a440078e3aec41", "57155f79b4fb7b46", "b47b5d6beaf6f749", "05d0edb6a89f16f4",
    "394066ad72c74f4f", "48c8aa2fbca253e2", "2ca562575ea91ef5", "c40e8a47a0957079",
    "a4e4fd3c73df3a32", "417a393341a94493", "7865b1835a4c0b91", "e663f2d8f9712106",
    "f2c688a479e83efb", "9618e7381ab1960c", "a21689759980ad58", "9d1c6fb37ccc6f0f",
]  # fmt: skip


def test_holes_are_kept_when_verified(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(8 << 20)
        file.seek(4 << 20)
        file.write(b"x")
    assert cp("--verify", tmp_path / "sparse", tmp_path / "copy").returncode == 0
    assert (tmp_path / "copy").stat().st_blocks <= (tmp_path / "sparse").stat().st_blocks + 8
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "sparse").read_bytes()


# -- full disks, limits ------------------------------------------------------------------------


@contextmanager
def small_disk(where: Path) -> Iterator[Path]:
    where.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", where], check=False
    ).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


@needs_root
@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_is_told_and_leaves_nothing_half_done(tmp_path: Path, existing: bool) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(6):
        (source / f"large{number}").write_bytes(os.urandom(600_000))
    (source / "small").write_text("small")
    with small_disk(tmp_path / "disk") as disk:
        target = disk / "target"
        if existing:
            target.mkdir()
        answer = cp("-rT", "--jobs=1", source, target)
        assert answer.returncode == 1
        assert os.strerror(errno.ENOSPC) in answer.stderr
        assert "error writing" in answer.stderr
        assert not leftovers(disk)
        for path in target.iterdir():
            assert path.read_bytes() == (source / path.name).read_bytes()
        assert len(list(target.iterdir())) == 2


def test_few_descriptors_are_enough(tmp_path: Path) -> None:
    make_tree(tmp_path / "source")
    command = f"ulimit -n 40; exec {BIN}/madang-cp -a --jobs=8 source target"
    answer = run("bash", "-c", command, cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert described(tmp_path / "target", times=True) == described(tmp_path / "source", times=True)


# -- others at work meanwhile ------------------------------------------------------------------


@contextmanager
def changing(change: Callable[[], None]) -> Iterator[None]:
    """Calls `change` over and over in a thread."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            with suppress(OSError):
                change()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def swaps(place: Path, outside: Path) -> Callable[[], None]:
    """A directory, then a link to outside, in the same place."""
    spare = place.with_name("spare")

    def swap() -> None:
        os.rename(place, spare)
        os.symlink(outside, place)
        os.unlink(place)
        os.rename(spare, place)

    return swap


def outside_of(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    (outside / "f0").write_text("precious")
    return outside


def test_a_link_planted_in_the_source_is_not_followed(tmp_path: Path) -> None:
    outside = outside_of(tmp_path)
    place = tmp_path / "source/victim"
    place.mkdir(parents=True)
    for number in range(40):
        (place / f"f{number}").write_text("mine")
    with changing(swaps(place, outside)):
        for number in range(15):
            target = tmp_path / f"target{number}"
            answer = cp("-r", "--jobs=4", tmp_path / "source", target)
            assert answer.returncode in (0, 1)
            for folder, _, names in os.walk(target):
                for name in names:
                    if not Path(folder, name).is_symlink():
                        assert Path(folder, name).read_text() == "mine"


def test_a_link_planted_in_the_target_is_not_followed(tmp_path: Path) -> None:
    outside = outside_of(tmp_path)
    (tmp_path / "source/victim").mkdir(parents=True)
    for number in range(40):
        (tmp_path / f"source/victim/f{number}").write_text("mine")
    place = tmp_path / "target/victim"
    place.mkdir(parents=True)
    with changing(swaps(place, outside)):
        for _ in range(40):
            assert cp("-rT", "--jobs=4", tmp_path / "source", tmp_path / "target").returncode in (
                0,
                1,
            )
    assert contents(outside) == contents(outside)
    assert sorted(os.listdir(outside)) == ["f0", "precious"]
    assert (outside / "f0").read_text() == "precious"


def test_whatever_is_stable_is_copied_while_the_rest_changes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    many_files(source / "stable", folders=6, each=20)
    expected = contents(source / "stable")
    place = source / "wild"
    place.mkdir()
    chance = random.Random(4)

    def change() -> None:
        path = place / f"x{chance.randrange(20)}"
        kind = chance.randrange(6)
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        if kind == 0:
            path.mkdir()
            (path / "inner").write_text("inner")
        elif kind == 1:
            path.symlink_to("/etc/passwd")
        elif kind == 2:
            os.mkfifo(path)
        elif kind == 3:
            os.rename(place / f"x{chance.randrange(20)}", path)
        else:
            path.write_bytes(b"y" * chance.randrange(10_000))

    with changing(change):
        for number in range(10):
            target = tmp_path / f"target{number}"
            answer = cp("-a", f"--jobs={1 + number % 6}", source, target)
            assert answer.returncode in (0, 1), answer.stderr
            assert bool(answer.stderr) == bool(answer.returncode)
            assert contents(target / "stable") == expected
            assert not leftovers(tmp_path)
            for path in (target / "wild").rglob("*"):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    assert path.read_bytes().strip(b"y") in (b"", b"inner")
