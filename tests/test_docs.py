"""The documentation is whole: the reference has everything, pages name what exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from madang.core.errors import all_error_classes
from madang.core.permissions import Permission
from madang.core.reasons import ReasonCode
from madang.core.settings import Settings
from madang.core.states import TaskState, WorkloadState
from madang.server.api.app import declared_routes
from scripts.reference import pages
from scripts.reference.cli import all_commands, command_tree, native_help

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```(?:bash|console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXTERNAL = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    return pages()


def test_is_the_same_each_time(reference: dict[str, str]) -> None:
    assert pages() == reference


def test_every_command_and_option_is_in_the_reference(reference: dict[str, str]) -> None:
    text = reference["reference/cli.md"]
    parts = re.split(r"^#{2,4} (madang.*)$", text, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    missing = []
    for path, command in all_commands(command_tree()):
        section = sections.get(path, "")
        if not section.strip():
            missing.append(path)
        for option in command.params:
            names = option.opts if option.param_type_name == "option" else []
            missing.extend(f"{path} {name}" for name in names if name not in section)
    assert not missing


def test_every_route_is_in_the_reference(reference: dict[str, str]) -> None:
    text = reference["reference/api.md"]
    missing: list[str] = []
    for declared in declared_routes():
        path = declared.path.removeprefix("/projects/{project}")
        if declared.route.include_in_schema:
            sections = [f"### {method} {path}\n" for method in declared.route.methods or ()]
            missing.extend(section for section in sections if section not in text)
        elif f"| `{path}` |" not in text:
            missing.append(path)
    assert not missing


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("settings", [entry.name for entry in fields(Settings)]),
        ("settings", [f"MADANG_{entry.name.upper()}" for entry in fields(Settings)]),
        ("permissions", list(Permission)),
        ("reasons", list(ReasonCode)),
        ("states", [*WorkloadState, *TaskState]),
        ("errors", [each.code for each in all_error_classes()]),
    ],
)
def test_every_name_is_in_the_reference(
    reference: dict[str, str], page: str, names: list[str]
) -> None:
    text = reference[f"reference/{page}.md"]
    assert not [name for name in names if f"`{name}`" not in text]


def written_commands() -> Iterator[tuple[str, list[str]]]:
    """Every `madang …` in a shell block of the documentation: where, and its words."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in FENCE.findall(page.read_text()):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.removeprefix("$ ")
                if command.startswith("madang "):
                    words = shlex.split(command, comments=True)
                    yield f"{page.relative_to(ROOT)}: {command}", words[1:]


def unknown_part(words: list[str]) -> str | None:
    """The first word of a command line that the command tree does not have."""
    command: Any = command_tree()
    while words and getattr(command, "commands", None) and not words[0].startswith("-"):
        name = words.pop(0)
        if name not in command.commands:
            return name
        command = command.commands[name]
    if command.context_settings.get("ignore_unknown_options"):  # a native command's own
        told = native_help(command.name)
        long = [word.partition("=")[0] for word in words if word.startswith("--")]
        own = ("--project", "--detach")
        return next((flag for flag in long if told and flag not in told and flag not in own), None)
    options = {name for param in command.params for name in [*param.opts, *param.secondary_opts]}
    options.update(["--help", "-h"])
    ours = words[: words.index("--")] if "--" in words else words
    flags = [word.partition("=")[0] for word in ours if re.match(r"--?[a-zA-Z]", word)]
    return next((flag for flag in flags if flag not in options), None)


def test_commands_in_the_pages_exist() -> None:
    wrong = [where for where, words in written_commands() if unknown_part(words)]
    assert not wrong


def test_commands_that_do_not_exist_are_found() -> None:
    assert unknown_part(["project", "list", "--json"]) is None
    assert unknown_part(["project", "conquer"]) == "conquer"
    assert unknown_part(["project", "list", "--fast", "--", "--json"]) == "--fast"


def test_paths_in_the_architecture_exist() -> None:
    named = re.findall(r"`([a-z_]+/[\w./-]*)`", (ROOT / "ARCHITECTURE.md").read_text())
    homes = (ROOT, ROOT / "src/madang")
    assert len(named) > 20
    assert not [path for path in named if not any((home / path).exists() for home in homes)]


def test_site_builds_without_warnings_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    made = list(tmp_path.rglob("*.html"))
    assert made
    assert not [page.name for page in made if EXTERNAL.search(page.read_text())]
