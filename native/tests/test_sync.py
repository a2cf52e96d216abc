"""sync against rsync -a, and what it promises beyond."""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from copies import described, leftovers, make_tree, open_folder, run, sync

needs_rsync = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is not installed")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    make_tree(root)
    return root


def change(root: Path, chance: random.Random) -> None:
    """Whatever may happen to a tree between two runs."""
    folders = [Path(folder) for folder, _, _ in os.walk(root)]
    for number in range(60):
        path = chance.choice(folders) / f"new{chance.randrange(30)}"
        with suppress(OSError):
            kind = chance.randrange(7)
            if kind == 0:
                path.mkdir()
                (path / "inner").write_text(str(number))
            elif kind == 1:
                path.symlink_to(f"nowhere{number}")
            elif kind == 2:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif kind == 3:
                os.utime(path, ns=(number, 10**18 + number))
            elif kind == 4:
                path.chmod(0o640)
            else:
                path.write_bytes(chance.randbytes(chance.randrange(5000)))
    for path in root.glob("wide/f1*"):
        kind = chance.randrange(8)
        if kind == 0:
            path.unlink()
        elif kind == 1:
            path.unlink()
            path.mkdir()
            (path / "x").touch()
        elif kind == 2:
            path.unlink()
            path.symlink_to("f2")
        elif kind == 3:
            path.write_text("changed")


Told = dict[str, tuple[object, ...]]


def reduced(found: Told, links: bool, seconds: bool = False) -> Told:
    """Without extended attributes, which neither keeps unasked. rsync takes directories and links
    whose times differ by less than a second for equal."""

    def time(mtime_ns: object) -> object:
        return mtime_ns // 10**9 if seconds and isinstance(mtime_ns, int) else mtime_ns

    return {
        name: (*told[:5], told[5] if links else None, time(told[7]))
        for name, told in found.items()
    }


@needs_rsync
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("flags", ["", "--delete", "-H --delete", "-c --delete"])
def test_it_does_what_rsync_does(tree: Path, flags: str, seed: int) -> None:
    chance = random.Random(seed)
    theirs, mine = tree.with_name("theirs"), tree.with_name("mine")
    run("cp", "-a", tree, theirs)
    change(theirs, chance)
    run("cp", "-a", theirs, mine)
    change(tree, chance)
    known = run("rsync", "-a", *flags.split(), f"{tree}/", theirs)
    done = sync(*flags.split(), tree, mine)
    if (
        "--delete" in flags
    ):  # without it rsync keeps directories where files should be, and says so
        assert (done.returncode, done.stderr) == (known.returncode, known.stderr)
    links = "-H" in flags
    expected, found = described(theirs, times=True), described(mine, times=True)
    assert reduced(found, links, True) == reduced(expected, links, True)
    if "--delete" in flags:
        assert reduced(found, links) == reduced(described(tree, times=True), links)
    assert not leftovers(tree.parent)


def actions(*words: str | Path) -> dict[str, set[str]]:
    answer = sync("--json-lines", *words)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, set[str]] = {}
    for line in answer.stdout.splitlines():
        event = json.loads(line)
        found.setdefault(event["action"], set()).add(event["target"])
    return found


def test_a_second_run_finds_nothing_to_do(tree: Path) -> None:
    target = tree.with_name("target")
    assert "copied" in actions("-H", "--delete", tree, target)
    assert set(actions("-H", "--delete", tree, target)) == {"left"}


def test_a_dry_run_tells_what_the_run_does_and_does_nothing(tree: Path) -> None:
    target = tree.with_name("target")
    run("cp", "-a", tree, target)
    change(target, random.Random(9))
    before = described(target, times=True)
    told = actions("--dry-run", "--delete", tree, target)
    assert described(target, times=True) == before
    done = actions("--delete", tree, target)
    assert told == done
    assert {"copied", "removed"} <= set(done)


def test_contents_decide_where_that_is_asked_for(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for folder, text in ((source, "one"), (target, "two")):
        folder.mkdir()
        (folder / "same time").write_text(text)
        os.utime(folder / "same time", ns=(10**18, 10**18))
    assert "copied" not in actions(source, target)
    assert actions("--checksum", source, target)["copied"] == {str(target / "same time")}
    assert (target / "same time").read_text() == "one"
    os.utime(target / "same time", ns=(10**18, 11**17))
    assert set(actions("--checksum", source, target)) >= {"updated"}
    assert (target / "same time").stat().st_mtime_ns == 10**18


def test_an_empty_source_removes_nothing_unless_forced(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (target / "precious").touch()
    answer = sync("--delete", source, target)
    assert answer.returncode == 1 and "--force" in answer.stderr
    assert sync("--delete", tmp_path / "nowhere", target).returncode == 1
    assert (target / "precious").exists()
    assert sync("--delete", "--force", source, target).returncode == 0
    assert not (target / "precious").exists()


def test_what_is_excluded_is_left_on_both_sides(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for folder in (source, target):
        (folder / "cache").mkdir(parents=True)
    (source / "cache/new").touch()
    (source / "file.o").touch()
    (target / "cache/kept").touch()
    (target / "other.o").touch()
    (target / "extra").touch()
    answer = sync("--delete", "--exclude=cache", "--exclude=*.o", source, target)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert sorted(os.listdir(target)) == ["cache", "other.o"]
    assert os.listdir(target / "cache") == ["kept"]


def test_links_planted_meanwhile_lead_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "precious").write_text("precious")
    (outside / "deep/precious").write_text("precious")
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "victim/deep").mkdir(parents=True)
    for number in range(30):
        (source / f"victim/f{number}").write_text("mine")
    place, spare = target / "victim", target / "spare"
    place.mkdir(parents=True)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            with suppress(OSError):
                (place / "extra").mkdir(exist_ok=True)
                (place / "extra/x").touch()
            with suppress(OSError):
                os.rename(place, spare)
            with suppress(OSError):
                os.symlink(outside, place)
            with suppress(OSError):
                os.unlink(place)
            with suppress(OSError):
                os.rename(spare, place)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for number in range(20):
            answer = sync("--delete", f"--jobs={1 + number % 5}", source, target)
            assert answer.returncode in (0, 1)
    finally:
        stop.set()
        thread.join()
    assert sorted(os.listdir(outside)) == ["deep", "precious"]
    assert (outside / "deep/precious").read_text() == "precious"
