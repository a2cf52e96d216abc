"""Every sentence of the portal exists in Korean and names the same facts."""

from __future__ import annotations

import ast
from pathlib import Path
from string import Formatter

import pytest

import madang.server.portal
from madang.core.states import TaskState, WorkloadState
from madang.server.portal.words import translate
from madang.server.portal.words_ko import KOREAN

PAGES = sorted(Path(madang.server.portal.__file__).parent.glob("*.py"))


def sentences() -> set[str]:
    """The constant arguments of every `say("…")`, and the states, which are said as they are."""
    found = {str(state) for state in (*WorkloadState, *TaskState)}
    for path in PAGES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            function = node.func
            name = (
                function.attr
                if isinstance(function, ast.Attribute)
                else getattr(function, "id", "")
            )
            first = node.args[0]
            if name == "say" and isinstance(first, ast.Constant):
                found.add(str(first.value))
    return found


def facts(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


@pytest.mark.parametrize("sentence", sorted(sentences()))
def test_it_is_said_in_korean_too(sentence: str) -> None:
    assert sentence in KOREAN, "add it to words_ko.py"
    assert facts(KOREAN[sentence]) == facts(sentence)


def test_english_is_the_key_itself() -> None:
    assert translate("en", "Jobs") == "Jobs"
    assert translate("ko", "Jobs") == "작업"
