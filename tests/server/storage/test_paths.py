"""Paths that people give: nothing leads out of a folder, whichever way it is resolved."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from madang.core.errors import Forbidden, InvalidInput, NotFound
from madang.schemas.files import from_wire, to_wire
from madang.server.storage import paths
from madang.server.storage.paths import (
    DIRECTORY,
    check_relative,
    open_beneath,
    open_file,
    translated,
)

NAMES = st.binary(min_size=1, max_size=20).filter(
    lambda name: name not in (b".", b"..") and not set(name) & set(b"/\0")
)


@pytest.fixture(params=["openat2", "by hand"])
def resolver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of resolving."""
    if request.param == "by hand":
        monkeypatch.setattr(paths, "_has_openat2", False)
    elif not paths._has_openat2:
        pytest.skip("this kernel has no openat2")
    return str(request.param)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A folder beside a secret, with links of all kinds."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "a/file").write_text("inside")
    (root / "a/b/up").symlink_to("../file")
    (root / "a/b/far-up").symlink_to("../../../secret/key")
    (root / "around").symlink_to("a/../a/b/../file")
    (root / "out").symlink_to("../secret")
    (root / "absolute").symlink_to(tmp_path / "secret/key")
    (root / "absolute-inside").symlink_to(root / "a/file")
    (root / "to-out").symlink_to("out")
    (root / "in").symlink_to("a")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nothing")
    (root / "proc").symlink_to("/proc/self/root")
    (root / "slash").symlink_to("a/")
    os.mkfifo(root / "pipe")
    descriptor = os.open(root, DIRECTORY)
    yield descriptor, root
    os.close(descriptor)


def read(root: int, path: bytes) -> bytes:
    with translated(path):
        descriptor = open_file(root, path)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


@pytest.mark.parametrize(
    "path", [b"a/file", b"./a//file", b"a/b/up", b"around", b"in/file", b"in/b/up", b"slash/file"]
)
def test_what_is_inside_is_found(resolver: str, tree: tuple[int, Path], path: bytes) -> None:
    assert read(tree[0], path) == b"inside"


@pytest.mark.parametrize(
    "path",
    [
        b"out/key",
        b"a/b/far-up",
        b"absolute",
        b"absolute-inside",
        b"to-out/key",
        b"proc/etc/passwd",
    ],
)
def test_links_that_lead_out_are_not_followed(
    resolver: str, tree: tuple[int, Path], path: bytes
) -> None:
    with pytest.raises(Forbidden, match="leads out"):
        read(tree[0], path)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (b"..", InvalidInput),
        (b"a/../../secret/key", InvalidInput),
        (b"/etc/passwd", InvalidInput),
        (b"a\0b", InvalidInput),
        (b"x" * 256, InvalidInput),
        (b"x/" * 2100, InvalidInput),
        (b"nothing", NotFound),
        (b"dangling", NotFound),
        (b"loop", InvalidInput),
        (b"a/file/x", InvalidInput),
        (b"pipe", InvalidInput),
        (b"a", InvalidInput),
        (b"", InvalidInput),
    ],
)
def test_what_can_not_be_is_said_in_words(
    resolver: str, tree: tuple[int, Path], path: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        read(tree[0], path)


def test_a_directory_that_turns_into_a_link_meanwhile(
    resolver: str, tree: tuple[int, Path]
) -> None:
    """Somebody swaps a directory for a link to the secret as fast as she can."""
    root, folder = tree
    (folder / "dir").mkdir()
    (folder / "dir/key").write_text("harmless")
    (folder / "link").symlink_to("../secret")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(folder / "dir", folder / "aside")
            os.rename(folder / "link", folder / "dir")
            os.rename(folder / "dir", folder / "link")
            os.rename(folder / "aside", folder / "dir")

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen: dict[str, int] = {}
    try:
        for _ in range(4000):
            try:
                outcome = read(root, b"dir/key").decode()
            except (Forbidden, NotFound) as error:
                outcome = type(error).__name__
            seen[outcome] = seen.get(outcome, 0) + 1
    finally:
        stop.set()
        swapping.join()
    assert "secret" not in seen
    assert sum(seen.values()) == 4000
    assert read(root, b"dir/key") == b"harmless"


@pytest.mark.usefixtures("resolver")
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(names=st.lists(NAMES, min_size=1, max_size=4))
def test_any_name_can_be_reached(
    tmp_path_factory: pytest.TempPathFactory, names: list[bytes]
) -> None:
    root = os.fsencode(tmp_path_factory.mktemp("names"))
    directory = os.path.join(root, *names[:-1])
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, names[-1]), "wb") as file:
        file.write(b"found")
    descriptor = os.open(root, DIRECTORY)
    try:
        assert read(descriptor, b"/".join(names)) == b"found"
    finally:
        os.close(descriptor)


@settings(max_examples=300)
@given(path=st.binary(max_size=60))
def test_the_plain_form_stays_inside(path: bytes) -> None:
    try:
        plain = check_relative(path)
    except InvalidInput:
        return
    assert not plain.startswith(b"/")
    assert not {b"..", b".", b""} & set(plain.split(b"/")) or plain == b""
    assert check_relative(plain) == plain


@settings(max_examples=300)
@given(path=st.binary(max_size=60).filter(lambda path: b"\0" not in path))
def test_any_path_survives_the_wire(path: bytes) -> None:
    wire = to_wire(path)
    wire.encode()  # it is valid text
    assert from_wire(wire) == path


@pytest.mark.parametrize("wire", ["%", "100%", "%zz", "%f", "\udcff"])
def test_what_is_no_wire_path_is_refused(wire: str) -> None:
    with pytest.raises(InvalidInput):
        from_wire(wire)


def test_utf8_is_written_as_it_is() -> None:
    assert to_wire("한글 \n é") == "한글 \n é"
    assert to_wire(b"50%/\xff") == "50%25/%FF"


def test_a_failed_open_closes_what_it_held(resolver: str, tree: tuple[int, Path]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for path in (b"loop", b"nothing/x", b"out/key", b"pipe", b"a/file/x"):
        with pytest.raises((Forbidden, NotFound, InvalidInput)):
            read(tree[0], path)
    os.close(open_beneath(tree[0], b"a/b", DIRECTORY))
    assert len(os.listdir("/proc/self/fd")) == before
