"""Code that comes with a job: packed the same, unpacked only below its folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from madang.client._pack import pack
from madang.core.errors import InvalidInput, LimitExceeded, NotFound
from madang.server.context import ServerContext
from madang.server.workloads import code


def tree(folder: Path) -> Path:
    for name, text in {
        "train.py": "print(1)",
        "lib/model.py": "x = 1",
        "lib/__pycache__/model.pyc": "junk",
        ".git/config": "secret",
        ".env": "TOKEN=1",
        "data/big.csv": "1,2",
        ".madangignore": "# ours\n*.csv\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "outside").symlink_to("/etc/passwd")
    return folder


def names(tar: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return archive.getnames()


def made(**members: tarfile.TarInfo | bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, member in members.items():
            if isinstance(member, bytes):
                info = tarfile.TarInfo(name)
                info.size = len(member)
                archive.addfile(info, io.BytesIO(member))
            else:
                archive.addfile(member)
    return buffer.getvalue()


def odd(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_only_code_is_packed_and_always_the_same(tmp_path: Path) -> None:
    first = pack(tree(tmp_path / "one"))
    assert names(first) == ["lib/model.py", "run.sh", "train.py"]
    assert first == pack(tree(tmp_path / "two"))
    assert names(pack(tmp_path / "one", ["lib", "train.py"])) == ["lib/model.py", "train.py"]


def test_what_is_not_there_or_not_inside_is_refused(tmp_path: Path) -> None:
    folder = tree(tmp_path / "one")
    for wrong in ("missing.py", "../two", "/etc/passwd"):
        with pytest.raises(InvalidInput):
            pack(folder, [wrong])
    with pytest.raises(InvalidInput, match="not a folder"):
        pack(tmp_path / "none")
    (folder / "weights.bin").write_bytes(bytes(33 * 2**20))
    with pytest.raises(LimitExceeded, match="larger than 32MiB"):
        pack(folder)


async def test_a_bundle_is_kept_once_and_readable(
    sqlite_context: ServerContext, tmp_path: Path
) -> None:
    tar = pack(tree(tmp_path / "one"))
    digest = await code.store(sqlite_context, tar)
    assert await code.store(sqlite_context, tar) == digest
    path = code.bundle_path(sqlite_context, digest)
    assert (path / "lib/model.py").read_text() == "x = 1"
    assert (path / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (path / "train.py").stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == [digest]


@pytest.mark.parametrize(
    "tar",
    [
        b"no tar at all",
        made(up=odd("../up", tarfile.REGTYPE)),
        made(deep=odd("a/../../up", tarfile.REGTYPE)),
        made(link=odd("link", tarfile.SYMTYPE, "/etc")),
        made(hard=odd("hard", tarfile.LNKTYPE, "/etc/passwd")),
        made(pipe=odd("pipe", tarfile.FIFOTYPE)),
        made(disk=odd("disk", tarfile.BLKTYPE)),
        made(a=b"x", **{"a/b": b"y"}),
    ],
)
async def test_nothing_but_files_below_is_unpacked(
    sqlite_context: ServerContext, tar: bytes
) -> None:
    with pytest.raises(InvalidInput):
        await code.store(sqlite_context, tar)
    assert not list((sqlite_context.paths.state_dir / "code").glob("*"))
    assert not (sqlite_context.paths.state_dir / "up").exists()


async def test_an_absolute_name_stays_below(sqlite_context: ServerContext) -> None:
    digest = await code.store(sqlite_context, made(x=odd("/tmp/madang-absolute", tarfile.REGTYPE)))
    assert (code.bundle_path(sqlite_context, digest) / "tmp/madang-absolute").exists()
    assert not Path("/tmp/madang-absolute").exists()


async def test_too_many_or_too_large_is_refused(
    sqlite_context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "MAX_FILES", 2)
    with pytest.raises(LimitExceeded):
        await code.store(sqlite_context, made(a=b"", b=b"", c=b""))
    monkeypatch.setattr(code, "MAX_TAR_BYTES", 100)
    with pytest.raises(LimitExceeded):
        await code.store(sqlite_context, bytes(101))
    for digest in ("0" * 64, "../../etc", "x"):
        with pytest.raises(NotFound):
            code.bundle_path(sqlite_context, digest)
