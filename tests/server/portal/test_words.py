"""Every sentence of the portal exists in Korean and names the same facts."""

from __future__ import annotations

import ast
from pathlib import Path
from string import Formatter

import pytest

import madang.server.portal
from madang.core.permissions import Role
from madang.core.reasons import ReasonCode, facts_of
from madang.core.states import TaskState, WorkloadState
from madang.schemas.endpoints import EndpointState
from madang.schemas.nodes import NodeState
from madang.server.portal.words import translate, translate_reason
from madang.server.portal.words_ko import KOREAN, REASONS

ACTIONS = {"answers", "cancel", "deleted", "deployed", "ready", "scaled", "submitted"}
"""What the history says besides states."""

RUN_STATES = {"running", "scheduled", "finished", "failed", "killed"}

PAGES = sorted(Path(madang.server.portal.__file__).parent.glob("*.py"))


def sentences() -> set[str]:
    """The constant arguments of every `say("…")`, and the states, which are said as they are."""
    said_as_they_are = (*WorkloadState, *TaskState, *EndpointState, *NodeState, *Role)
    found = {str(word) for word in said_as_they_are} | ACTIONS | RUN_STATES
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
            if name == "page":
                titles = [one.value for one in node.keywords if one.arg == "title"]
                found |= {str(one.value) for one in titles if isinstance(one, ast.Constant)}
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


@pytest.mark.parametrize("code", list(ReasonCode))
def test_each_reason_is_said_in_korean(code: ReasonCode) -> None:
    assert facts(REASONS[code]) == facts_of(code)


def test_a_reason_without_its_facts_stays_english() -> None:
    assert translate_reason("ko", "exit_code", "failed with exit code 3", {}) == (
        "failed with exit code 3"
    )
