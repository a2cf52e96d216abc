"""The reference of what the core has as data: settings, permissions, states, reasons, errors."""

from __future__ import annotations

import inspect
from dataclasses import fields
from enum import StrEnum
from typing import Any

from madang.core import errors
from madang.core.permissions import Level, Permission, Role
from madang.core.reasons import SENTENCES
from madang.core.settings import ENVIRONMENT_PREFIX, Settings
from madang.core.states import TASK_TRANSITIONS, WORKLOAD_TRANSITIONS, TaskState, WorkloadState
from scripts.reference.markdown import code, one_line, page, table


def settings_page() -> str:
    rows = [
        (
            code(entry.name),
            code(ENVIRONMENT_PREFIX + entry.name.upper()),
            code(_shown(entry.default)),
            one_line(entry.metadata["help"]),
        )
        for entry in fields(Settings)
    ]
    return page(
        "# Settings",
        "A setting is looked up in the flags of `madang up`, then in the environment, then in "
        "`madang.toml` in the current folder, then here. A name that is not a setting is refused.",
        table(("in madang.toml", "in the environment", "default", "what it is"), rows),
    )


def permissions_page() -> str:
    rows = [(code(each.value), _who(each.needs), one_line(each.text)) for each in Permission]
    return page(
        "# Permissions",
        "A person has a role in each project: "
        + ", ".join(code(role.value) for role in Role)
        + "; each may do what the ones before it may. Administrators of the platform may do "
        "everything. A token's scopes (patterns such as `jobs:*`) narrow what its owner may do.",
        table(("permission", "needs", "lets one"), rows),
    )


def states_page() -> str:
    return page(
        "# States",
        "## Workloads",
        "Sessions, jobs and services.",
        _transitions(WorkloadState, WORKLOAD_TRANSITIONS),
        "## Tasks",
        "A replica of a role in one attempt. `lost`: its node or its supervisor went away.",
        _transitions(TaskState, TASK_TRANSITIONS),
    )


def reasons_page() -> str:
    rows = [(code(reason.value), one_line(text)) for reason, text in SENTENCES.items()]
    return page(
        "# Reasons",
        "Why something waits or has ended. Words in braces are filled in for each case.",
        table(("code", "what is said"), rows),
    )


def errors_page() -> str:
    rows = [
        (code(each.code), code(each.__name__), str(each.status), str(each.exit_code))
        for each in errors.all_error_classes()
    ]
    tree = inspect.cleandoc(errors.__doc__ or "")
    drawing = "\n".join(line for line in tree.splitlines() if line.startswith("    "))
    return page(
        "# Errors",
        "One tree for the platform, the command line and the Python client "
        "(`madang.core.errors`). Each error says what is wrong, quotes the value, and says what "
        "to do.",
        f"```\n{inspect.cleandoc(drawing)}\n```",
        table(("code", "class", "HTTP status", "exit code of `madang`"), rows),
    )


def _transitions(states: type[StrEnum], steps: dict[Any, frozenset[Any]]) -> str:
    rows = [
        (
            code(state.value),
            ", ".join(code(after.value) for after in states if after in steps[state]) or "(ended)",
        )
        for state in states
    ]
    return table(("state", "may become"), rows)


def _who(needs: Role | Level) -> str:
    if needs is Level.ANYONE:
        return "a login"
    return "administrator" if needs is Level.ADMIN else f"{needs} of the project"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return str(default)
