"""Every sentence of the portal exists in Korean and names the same facts."""

from __future__ import annotations

import ast
from pathlib import Path
from string import Formatter

import pytest

import madang.server.portal
from madang.core.permissions import Role
from madang.core.reasons import CLAUSES, ReasonCode, facts_of
from madang.core.states import TaskState, WorkloadState
from madang.schemas.endpoints import EndpointState
from madang.schemas.nodes import NodeState
from madang.schemas.reservations import WindowState
from madang.server.portal.words import translate, translate_reason
from madang.server.portal.words_ko import CLAUSES as CLAUSES_KO
from madang.server.portal.words_ko import KOREAN, REASONS

ACTIONS = {"answers", "cancel", "deleted", "deployed", "ready", "scaled", "submitted"}
"""What the history says besides states."""

RUN_STATES = {"running", "scheduled", "finished", "failed", "killed"}

PAGES = sorted(Path(madang.server.portal.__file__).parent.glob("*.py"))


def sentences() -> set[str]:
    """The constant arguments of every `say("…")`, and the states, which are said as they are."""
    said_as_they_are = (
        *WorkloadState, *TaskState, *EndpointState, *NodeState, *WindowState, *Role,
    )  # fmt: skip
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


@pytest.mark.parametrize("code", list(CLAUSES))
def test_each_clause_is_said_in_korean(code: str) -> None:
    assert facts(CLAUSES_KO[code]) == facts(CLAUSES[code])


def test_clauses_and_times_are_said_in_the_readers_words() -> None:
    told = {
        "wanted": "8 H100",
        "free": "gpu=2 on a",
        "also": [
            {"code": "frees", "facts": {"free_at": "2026-11-21T14:20:00Z", "job": None}},
            {"code": "next", "facts": {"queue": "vision"}},
        ],
    }
    assert translate_reason("ko", "resources", "", told, when=lambda at: at[11:16]) == (
        "8 H100을(를) 기다립니다. 지금 남은 것: gpu=2 on a. "
        "다른 작업이(가) 끝나는 14:20쯤 첫 자리가 납니다. 대기열 vision의 맨 앞입니다"
    )
    assert translate_reason("en", "resources", "", told).endswith(
        "the first frees at about 2026-11-21 14:20 UTC when another job ends; next in queue vision"
    )


def test_a_reason_without_its_facts_stays_english() -> None:
    assert translate_reason("ko", "exit_code", "failed with exit code 3", {}) == (
        "failed with exit code 3"
    )
