"""Why something waits or has ended: a closed list, each with a sentence for people.

A `Reason` is a code and the facts of this one case; the sentence is made from both, in one place,
so that the portal, the command line and the API say the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from string import Formatter
from typing import Any


class ReasonCode(StrEnum):
    # why it waits
    QUEUED = "queued"
    RESOURCES = "resources"
    GANG = "gang"
    NO_NODE = "no_node"
    NODES_CLOSED = "nodes_closed"
    NO_DEVICE = "no_device"
    TOO_LARGE = "too_large"
    GANG_TOO_LARGE = "gang_too_large"
    ENVIRONMENT_BUILDING = "environment_building"
    BACKOFF = "backoff"
    STARTING = "starting"
    # how it ended
    COMPLETED = "completed"
    EXIT_CODE = "exit_code"
    SIGNAL = "signal"
    OUT_OF_MEMORY = "out_of_memory"
    TIME_LIMIT = "time_limit"
    CANCELLED = "cancelled"
    SHUTDOWN = "shutdown"
    SCALED_DOWN = "scaled_down"
    PEER_ENDED = "peer_ended"
    COMMAND_NOT_FOUND = "command_not_found"
    ENVIRONMENT_FAILED = "environment_failed"
    FOLDER_MISSING = "folder_missing"
    DISK_FULL = "disk_full"
    START_FAILED = "start_failed"
    NODE_LOST = "node_lost"
    SUPERVISOR_LOST = "supervisor_lost"
    NODE_DRAINED = "node_drained"
    PREEMPTED = "preempted"


SENTENCES: dict[ReasonCode, str] = {
    ReasonCode.QUEUED: "waits behind {ahead} in queue {queue}",
    ReasonCode.RESOURCES: "waits for {wanted}; free now: {free}",
    ReasonCode.GANG: "waits until all {tasks} tasks fit at once; {fitting} would fit now",
    ReasonCode.NO_NODE: "waits for a node: none is connected",
    ReasonCode.NODES_CLOSED: "waits for {nodes}, cordoned or lost: no other node could hold it",
    ReasonCode.NO_DEVICE: "asks for {wanted}, which no node has; there are {available}",
    ReasonCode.TOO_LARGE: "asks for {wanted}, more than any node has; the largest has {largest}",
    ReasonCode.GANG_TOO_LARGE: (
        "asks for {tasks} tasks at once of {wanted} each; all nodes together could hold {fitting}"
    ),
    ReasonCode.ENVIRONMENT_BUILDING: "waits for environment {environment} to be built",
    ReasonCode.BACKOFF: "failed ({cause}); tries again in {delay_s} s, attempt {attempt}",
    ReasonCode.STARTING: "is being started on {node}",
    ReasonCode.COMPLETED: "ended well",
    ReasonCode.EXIT_CODE: "failed with exit code {exit_code}; its log says why",
    ReasonCode.SIGNAL: "was ended by signal {signal}",
    ReasonCode.OUT_OF_MEMORY: "out of memory: limit {limit}; ask for more with --memory",
    ReasonCode.TIME_LIMIT: "was stopped at its time limit of {limit}",
    ReasonCode.CANCELLED: "was cancelled by {actor}",
    ReasonCode.SHUTDOWN: "was stopped with the platform by {actor}",
    ReasonCode.SCALED_DOWN: "was stopped because fewer replicas are wanted",
    ReasonCode.PEER_ENDED: "was stopped because {peer} {cause}",
    ReasonCode.COMMAND_NOT_FOUND: "the command {command} was not found in {place}",
    ReasonCode.ENVIRONMENT_FAILED: "environment {environment} could not be used: {cause}",
    ReasonCode.FOLDER_MISSING: "folder {folder} could not be mounted: {cause}",
    ReasonCode.DISK_FULL: "the disk that holds {place} is full",
    ReasonCode.START_FAILED: "could not be started: {cause}",
    ReasonCode.NODE_LOST: "node {node} has not answered since {since}",
    ReasonCode.SUPERVISOR_LOST: "its supervisor on {node} was killed, its exit code is unknown",
    ReasonCode.NODE_DRAINED: "was stopped because {actor} drained node {node}",
    ReasonCode.PREEMPTED: "made room for {winner}",
}

_OWN = frozenset(
    {ReasonCode.EXIT_CODE, ReasonCode.SIGNAL, ReasonCode.OUT_OF_MEMORY, ReasonCode.START_FAILED}
)


@dataclass(frozen=True, slots=True)
class Reason:
    """One case: `Reason(ReasonCode.EXIT_CODE, {"exit_code": 3})`. `str()` gives the sentence."""

    code: ReasonCode
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = sorted(facts_of(self.code) - set(self.facts))
        assert not missing, f"reason {self.code} lacks {missing}"

    def __str__(self) -> str:
        sentence = SENTENCES[self.code].format(**self.facts)
        if "who" not in self.facts:
            return sentence
        colon = ":" if self.code is ReasonCode.OUT_OF_MEMORY else ""
        return f"{self.facts['who']}{colon} {sentence}"

    def of(self, who: str) -> Reason:
        """The same of one task among several, where it is the task's own doing: `worker 1 failed
        with …`. What befell it (a lost node) is said as it is."""
        return Reason(self.code, {**self.facts, "who": who}) if self.code in _OWN else self

    def to_json(self) -> dict[str, Any]:
        return {"code": str(self.code), "facts": self.facts, "message": str(self)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Reason:
        return cls(ReasonCode(value["code"]), dict(value["facts"]))


def facts_of(code: ReasonCode) -> set[str]:
    """The names of the facts that a code's sentence needs."""
    return {name for _, name, _, _ in Formatter().parse(SENTENCES[code]) if name}
