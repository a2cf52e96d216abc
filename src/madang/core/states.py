"""The one life cycle of everything that runs, and of each of its tasks.

    pending → starting → running → stopping → succeeded | failed | cancelled
       ↑__________________|___________|            (a retry makes a new attempt and waits again)

A *workload* is in the state that its tasks and the wish of its owner give it; a *task* (a replica
of a role in one attempt) also knows `lost`: its node or its supervisor went away, nobody knows how
it ended. The tables below are all there is: a change that is not in them is a bug.
"""

from __future__ import annotations

from enum import StrEnum


class WorkloadKind(StrEnum):
    SESSION = "session"
    JOB = "job"
    SERVICE = "service"


class WorkloadState(StrEnum):
    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return not WORKLOAD_TRANSITIONS[self]


class TaskState(StrEnum):
    PENDING = "pending"
    ASSIGNED = "assigned"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def ended(self) -> bool:
        return not TASK_TRANSITIONS[self]


class IllegalTransition(Exception):
    """A change of state that the table does not have; carries the history for the bug report."""

    def __init__(self, subject: str, old: StrEnum, new: StrEnum, history: str = "") -> None:
        super().__init__(f"{subject} can't go from {old} to {new}. {history}".rstrip())


_W = WorkloadState
WORKLOAD_TRANSITIONS: dict[WorkloadState, frozenset[WorkloadState]] = {
    _W.PENDING: frozenset({_W.STARTING, _W.FAILED, _W.CANCELLED}),
    _W.STARTING: frozenset(
        {_W.RUNNING, _W.PENDING, _W.STOPPING, _W.SUCCEEDED, _W.FAILED, _W.CANCELLED}
    ),
    _W.RUNNING: frozenset({_W.PENDING, _W.STOPPING, _W.SUCCEEDED, _W.FAILED, _W.CANCELLED}),
    _W.STOPPING: frozenset({_W.PENDING, _W.SUCCEEDED, _W.FAILED, _W.CANCELLED}),
    _W.SUCCEEDED: frozenset(),
    _W.FAILED: frozenset(),
    _W.CANCELLED: frozenset(),
}

_T = TaskState
_TASK_ENDS = frozenset({_T.SUCCEEDED, _T.FAILED, _T.CANCELLED, _T.LOST})
TASK_TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    _T.PENDING: frozenset({_T.ASSIGNED, _T.FAILED, _T.CANCELLED}),
    _T.ASSIGNED: _TASK_ENDS | {_T.PENDING, _T.STARTING, _T.RUNNING, _T.STOPPING},
    _T.STARTING: _TASK_ENDS | {_T.RUNNING, _T.STOPPING},
    _T.RUNNING: _TASK_ENDS | {_T.STOPPING},
    _T.STOPPING: _TASK_ENDS,
    _T.SUCCEEDED: frozenset(),
    _T.FAILED: frozenset(),
    _T.CANCELLED: frozenset(),
    _T.LOST: frozenset(),
}


def check_workload_transition(
    subject: str, old: WorkloadState, new: WorkloadState, history: str = ""
) -> None:
    """Raises IllegalTransition unless the table has the step."""
    if new not in WORKLOAD_TRANSITIONS[old]:
        raise IllegalTransition(subject, old, new, history)


def check_task_transition(subject: str, old: TaskState, new: TaskState, history: str = "") -> None:
    """Raises IllegalTransition unless the table has the step."""
    if new not in TASK_TRANSITIONS[old]:
        raise IllegalTransition(subject, old, new, history)
