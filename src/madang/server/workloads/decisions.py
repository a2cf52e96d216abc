"""What should become of a workload, given its tasks and its owner's wish: pure decisions.

A *job* (and a session) lives and dies as a whole: one failed task ends the others, and a retry
starts all of them again. A *service* keeps each replica up by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from madang.core.reasons import Reason, ReasonCode
from madang.core.states import TaskState, WorkloadState
from madang.server.workloads.spec import RetryPolicy

STABLE_S = 60.0
"""A replica that ran for so long is taken to have been well: its failures are counted anew."""

_LOST = frozenset({ReasonCode.NODE_LOST, ReasonCode.SUPERVISOR_LOST})
_PLATFORMS_DOING = frozenset(
    {
        ReasonCode.NODE_DRAINED,
        ReasonCode.PREEMPTED,
        ReasonCode.RESIZED,
        ReasonCode.MIGRATED,
        ReasonCode.MADE_WAY,
    }
)
"""Ended for the platform's own sake: started again at once, and not counted as a retry."""
_EXITED = frozenset({ReasonCode.EXIT_CODE, ReasonCode.SIGNAL})
_WISHES = frozenset({ReasonCode.CANCELLED, ReasonCode.SHUTDOWN, ReasonCode.SCALED_DOWN})


@dataclass(frozen=True, slots=True)
class TaskView:
    """What a decision looks at."""

    id: str
    role: str
    replica: int
    state: TaskState
    reason: Reason | None = None
    exit_code: int | None = None
    failures: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Tasks to stop (with why), the workload's state and reason. `retry_in_s` with PENDING makes
    a new attempt; `counted` says whether it uses up a retry."""

    state: WorkloadState
    reason: Reason | None = None
    stops: tuple[tuple[str, Reason], ...] = ()
    retry_in_s: float | None = None
    counted: bool = False
    exit_code: int | None = None


def judge_job(
    *,
    state: WorkloadState,
    reason: Reason | None,
    attempt: int,
    retries: int,
    wish: Reason | None,
    retry: RetryPolicy,
    tasks: Sequence[TaskView],
) -> Verdict:
    """The verdict on a job; `tasks` are those of its present attempt."""
    live = [task for task in tasks if not task.state.ended]
    cause = _first_failure(tasks)
    if wish is not None:
        if live:
            return Verdict(WorkloadState.STOPPING, wish, _stops(live, wish))
        if tasks and all(task.state is TaskState.SUCCEEDED for task in tasks):
            return _succeeded()
        return Verdict(_end_by(wish), wish, exit_code=cause.exit_code if cause else None)
    if cause is not None:
        why = cause.reason or Reason(ReasonCode.START_FAILED, {"cause": "for no known reason"})
        if len(tasks) > 1:
            why = why.of(f"{cause.role} {cause.replica}")
        if live:
            peer = {"peer": f"{cause.role} {cause.replica}", "cause": str(cause.reason or why)}
            stops = _stops(live, Reason(ReasonCode.PEER_ENDED, peer))
            return Verdict(WorkloadState.STOPPING, why, stops)
        return _after_failure(why, cause.exit_code, attempt, retries, retry)
    if not tasks:
        return Verdict(state, reason)
    if not live:
        return _succeeded()
    up = all(task.state in (TaskState.RUNNING, TaskState.SUCCEEDED) for task in tasks)
    if up or state is WorkloadState.RUNNING:
        return Verdict(WorkloadState.RUNNING)
    return Verdict(WorkloadState.STARTING, reason)


def judge_service(
    *,
    state: WorkloadState,
    reason: Reason | None,
    wish: Reason | None,
    wanted: Mapping[str, int],
    retry: RetryPolicy,
    tasks: Sequence[TaskView],
) -> Verdict:
    """The verdict on a service; `tasks` are the newest one of each replica."""
    live = [task for task in tasks if not task.state.ended]
    if wish is not None:
        if live:
            return Verdict(WorkloadState.STOPPING, wish, _stops(live, wish))
        return Verdict(_end_by(wish), wish)
    surplus = [task for task in live if task.replica >= wanted.get(task.role, 0)]
    stops = _stops(surplus, Reason(ReasonCode.SCALED_DOWN))
    if any(task.state is TaskState.RUNNING for task in live):
        return Verdict(WorkloadState.RUNNING, None, stops)
    troubled = [
        task
        for task in tasks
        if task.state.ended
        and task.replica < wanted.get(task.role, 0)
        and failures_in_a_row(task) > 0
    ]
    if troubled and not live:
        worst = max(troubled, key=failures_in_a_row)
        why = worst.reason or Reason(ReasonCode.START_FAILED, {"cause": "for no known reason"})
        if failures_in_a_row(worst) > retry.count:
            return Verdict(WorkloadState.FAILED, why, exit_code=worst.exit_code)
        delay_s = replica_delay_s(worst, retry)
        facts = {"cause": str(why), "delay_s": round(delay_s), "attempt": worst.failures + 2}
        return Verdict(WorkloadState.PENDING, Reason(ReasonCode.BACKOFF, facts), stops)
    if live:
        new = WorkloadState.PENDING if state is WorkloadState.RUNNING else WorkloadState.STARTING
        return Verdict(new, reason if new is state else None, stops)
    if not any(wanted.values()):
        return Verdict(WorkloadState.PENDING, Reason(ReasonCode.SCALED_DOWN))
    return Verdict(WorkloadState.PENDING, reason if state is WorkloadState.PENDING else None)


def failures_in_a_row(task: TaskView) -> int:
    """How often this replica has failed up to and with this (ended) task; 0 when it was stopped
    on purpose."""
    if task.reason is not None and task.reason.code in _WISHES | _PLATFORMS_DOING:
        return 0
    if task.started_at is not None and task.ended_at is not None:
        ran_s = (task.ended_at - task.started_at).total_seconds()
        if ran_s >= STABLE_S:
            return 1
    return task.failures + 1


def replica_delay_s(task: TaskView, retry: RetryPolicy) -> float:
    """How long after its end a service's replica is started again."""
    failures = failures_in_a_row(task)
    return backoff_s(retry, failures - 1) if failures else 0.0


