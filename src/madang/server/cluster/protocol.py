"""What control and a node's agent say to each other.

The agent calls; control answers with what should be (level-triggered, safe to repeat):

    POST /internal/v1/nodes/{node}/sync    NodeReport → NodeOrders   (a long poll)

The agent serves, on its Unix socket, what control asks for in between:

    GET  /v1/tasks/{task}/log?offset=&limit=&wait_s=     bytes of the log
    POST /v1/environments                                EnvironmentBuild → EnvironmentBuilt

All are plain dataclasses: JSON on a local socket today, arguments of an actor's method on Ray.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

PROTOCOL_VERSION = 1


@dataclass(frozen=True, slots=True)
class DeviceInventory:
    """An accelerator of a node. `index` is its number there; `simulated` ones compute nothing.
    Devices with the same `link_group` are joined by fast links (-1: by none). Of a slice that
    hardware keeps apart `profile` is set, and `parent` is the uuid of what it is a slice of."""

    index: int
    kind: str
    model: str
    memory_bytes: int
    uuid: str = ""
    numa_node: int = 0
    simulated: bool = False
    link_group: int = -1
    profile: str = ""
    parent: str = ""


@dataclass(frozen=True, slots=True)
class NodeInventory:
    """What a node has. `limits` names what its cgroups can enforce (cpu, memory, pids)."""

    hostname: str
    cpu_milli: int
    memory_bytes: int
    numa_nodes: int = 1
    devices: tuple[DeviceInventory, ...] = ()
    sandbox: str = "none"
    limits: tuple[str, ...] = ()
    identity: Literal["shared", "personal"] = "personal"
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceShare:
    """A part of a device held by a task: thousandths of it, and memory when limited."""

    index: int
    kind: str
    milli: int
    memory_bytes: int = 0
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder inside the task: `source` on the node, `target` in the sandbox."""

    source: str
    target: str
    read_only: bool
    folder: str = ""


@dataclass(frozen=True, slots=True)
class TaskUser:
    """Whom the task runs as. In personal mode uid and gid are the server's own."""

    name: str
    uid: int
    gid: int
    gids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """All that a node needs to run one task; nothing in it changes while the task lives.

    `task_id` is one attempt's: a retry is another task. Tasks of one `network_group` on a node
    share a network namespace. `app_port` is the port inside that the gateway may reach.
    `environment_path` is the built environment on the node, empty for the machine's own Python.
    `api_token` is the task's own; its relay adds it to requests, the process never sees it.
    """

    task_id: str
    workload_id: str
    attempt: int
    role: str
    index: int
    command: tuple[str, ...]
    environment_variables: dict[str, str]
    working_directory: str
    user: TaskUser
    cpu_milli: int
    memory_bytes: int
    devices: tuple[DeviceShare, ...]
    mounts: tuple[Mount, ...]
    sandbox: str
    network_group: str
    api_token: str
    app_port: int = 0
    environment_path: str = ""
    environment_name: str = ""
    time_limit_s: float = 0.0
    grace_s: float = 10.0
    log_bytes: int = 64 * 2**20
    log_files: int = 4
    on_node_lost: Literal["restart", "keep"] = "keep"


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """What should be: `run` it (start it once, then leave it alone) or `stop` it."""

    spec: TaskSpec
    action: Literal["run", "stop"]


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """How a task ended, written once by its supervisor (fsync, rename) and never changed.

    `reason` is a `core.reasons.ReasonCode` with its facts. `exit_code` follows the shell: 128 + n
    for signal n; None when nobody could see it. Times are seconds since 1970.
    """

    reason: str
    facts: dict[str, Any]
    exit_code: int | None
    started_at: float | None
    ended_at: float
    peak_memory_bytes: int = 0
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What is: the phase of a task on the node. `isolation` says what it really got, in words,
    e.g. {"sandbox": "bwrap", "network": "private", "memory": "enforced", "pids": "not enforced"}.
    """

    task_id: str
    phase: Literal["starting", "running", "exited"]
    started_at: float | None = None
    exit: ExitRecord | None = None
    isolation: dict[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class NodeReport:
    """The agent's half of a sync. `orders_revision` is the last NodeOrders it acted on."""

    protocol: int
    boot_id: str
    agent_id: str
    inventory: NodeInventory
    tasks: tuple[TaskReport, ...]
    orders_revision: int
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class NodeOrders:
    """Control's half. A task that the node has and that is not listed is not wanted any more:
    one that still runs is stopped, one that has exited may be forgotten (its record has arrived).
    """

    revision: int
    orders: tuple[TaskOrder, ...]
    lease_s: float


@dataclass(frozen=True, slots=True)
class EnvironmentBuild:
    """Build an environment into `path`; safe to repeat, one build at a time for one digest."""

    digest: str
    packages: tuple[str, ...]
    python: str
    path: str


@dataclass(frozen=True, slots=True)
class EnvironmentBuilt:
    """`ok` with the `lock` (name==version lines), or the resolver's message in `error`."""

    ok: bool
    lock: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0
    size_bytes: int = 0
