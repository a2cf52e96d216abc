"""Archives with bytes changed, moved, cut and doubled: they may be refused, no more."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

from archives import GNU_TAR, MIB, TAR, UNPACK, run


def test_damaged_archives_of_all_kinds_never_crash_nor_leave_the_target(tmp_path: Path) -> None:
    """Seeded; checksums of headers are made right again, so that what is in them is looked at."""
    precious = tmp_path / "outside" / "precious"
    precious.parent.mkdir()
    precious.write_text("as it was")
    source = tmp_path / "t"
    source.mkdir()
    for number in range(6):
        (source / f"f{number}").write_bytes(b"content" * 50 * number)
    (source / "l").symlink_to("../outside")
    (source / ("long" * 40)).write_text("x")
    with (source / "sparse").open("wb") as file:
        file.seek(200_000)
        file.write(b"x")
    originals = []
    for options in (["--format=gnu", "-S"], ["--format=posix", "-S"], ["--format=posix", "-z"]):
        run(GNU_TAR, "-c", *options, "-f", "it", "t", cwd=tmp_path)
        originals.append((tmp_path / "it").read_bytes())
    run(TAR, "-c", "--zstd", "-f", "it", "t", cwd=tmp_path)
    originals.append((tmp_path / "it").read_bytes())
    shutil.make_archive(str(tmp_path / "z"), "zip", tmp_path, "t")
    originals.append((tmp_path / "z.zip").read_bytes())
    seed = random.Random(4)
    num_rounds = int(os.environ.get("FUZZ_ROUNDS", "20"))
    for number in range(num_rounds):
        paths: list[str] = []
        for which, original in enumerate(originals):
            path = tmp_path / f"m{which}"
            path.write_bytes(mutated(seed, original))
            paths.append(str(path))
        words = [
            UNPACK,
            *paths,
            "-d",
            "out",
            "--max-bytes",
            str(50 * MIB),
            "--jobs",
            str(1 + number % 4 * 5),
        ]
        finished = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=60)
        assert finished.returncode in (0, 2), finished.stderr.decode(errors="replace")
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        assert os.listdir(precious.parent) == ["precious"]
        assert precious.read_text() == "as it was" and precious.stat().st_nlink == 1


def mutated(seed: random.Random, original: bytes) -> bytes:
    content = bytearray(original)
    for _ in range(seed.choice((1, 1, 2, 8))):
        at = seed.randrange(len(content))
        end = min(len(content), at + seed.choice((1, 4, 12, 512)))
        kind = seed.randrange(6)
        if kind == 0:
            content[at] ^= 1 << seed.randrange(8)
        elif kind == 1:
            content[at:end] = seed.randbytes(end - at)
        elif kind == 2:
            content[at:end] = b"\xff" * (end - at)
        elif kind == 3:
            del content[at:end]
        elif kind == 4:
            content[at:at] = content[at:end]
        else:
            digits = seed.choice((b"77777777777\0", b"00000000000\0", b"-1", b"99999999999"))
            content[at : at + len(digits)] = digits
    if bytes(content[:2]) not in (b"\x1f\x8b", b"PK") and seed.random() < 0.8:
        fix_checksums(content)
    return bytes(content)


def fix_checksums(content: bytearray) -> None:
    """So that what is changed within tar headers is not refused at once."""
    for at in range(0, len(content) - 511, 512):
        if content[at + 257 : at + 262] == b"ustar":
            total = sum(content[at : at + 512]) - sum(content[at + 148 : at + 156]) + 8 * 32
            content[at + 148 : at + 156] = f"{total:06o}\0 ".encode()