def replica_not_before(task: TaskView, retry: RetryPolicy) -> datetime | None:
    """When a service's replica may be started again; None: now."""
    delay_s = replica_delay_s(task, retry)
    if not delay_s or task.ended_at is None:
        return None
    return task.ended_at + timedelta(seconds=delay_s)


def backoff_s(retry: RetryPolicy, retries: int) -> float:
    """The pause before retry number `retries` + 1."""
    return float(min(retry.backoff_max_s, retry.backoff_s * 2.0 ** min(retries, 30)))


def worth_a_retry(reason: Reason, exit_code: int | None, retry: RetryPolicy) -> bool:
    """Whether trying again may help: what was lost is, what failed by itself by its exit code."""
    if reason.code in _LOST:
        return True
    if reason.code not in _EXITED or exit_code is None:
        return False
    return any(low <= exit_code <= high for low, high in retry.exit_codes)


def _after_failure(
    why: Reason, exit_code: int | None, attempt: int, retries: int, retry: RetryPolicy
) -> Verdict:
    if why.code in _PLATFORMS_DOING:
        return Verdict(WorkloadState.PENDING, why, retry_in_s=0.0)
    if retries < retry.count and worth_a_retry(why, exit_code, retry):
        delay_s = backoff_s(retry, retries)
        facts = {"cause": str(why), "delay_s": round(delay_s, 1), "attempt": attempt + 1}
        backoff = Reason(ReasonCode.BACKOFF, facts)
        return Verdict(WorkloadState.PENDING, backoff, retry_in_s=delay_s, counted=True)
    return Verdict(WorkloadState.FAILED, why, exit_code=exit_code)


def _first_failure(tasks: Sequence[TaskView]) -> TaskView | None:
    """What began it: the first that ended badly, before those that were stopped for its sake."""
    failed = [task for task in tasks if task.state.ended and task.state is not TaskState.SUCCEEDED]

    def order(task: TaskView) -> tuple[bool, datetime, int]:
        assert task.ended_at is not None
        consequence = task.reason is not None and task.reason.code is ReasonCode.PEER_ENDED
        return (consequence, task.ended_at, task.replica)

    return min(failed, key=order, default=None)


def _stops(live: Sequence[TaskView], reason: Reason) -> tuple[tuple[str, Reason], ...]:
    return tuple((task.id, reason) for task in live if task.state is not TaskState.STOPPING)


def _end_by(wish: Reason) -> WorkloadState:
    return WorkloadState.CANCELLED if wish.code in _WISHES else WorkloadState.FAILED


def _succeeded() -> Verdict:
    return Verdict(WorkloadState.SUCCEEDED, Reason(ReasonCode.COMPLETED), exit_code=0)
