"""cp against GNU's, on trees with everything in them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from copies import (
    NOBODY,
    Answer,
    cp,
    described,
    leftovers,
    make_tree,
    needs_root,
    open_folder,
    run,
)
from programs import BIN


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    make_tree(root)
    return root


@pytest.mark.parametrize(
    "flags",
    [
        "-r", "-a", "-rp", "-rd", "-rT", "-rx", "-rlP",
        "-R --preserve=mode", "-R --preserve=timestamps", "-R --preserve=links",
        "-a --no-preserve=mode", "-a --no-preserve=ownership",
        "-r --sparse=always", "-a --sparse=never", "-r --reflink=never",
    ],
)  # fmt: skip
def test_trees_are_copied_as_gnu_does(tree: Path, flags: str) -> None:
    theirs = run("cp", *flags.split(), tree, tree.with_name("theirs"))
    mine = cp(*flags.split(), "--jobs=6", tree, tree.with_name("ours"))
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
chmod 640 d/f; ln -s file link; ln -s d to-d; ln -s nowhere dangling
mkdir -p other/a; echo 3 > other/a/f
mkdir -p t/a; echo newer > t/a/f; mkdir -p u/f; ln -s ../../file t/a/sub; mkfifo pipe
touch -d 2001-01-01 a/f; touch -d 2002-01-01 t/a/f
"""


ODD = """
file new | file d | file d/ | file new/ | file no/where | nowhere d | a d | file file |
file link | link new | -P link new | -r link new | -P link d | file to-d | file dangling/x |
-r a new | -r a d | -r a/ d | -r a/. d | -r . d/new | -r a a | -r a a/sub | -r a a/sub/new |
-r a other/a d | -r a a d | file link d | file file d | a/f other/a/f d | -t d file a/f |
-r -t d a file | -T file d | -rT a d | -rT a a | -r a file | file u | a/f u | -r u/f file |
-n file d/f | -u a/f t/a/f | -u file a/f | -rT a t/a | -rnT a t/a | -ruT a t/a | -v file new |
-l file new | -rlP a new | -rv pipe new | file /dev/null | -f file d/f | -p a/f d/f |
-r d/. to-d | file '' | -rp a/. new | -dr link new | -a a d file link new | -r link to-d d |
-H link new | -rH to-d new | -rL link d | -rT a to-d | -rf a/sub/. t/a/f | file a/../d
"""


@pytest.mark.parametrize("words", [word.strip() for word in ODD.split("|")])
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
