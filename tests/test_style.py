"""Habits that no linter has: sizes of files, what may not be written anywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_LINES = 500
CODE_FOLDERS = ("src", "tests", "native", "scripts", "bench")
TEXT_FOLDERS = (*CODE_FOLDERS, "docs", "requirements", ".ci")
CODE_SUFFIXES = {".py", ".pyi", ".cpp", ".hpp", ".js", ".css", ".sh", ""}
NOT_OURS = {"__pycache__", "build", "dist", "results", ".hypothesis", ".pytest_cache"}
GENERATED = ("src/madang/server/db/migrations/",)

FORBIDDEN = {
    "an absolute path of one machine": re.compile(
        r"(?<![\w.])/(?:work|opt/(?:wheels|pypi)|root)/"
    ),
    "the address of a package registry": re.compile(
        r"(?:pypi|pythonhosted|anaconda|pytorch)\.(?:org|com)",
        re.IGNORECASE,
    ),
}
THIS_FILE = Path(__file__).resolve()


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            parts = path.relative_to(ROOT).parts
            if path.is_file() and not NOT_OURS & set(parts) and not parts[-1].endswith(".pyc"):
                yield path


def test_no_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in files(*CODE_FOLDERS)
        if path.suffix in CODE_SUFFIXES
        and path.name != "LICENSE"
        and not str(path.relative_to(ROOT)).startswith(GENERATED)
    }
    assert not {path: lines for path, lines in lengths.items() if lines > MAX_LINES}


def test_nothing_names_a_machine_or_a_registry() -> None:
    top_level = [path for path in sorted(ROOT.iterdir()) if path.is_file()]
    found: list[str] = []
    for path in [*top_level, *files(*TEXT_FOLDERS)]:
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # pictures
        if path.resolve() != THIS_FILE:
            for what, pattern in FORBIDDEN.items():
                found.extend(f"{path}: {what}: {hit[0]}" for hit in pattern.finditer(text))
    assert not found


@pytest.mark.parametrize("text", ["see /work/main", "'/opt/wheels/x'", "https://pypi.org/simple"])
def test_forbidden_words_are_found(text: str) -> None:
    assert any(pattern.search(text) for pattern in FORBIDDEN.values())


def packages() -> list[Path]:
    return sorted((ROOT / "src").rglob("__init__.py"))


@pytest.mark.parametrize("package", packages(), ids=lambda path: path.parent.name)
def test_package_says_what_it_is(package: Path) -> None:
    text = package.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))
