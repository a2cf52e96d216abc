"""Why something waits or has ended: a closed list, each with a sentence for people.

A `Reason` is a code and the facts of this one case; the sentence is made from both, in one place,
so that the portal, the command line and the API say the same.

Facts whose name ends in `_at` are times in ISO 8601; whoever shows a sentence writes them in the
reader's zone (`sentence(…, when=…)`). The facts `job` and `jobs` are ids until `seen_by` has put
names in their place. `also` holds further clauses, each with a code and facts of its own; `remedy`
what would have to be done, for programs: a list of steps, which together make it start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
    TOGETHER_TOO_LARGE = "together_too_large"
    APART_TOO_FEW = "apart_too_few"
    NO_POOL = "no_pool"
    NO_LABEL = "no_label"
    QUEUE_CLOSED = "queue_closed"
    QUEUE_LIMIT = "queue_limit"
    BORROWING_LIMIT = "borrowing_limit"
    GUARANTEE_KEPT = "guarantee_kept"
    SUBJECT_LIMIT = "subject_limit"
    SUBJECT_RUNNING = "subject_running"
    SUBJECT_PENDING = "subject_pending"
    WINDOW_AHEAD = "window_ahead"
    WOULD_DELAY = "would_delay"
    STOPPING = "stopping"
    KEPT_FOR_ANOTHER = "kept_for_another"
    VICTIMS_YOUNG = "victims_young"
    WINDOW_BEGINS = "window_begins"
    WINDOW_OVER = "window_over"
    ROUND = "round"
    STRICT_ORDER = "strict_order"
    ENVIRONMENT_BUILDING = "environment_building"
    BACKOFF = "backoff"
    STARTING = "starting"
    RESIZED = "resized"
    MIGRATED = "migrated"
    MADE_WAY = "made_way"
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
    ReasonCode.GANG: (
        "waits until all {tasks} tasks fit at once, {wanted} each; {fitting} would fit now"
    ),
    ReasonCode.NO_NODE: "waits for a node: none is connected",
    ReasonCode.NODES_CLOSED: "waits for {nodes}, cordoned or lost: no other node could hold it",
    ReasonCode.NO_DEVICE: "asks for {wanted}, which no node has; there are {available}",
    ReasonCode.TOO_LARGE: "asks for {wanted}, more than any node has; the largest has {largest}",
    ReasonCode.GANG_TOO_LARGE: (
        "asks for {tasks} tasks at once of {wanted} each; all nodes together could hold {fitting}"
    ),
    ReasonCode.TOGETHER_TOO_LARGE: (
        "asks for {tasks} tasks of {wanted} each on one {within}; the largest could hold {fitting}"
    ),
    ReasonCode.APART_TOO_FEW: (
        "asks for {tasks} tasks of {wanted} each, every one on another {within}; "
        "only {fitting} could take one"
    ),
    ReasonCode.NO_POOL: "asks for pool {pool}, which no node is in; there are {available}",
    ReasonCode.NO_LABEL: "asks for nodes with {labels}, which no node has",
    ReasonCode.QUEUE_CLOSED: "waits until queue {queue} is opened",
    ReasonCode.QUEUE_LIMIT: (
        "waits for queue {queue}, which has {used} {resource} of at most {limit}; "
        "this asks for {asked}"
    ),
    ReasonCode.BORROWING_LIMIT: (
        "waits for queue {queue}, which has {used} {resource} and may have {limit} with what it "
        "borrows; this asks for {asked}"
    ),
    ReasonCode.GUARANTEE_KEPT: (
        "waits for {resource}: what is free is kept for the guarantee of queue {queue}"
    ),
    ReasonCode.SUBJECT_LIMIT: (
        "waits for {subject}, who has {used} {resource} of at most {limit}; this asks for {asked}"
    ),
    ReasonCode.SUBJECT_RUNNING: "waits for {subject}, who has {used} of at most {limit} running",
    ReasonCode.SUBJECT_PENDING: "waits for {subject}, who has {used} of at most {limit} waiting",
    ReasonCode.WINDOW_AHEAD: (
        "waits for reservation {reservation}, which needs its place from {from_at} on"
    ),
    ReasonCode.WINDOW_BEGINS: "waits for reservation {reservation} to begin at {from_at}",
    ReasonCode.WINDOW_OVER: "waits for reservation {reservation}, of which no window is left",
    ReasonCode.WOULD_DELAY: (
        "waits because it would delay {job}, which is to start at about {from_at}"
    ),
    ReasonCode.STOPPING: "waits for {jobs} to stop and make room for it",
    ReasonCode.KEPT_FOR_ANOTHER: "waits for a place; the one it could have is cleared for {job}",
    ReasonCode.VICTIMS_YOUNG: (
        "waits until {from_at}, when {jobs} will have run long enough to be stopped for it"
    ),
    ReasonCode.ROUND: "waits for its turn in queue {queue}, which is decided again at {from_at}",
    ReasonCode.STRICT_ORDER: "waits for {job}, which is before it in queue {queue}",
    ReasonCode.ENVIRONMENT_BUILDING: "waits for environment {environment} to be built",
    ReasonCode.BACKOFF: "failed ({cause}); tries again in {delay_s} s, attempt {attempt}",
    ReasonCode.STARTING: "is being started on {node}",
    ReasonCode.RESIZED: "is started again with {replicas} replicas",
    ReasonCode.MIGRATED: "is moved to make room: {gained}",
    ReasonCode.MADE_WAY: "moved from {source} to {target} to make room for {job}",
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
    ReasonCode.PREEMPTED: "made room for {job}",
}

CLAUSES: dict[str, str] = {
    "frees": "the first frees at about {free_at} when {job} ends",
    "frees_several": "it is free at about {free_at} when {jobs} end",
    "frees_many": "it is free at about {free_at} when {count} jobs end",
    "frees_unknown": "it is free when {jobs} end, nobody knows when",
    "frees_many_unknown": "it is free when {count} jobs end, nobody knows when",
    "frees_one_unknown": "it is free when {job} ends, nobody knows when",
    "next": "next in queue {queue}",
    "one_ahead": "1 job ahead in queue {queue}",
    "ahead": "{ahead} jobs ahead in queue {queue}",
    "quota_allows": "quota allows it",
    "shorter": "with a time limit that ends by {by_at} it could start now",
}
"""What else there is to say about a wait, after the sentence itself."""

_OWN = frozenset(
    {ReasonCode.EXIT_CODE, ReasonCode.SIGNAL, ReasonCode.OUT_OF_MEMORY, ReasonCode.START_FAILED}
)


When = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Wording:
    """One language: how cases and clauses are said, and jobs that the reader may not see."""

    sentences: Mapping[Any, str]
    clauses: Mapping[str, str]
    join: str
    hidden_job: str
    hidden_jobs: str


ENGLISH = Wording(SENTENCES, CLAUSES, "; ", "another job", "{count} other jobs")


def utc(at: str) -> str:
    """`2026-11-21T14:20:31Z` → `2026-11-21 14:20 UTC`."""
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def sentence(
    code: str, facts: Mapping[str, Any], *, when: When = utc, wording: Wording = ENGLISH
) -> str:
    """The sentence of one case, then its clauses. when: writes a time for the reader.

    Raises KeyError where a fact or the code is missing.
    """
    parts = [wording.sentences[code].format(**_readable(facts, when, wording))]
    for clause in facts.get("also", ()):
        table = wording.sentences if clause["code"] in wording.sentences else wording.clauses
        said = table[clause["code"]].format(**_readable(clause["facts"], when, wording))
        parts.append(said)
    return wording.join.join(parts)


def _readable(facts: Mapping[str, Any], when: When, wording: Wording) -> dict[str, Any]:
    readable: dict[str, Any] = {}
    for name, value in facts.items():
        if name.endswith("_at"):
            value = when(value)
        elif name == "job" and value is None:
            value = wording.hidden_job
        elif isinstance(value, list | tuple):
            shown = [str(one) for one in value if one is not None]
            hidden = len(value) - len(shown)
            if hidden:
                word = wording.hidden_job if hidden == 1 else wording.hidden_jobs
                shown.append(word.format(count=hidden))
            value = ", ".join(shown)
        readable[name] = value
    return readable


@dataclass(frozen=True, slots=True)
class Reason:
    """One case: `Reason(ReasonCode.EXIT_CODE, {"exit_code": 3})`. `str()` gives the sentence."""

    code: ReasonCode
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = sorted(facts_of(self.code) - set(self.facts))
        assert not missing, f"reason {self.code} lacks {missing}"

    def __str__(self) -> str:
        said = sentence(self.code, self.facts)
        if "who" not in self.facts:
            return said
        colon = ":" if self.code is ReasonCode.OUT_OF_MEMORY else ""
        return f"{self.facts['who']}{colon} {said}"

    def of(self, who: str) -> Reason:
        """The same of one task among several, where it is the task's own doing: `worker 1 failed
        with …`. What befell it (a lost node) is said as it is."""
        return Reason(self.code, {**self.facts, "who": who}) if self.code in _OWN else self

    def seen_by(self, name_of: Callable[[str], str | None]) -> Reason:
        """The same for one reader: jobs by name. `name_of` answers an id's name, or None for a
        job the reader may not see: it is told as "another job", its id nowhere. It is also asked
        for the names of `user:ID` and `project:ID`."""
        return Reason(self.code, _named(self.facts, name_of))

    def to_json(self) -> dict[str, Any]:
        return {"code": str(self.code), "facts": self.facts, "message": str(self)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Reason:
        return cls(ReasonCode(value["code"]), dict(value["facts"]))


def facts_of(code: ReasonCode) -> set[str]:
    """The names of the facts that a code's sentence needs."""
    return {name for _, name, _, _ in Formatter().parse(SENTENCES[code]) if name}


def _named(facts: Mapping[str, Any], name_of: Callable[[str], str | None]) -> dict[str, Any]:
    named = dict(facts)
    if named.get("job") is not None:
        named["job"] = name_of(named["job"])
    if "subject" in named:
        named["subject"] = name_of(named["subject"]) or named["subject"]
    if "jobs" in named:
        named["jobs"] = [name_of(job) if job is not None else None for job in named["jobs"]]
    if "also" in named:
        named["also"] = [
            {**clause, "facts": _named(clause["facts"], name_of)} for clause in named["also"]
        ]
    if "remedy" in named:
        named["remedy"] = [_visible(step, name_of) for step in named["remedy"]]
    return named


def _visible(step: Mapping[str, Any], name_of: Callable[[str], str | None]) -> dict[str, Any]:
    """A step without the ids of jobs that may not be seen."""
    return {
        name: [job for job in value if name_of(job.partition(":")[0]) is not None]
        if name in {"jobs", "requests"}
        else value
        for name, value in step.items()
    }
