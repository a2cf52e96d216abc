"""What is asked for: the one description of everything that runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

from madang.core.errors import InvalidInput
from madang.core.ids import check_name
from madang.core.priorities import parse_priority
from madang.core.resources import Resources
from madang.core.states import WorkloadKind
from madang.scheduling.model import ANYWHERE, Where

MAX_REPLICAS = 10_000

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NODE_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?")
_WIDTHS = {"": 0, "node": 1, "rack": 2}
"""What replicas can be kept together on, or apart on, narrowest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSpec:
    """A part of a workload: `replicas_min..replicas_max` equal processes.

    A job starts with as many as fit, at least the minimum, all at once; a service keeps
    `replicas_min` up until it is scaled, each by itself. `app_port` is where the process listens
    inside its sandbox, 0 for none; with a `ready_path` a replica is ready once GET of it there is
    answered with 2xx, without one as soon as it runs. `where` says which nodes may take it.
    """

    name: str = "worker"
    replicas_min: int = 1
    replicas_max: int = 1
    resources: Resources = field(default_factory=Resources)
    command: tuple[str, ...]
    app_port: int = 0
    ready_path: str = ""
    where: Where = ANYWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failure is worth another attempt.

    count: further attempts after the first; for a service, failures in a row of one replica
    before it is given up while no other runs.
    backoff_s doubles with each attempt up to backoff_max_s.
    exit_codes: ranges of exit codes that are worth it; the rest is taken as permanent. Losing the
    node or the supervisor always is; a service's replica is started again whatever its exit code.
    """

    count: int = 0
    backoff_s: float = 5.0
    backoff_max_s: float = 300.0
    exit_codes: tuple[tuple[int, int], ...] = ((128, 255),)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountSpec:
    """A folder wanted inside; `target` None is `/mnt/<folder>`."""

    folder: str
    target: str | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSpec:
    """Everything that runs is described by this; `service.submit` checks and keeps it.

    environment: `NAME[@VERSION]`, empty for the machine's own Python. datasets: `NAME[@V][:VIEW]`.
    code: digest of an uploaded bundle (`code.store`), mounted read-only at /code, which then is
    the working directory. time_limit_s: of one attempt, 0 for none. grace_s: between SIGTERM and
    SIGKILL, None for the installation's. queue: empty for the project's default.
    expected_s: how long it is expected to run, 0 where nobody said.
    preemptible: may be stopped for others and started again later; None: jobs may, sessions and
    services may not. resizable: replicas of its roles may come and go between their minimum and
    maximum while it runs. reservation: name or id of the one whose resources it may use.
    wait_for_nodes: take it even where no node could hold it, and wait for one that can.
    """

    kind: WorkloadKind
    name: str
    project_id: str
    user_id: str
    roles: tuple[RoleSpec, ...]
    environment: str = ""
    mounts: tuple[MountSpec, ...] = ()
    datasets: tuple[str, ...] = ()
    environment_variables: dict[str, str] = field(default_factory=dict)
    code: str = ""
    working_directory: str = ""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    time_limit_s: float = 0.0
    expected_s: float = 0.0
    grace_s: float | None = None
    priority: int = 0
    queue: str = ""
    parent_id: str | None = None
    on_node_lost: Literal["restart", "keep"] = "keep"
    labels: dict[str, str] = field(default_factory=dict)
    preemptible: bool | None = None
    resizable: bool = False
    reservation: str = ""
    wait_for_nodes: bool = False

    @property
    def may_be_preempted(self) -> bool:
        """Whether it may be stopped for others: what was said, else what suits its kind."""
        return self.kind is WorkloadKind.JOB if self.preemptible is None else self.preemptible

    def to_json(self) -> dict[str, Any]:
        dumped: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return dumped

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> WorkloadSpec:
        return _ADAPTER.validate_python(value)

    def role(self, name: str) -> RoleSpec:
        """Raises InvalidInput when there is none of that name."""
        for role in self.roles:
            if role.name == name:
                return role
        names = ", ".join(role.name for role in self.roles)
        raise InvalidInput(f"there is no role {name!r}", field="role", hint=f"Roles: {names}.")


_ADAPTER = TypeAdapter(WorkloadSpec)


def check_spec(spec: WorkloadSpec) -> WorkloadSpec:
    """Return the spec when it can be run at all. Raises InvalidInput naming what is wrong."""
    check_name(spec.name, spec.kind.value)
    if not spec.roles:
        raise InvalidInput("a workload needs at least one role", field="roles")
    if len({role.name for role in spec.roles}) != len(spec.roles):
        raise InvalidInput("two roles have the same name", field="roles")
    for role in spec.roles:
        _check_role(role, spec.kind)
    for name, value in spec.environment_variables.items():
        _check_variable(name, value)
    _check_numbers(spec)
    if spec.working_directory and not spec.working_directory.startswith("/"):
        raise InvalidInput(
            f"working directory {spec.working_directory!r} is not an absolute path",
            field="working_directory",
        )
    return spec


def _check_role(role: RoleSpec, kind: WorkloadKind) -> None:
    check_name(role.name, "role")
    if not role.command or not role.command[0]:
        raise InvalidInput("there is no command to run", field="command")
    if any("\0" in word for word in role.command):
        raise InvalidInput("a command can't contain a NUL character", field="command")
    least = 0 if kind is WorkloadKind.SERVICE else 1
    if not least <= role.replicas_min <= role.replicas_max <= MAX_REPLICAS:
        raise InvalidInput(
            f"replicas can't be {role.replicas_min}..{role.replicas_max}",
            field="replicas",
            hint=f"Write N or MIN..MAX with {least} ≤ MIN ≤ MAX ≤ {MAX_REPLICAS}.",
        )
    if not 0 <= role.app_port <= 65535:
        raise InvalidInput(f"{role.app_port} is not a port", field="app_port")
    _check_where(role.where)


def _check_where(where: Where) -> None:
    if where.pool:
        check_name(where.pool, "pool")
    for label in (text for pair in where.labels for text in pair):
        if not _NODE_LABEL.fullmatch(label):
            raise InvalidInput(
                f"{label!r} can't be in a label of a node",
                field="node_labels",
                hint="Write NAME=VALUE of letters, digits, '.', '_', '/' and '-'.",
            )
    for name, value in (("together", where.together), ("apart", where.apart)):
        if value not in _WIDTHS:
            raise InvalidInput(
                f"replicas can't be kept {name} on {value!r}",
                field=name,
                hint="Write node or rack.",
            )
    if where.together and _WIDTHS[where.together] <= _WIDTHS[where.apart]:
        raise InvalidInput(
            f"replicas can't share a {where.together} and each have a {where.apart} of its own",
            field="apart",
            hint="`together rack` with `apart node` is possible.",
        )


def _check_variable(name: str, value: str) -> None:
    if not _VARIABLE.fullmatch(name) or "\0" in value:
        raise InvalidInput(
            f"{name!r} can't name an environment variable"
            if not _VARIABLE.fullmatch(name)
            else f"the value of {name} contains a NUL character",
            field="environment_variables",
            hint="Write NAME=VALUE with a name of letters, digits and '_'.",
        )
    if name.startswith("MADANG_"):
        raise InvalidInput(
            f"{name} is set by the platform",
            field="environment_variables",
            hint="Choose a name that does not begin with MADANG_.",
        )


def _check_numbers(spec: WorkloadSpec) -> None:
    parse_priority(spec.priority)
    for field_name, seconds in (("time_limit", spec.time_limit_s), ("expected", spec.expected_s)):
        if seconds < 0:
            raise InvalidInput("a length of time can't be negative", field=field_name)
    if spec.time_limit_s and spec.expected_s > spec.time_limit_s:
        raise InvalidInput(
            f"it is expected to run {spec.expected_s:g} s, and is stopped after "
            f"{spec.time_limit_s:g} s",
            field="expected",
            hint="Raise the time limit, or expect less.",
        )
    if spec.resizable and all(role.replicas_min == role.replicas_max for role in spec.roles):
        raise InvalidInput(
            "it is resizable, but has no range to be resized in",
            field="resizable",
            hint="Give replicas a range, e.g. 2..8.",
        )
    if spec.grace_s is not None and not 0 <= spec.grace_s <= 3600:
        raise InvalidInput("grace must be 0 to 3600 seconds", field="grace_s")
    if not 0 <= spec.retry.count <= 1000:
        raise InvalidInput(
            f"{spec.retry.count} retries are out of range", field="retries", hint="Use 0 to 1000."
        )
