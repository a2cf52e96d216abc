"""How an endpoint is, in a word and a sentence: from what is wanted and what is seen."""

from __future__ import annotations

from dataclasses import dataclass

from madang.core.states import WorkloadState
from madang.schemas.endpoints import EndpointState


@dataclass(frozen=True, slots=True)
class RevisionView:
    """A revision as it is now. `reason` is its workload's, in words."""

    number: int
    replicas: int
    replicas_ready: int
    state: WorkloadState
    reason: str = ""


def describe(
    target: RevisionView, active: RevisionView | None, *, deleting: bool
) -> tuple[EndpointState, str]:
    """The state of an endpoint that wants `target` while requests go to `active`."""
    if deleting:
        return EndpointState.DELETING, "is being deleted"
    serving = active if active is not None and active.replicas_ready else None
    if serving is None:
        if target.state is WorkloadState.CANCELLED:
            return EndpointState.STOPPED, f"{_why(target)}; deploy it again to have it answer"
        if target.state.ended:
            return EndpointState.FAILED, f"failed: {_why(target)}"
        return EndpointState.STARTING, _starting(target)
    if serving.number == target.number:
        return _serving(target)
    served = f"revision {serving.number} answers meanwhile"
    if target.state.ended:
        message = f"revision {target.number} failed: {_why(target)}; {served}"
        return EndpointState.DEGRADED, message
    return EndpointState.UPDATING, f"revision {target.number} {_starting(target)}; {served}"


def _serving(view: RevisionView) -> tuple[EndpointState, str]:
    count = f"{view.replicas_ready} of {_plural(view.replicas)}"
    if view.replicas_ready >= view.replicas:
        return EndpointState.READY, f"ready: {count}"
    why = f"; {view.reason}" if view.reason else ""
    return EndpointState.DEGRADED, f"answers with {count}{why}"


def _starting(view: RevisionView) -> str:
    if view.state is WorkloadState.RUNNING:
        return f"is loading its model: {view.replicas_ready} of {_plural(view.replicas)} ready"
    return view.reason or "is being started"


def _why(view: RevisionView) -> str:
    return view.reason or f"its service is {view.state.value}"


def _plural(replicas: int) -> str:
    return "1 replica" if replicas == 1 else f"{replicas} replicas"
