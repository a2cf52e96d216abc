"""States, reasons, permissions, errors, ids: the tables are whole and consistent."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from madang.core.errors import (
    InvalidInput,
    MadangError,
    RateLimited,
    all_error_classes,
    error_from_problem,
)
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission, Role, role_allows, scopes_allow
from madang.core.reasons import SENTENCES, Reason, ReasonCode, facts_of
from madang.core.states import (
    TASK_TRANSITIONS,
    WORKLOAD_TRANSITIONS,
    IllegalTransition,
    TaskState,
    WorkloadState,
    check_task_transition,
    check_workload_transition,
)


def test_every_state_has_its_transitions_and_reaches_an_end() -> None:
    tables: list[tuple[type[StrEnum], Mapping[Any, frozenset[Any]]]] = [
        (WorkloadState, WORKLOAD_TRANSITIONS),
        (TaskState, TASK_TRANSITIONS),
    ]
    for states, table in tables:
        assert set(table) == set(states)
        for state in states:
            reached, frontier = {state}, [state]
            while frontier:
                new = set(table[frontier.pop()]) - reached
                reached |= new
                frontier.extend(new)
            assert any(not table[end] for end in reached)


def test_what_the_table_lacks_raises_with_the_history() -> None:
    check_workload_transition("job-1", WorkloadState.PENDING, WorkloadState.STARTING)
    with pytest.raises(
        IllegalTransition, match=r"job-1 can't go from succeeded to running. Story"
    ):
        check_workload_transition("job-1", WorkloadState.SUCCEEDED, WorkloadState.RUNNING, "Story")
    with pytest.raises(IllegalTransition):
        check_task_transition("task-1", TaskState.LOST, TaskState.RUNNING)


def test_every_reason_has_a_sentence_and_survives_the_wire() -> None:
    assert set(SENTENCES) == set(ReasonCode)
    for code in ReasonCode:
        at = "2026-11-21T14:20:00Z"
        facts = {name: at if name.endswith("_at") else "x" for name in facts_of(code)}
        reason = Reason(code, facts)
        assert "{" not in str(reason)
        assert Reason.from_json(reason.to_json()) == reason


def test_a_reason_without_its_facts_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="exit_code"):
        Reason(ReasonCode.EXIT_CODE)


def test_a_reason_names_whose_it_is_where_it_is_the_tasks_own_doing() -> None:
    failed = Reason(ReasonCode.EXIT_CODE, {"exit_code": 4}).of("worker 1")
    assert str(failed) == "worker 1 failed with exit code 4; its log says why"
    assert Reason.from_json(failed.to_json()) == failed
    lost = Reason(ReasonCode.NODE_LOST, {"node": "a", "since": "noon"})
    assert lost.of("worker 1") == lost


def test_a_name_that_can_not_be_is_refused_in_grammar() -> None:
    for what, article in (("environment", "an"), ("user", "a"), ("queue", "a")):
        with pytest.raises(InvalidInput, match=f"can't name {article} {what}"):
            check_name("A B", what)


def test_roles_widen() -> None:
    for permission in Permission:
        allowed = [role_allows(role, permission) for role in Role]
        assert allowed == sorted(allowed), permission
    assert not role_allows(None, Permission.JOBS_READ)
    assert not role_allows(Role.VIEWER, Permission.JOBS_WRITE)
    assert not role_allows(Role.MAINTAINER, Permission.USERS_WRITE)


def test_scopes_are_patterns() -> None:
    assert scopes_allow(("*:read",), Permission.JOBS_READ)
    assert not scopes_allow(("*:read",), Permission.JOBS_WRITE)
    assert not scopes_allow((), Permission.ACCOUNT_READ)


def own_error_classes() -> list[type[MadangError]]:
    """Without those of parts that happen to be imported: a part may refine a class for its own
    use; on the wire it is the one it refines."""
    return [one for one in all_error_classes() if one.__module__ == "madang.core.errors"]


@pytest.mark.parametrize("error_class", own_error_classes())
def test_errors_survive_the_wire(error_class: type[MadangError]) -> None:
    if error_class is RateLimited:
        error: MadangError = RateLimited("slow down", retry_after_s=3, hint="Wait.")
    else:
        error = error_class("what", hint="How.", field="where")
    back = error_from_problem(error.to_problem())
    assert type(back) is error_class
    assert (back.message, back.hint) == (error.message, error.hint)


def test_codes_and_exit_codes_are_one_a_class() -> None:
    classes = own_error_classes()
    assert len({error_class.code for error_class in classes}) == len(classes)
    assert len({error_class.exit_code for error_class in classes}) == len(classes)


def test_ids_sort_by_age() -> None:
    ids = [new_id("job") for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [one[:13] for one in ids] == sorted(one[:13] for one in ids)


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a b", "a/b", "가", "a" * 64, ".."])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(InvalidInput, match="can't name a folder"):
        check_name(name, "folder")
