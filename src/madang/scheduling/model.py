"""What the planner is told and what it answers. Plain values; times are seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass, field

from madang.core.reasons import Reason
from madang.core.resources import Resources

Amounts = tuple[tuple[str, int], ...]
"""How much of what, sorted by name: `cpu`, `gpu` and other accelerators in thousandths (`gpu/H100`
for one model), `memory` in bytes, other names counted."""


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator of a node, or a slice of one.

    profile: of a slice that hardware keeps apart (`1g.10gb`); empty for a whole device.
    numa_node: the part of the node that it is attached to.
    link_group: devices of a node with the same number are joined by fast links (NVLink); -1: by
    none.
    """

    kind: str
    index: int
    model: str
    memory_bytes: int
    profile: str = ""
    numa_node: int = 0
    link_group: int = -1


@dataclass(frozen=True, slots=True)
class Node:
    """A machine. `open`: new tasks may be placed on it (it is neither cordoned nor lost).

    labels are sorted; `rack` among them says where it stands. counted: other things it has, by
    name.
    """

    id: str
    name: str
    cpu_milli: int
    memory_bytes: int
    devices: tuple[Device, ...] = ()
    open: bool = True
    pool: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    counted: Amounts = ()


@dataclass(frozen=True, slots=True)
class DeviceHold:
    """A part of a device: thousandths of it and bytes of its memory."""

    kind: str
    index: int
    milli: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a live task holds of a node. `key` is `OWNER/ROLE/REPLICA`: there is one at a time."""

    key: str
    node_id: str
    cpu_milli: int
    memory_bytes: int
    devices: tuple[DeviceHold, ...] = ()
    counted: Amounts = ()


@dataclass(frozen=True, slots=True)
class Where:
    """Which nodes may take the replicas of a group.

    pool, labels: all must match. together: replicas share one `node` or one `rack`. apart: no two
    replicas share a `node` or a `rack`. Empty: no matter.
    """

    pool: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    together: str = ""
    apart: str = ""


ANYWHERE = Where()


@dataclass(frozen=True, slots=True)
class Group:
    """Equal replicas, numbered from `first`: at least `replicas_min`, at most `replicas_max`."""

    role: str
    replicas_min: int
    replicas_max: int
    resources: Resources
    first: int = 0
    where: Where = ANYWHERE


@dataclass(frozen=True, slots=True)
class Work:
    """What is known of how far a job is and how fast it gets on.

    total, done: in the job's own units (epochs, steps, samples); total None: not declared.
    rate: units per second, measured in its last run; None: it never ran, or reports nothing.
    attained_gpu_s: GPU seconds it has had. speeds: (GPUs, units per second), measured or modelled,
    sorted; empty: not known. step_times: (replicas on each node, largest first; seconds of a
    step): what a placement costs, measured or modelled. restart_s: what a stop and a start cost.
    expected_total: what jobs of its template took in all; learned. overrun: by which factor jobs
    of its user and template went past what they had declared; learned. measured_gpus: the most
    GPUs that `speeds` was measured with; above, it is foretold.
    """

    total: float | None = None
    done: float = 0.0
    rate: float | None = None
    attained_gpu_s: float = 0.0
    speeds: tuple[tuple[int, float], ...] = ()
    step_times: tuple[tuple[tuple[int, ...], float], ...] = ()
    restart_s: float = 30.0
    expected_total: float | None = None
    overrun: float = 1.0
    measured_gpus: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """Something that wants to start, all groups at once or not at all; the same value describes
    it while it runs (`Running`).

    Among equal priorities the smaller `order` goes first, then the smaller id. Nothing happens
    before `not_before`. queue: id of a leaf of the queue tree. time_limit_s: 0 for none.
    expected_s: how long it is expected to run, learned from others of its `template`; None: not
    known. preemptible: may be stopped for others and started again later. resizable: replicas may
    come and go between minimum and maximum while it runs. reservation: id of the one it was
    submitted for. ran_s: how long it has run already, before it was stopped for others.
    """

    id: str
    owner: str
    queue: str
    groups: tuple[Group, ...]
    priority: int = 0
    order: int = 0
    not_before: float = 0.0
    user: str = ""
    project: str = ""
    submitted_at: float = 0.0
    time_limit_s: float = 0.0
    expected_s: float | None = None
    preemptible: bool = False
    resizable: bool = False
    template: str = ""
    work: Work | None = None
    reservation: str = ""
    ran_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Running:
    """A request that runs. since: when it started. saved_at: when its work was last saved (a
    checkpoint); what it did since is lost when it is stopped."""

    request: Request
    since: float
    saved_at: float


@dataclass(frozen=True, slots=True)
class Queue:
    """A node of the queue tree; requests wait in leaves.

    parent: empty for a root. weight: its share among its siblings of what is contended.
    guarantee: kept for it: others get it only while it is not wanted, if `reclaimable`.
    limit: never more than this. borrowing_limit: never more than this above its guarantee.
    lending_limit: at most this much of its guarantee is lent; None everywhere: no bound.
    reclaimable: what it holds above its guarantee may be taken back by others for theirs.
    ordering: a name of `ordering.ORDERS`. min_runtime_s: what has run for less is not preempted.
    open: takes new starts.
    """

    id: str
    name: str
    parent: str = ""
    weight: float = 1.0
    guarantee: Amounts = ()
    limit: Amounts | None = None
    borrowing_limit: Amounts | None = None
    lending_limit: Amounts | None = None
    reclaimable: bool = True
    ordering: str = "priority"
    min_runtime_s: float = 0.0
    open: bool = True


@dataclass(frozen=True, slots=True)
class Limit:
    """What one user or project may have at once; None: no bound. `subject` is `user:ID`,
    `project:ID`; `user:*` holds for each user that has none of its own, `project:*` alike."""

    subject: str
    running: int | None = None
    pending: int | None = None
    amounts: Amounts = ()


@dataclass(frozen=True, slots=True)
class Reservation:
    """One window in which resources are held for a project. groups: what is held, as if it were
    a request. returned: it was given back, or was not used in time."""

    id: str
    project: str
    groups: tuple[Group, ...]
    start: float
    end: float
    returned: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """How the planner decides, for the whole cluster.

    placement: a name of `placement.POLICIES`; pool_placement: other ones for single pools.
    seed: of the fixed order of nodes among equals. round_s: how often queues that share in time
    (`shortest`, `attained`, `goodput`) decide anew. half_life_s: of decayed usage.
    migration_budget: share of the tasks that hold places that may be moved within an hour so that
    others fit; 0: nothing is. preemption: whether anything may be stopped for others. backfill:
    whether others may pass the first of a queue while it waits.
    learn_mix: placement learns what is asked for as it arrives, with `Snapshot.mix` as a prior;
    else it stays as it was told.
    """

    placement: str = "default"
    pool_placement: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    round_s: float = 60.0
    half_life_s: float = 7 * 86_400.0
    migration_budget: float = 0.0
    preemption: bool = True
    backfill: bool = True
    learn_mix: bool = True


@dataclass(frozen=True, slots=True)
class Placement:
    """One replica and where it goes."""

    role: str
    replica: int
    node_id: str
    devices: tuple[DeviceHold, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """Places that are kept for a request; they are free when all of `until` (keys of allocations)
    are released. goes_on: it runs, or ran, elsewhere and is moved: it goes on there whatever
    queues and limits say by then."""

    request_id: str
    placements: tuple[Placement, ...]
    until: tuple[str, ...] = ()
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All there is at one moment. usage: (queue or user id, decayed GPU seconds, as of when).

    leaving: keys of what is held by tasks that are being stopped. kept: what others are stopped
    for. mix: how often what was asked for in the past, in any unit; placement expects the same.
    moved: requests that were moved to make room, and when; the last hour's count.
    """

    nodes: tuple[Node, ...] = ()
    allocations: tuple[Allocation, ...] = ()
    requests: tuple[Request, ...] = ()
    running: tuple[Running, ...] = ()
    queues: tuple[Queue, ...] = ()
    limits: tuple[Limit, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    usage: tuple[tuple[str, float, float], ...] = ()
    policy: Policy = field(default_factory=Policy)
    leaving: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()
    mix: tuple[tuple[Resources, float], ...] = ()
    moved: tuple[tuple[str, float], ...] = ()


# -- events: what has happened ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeSet:
    """A node is new, or is other than before."""

    node: Node


@dataclass(frozen=True, slots=True)
class NodeGone:
    """A node will not come back."""

    node_id: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request is new, or is other than before."""

    request: Request


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A request is not wanted any more; not known is fine."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Began:
    """A request runs, or what is known of it has changed (a checkpoint, progress). The planner
    knows of its own starts already."""

    running: Running


@dataclass(frozen=True, slots=True)
class Held:
    """A task holds something that the planner did not give it, or it is told again."""

    allocation: Allocation


@dataclass(frozen=True, slots=True)
class Released:
    """A task has ended; not known is fine. With its last task a request no longer runs."""

    key: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """A task is being stopped, for whatever cause: it will be `Released`. The planner knows of
    those that it stops itself."""

    key: str


@dataclass(frozen=True, slots=True)
class QueueSet:
    """A queue is new, or is other than before."""

    queue: Queue


@dataclass(frozen=True, slots=True)
class QueueGone:
    """A queue was deleted; not known is fine."""

    queue_id: str


@dataclass(frozen=True, slots=True)
class LimitSet:
    """A limit is new, or is other than before; without any bound it is gone."""

    limit: Limit


@dataclass(frozen=True, slots=True)
class Reserved:
    """A reservation is new, or is other than before."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class Unreserved:
    """A reservation was cancelled; not known is fine."""

    reservation_id: str


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The cluster's policy is other than before."""

    policy: Policy


Event = (
    NodeSet
    | NodeGone
    | Asked
    | Withdrawn
    | Began
    | Held
    | Released
    | Leaving
    | QueueSet
    | QueueGone
    | LimitSet
    | Reserved
    | Unreserved
    | PolicySet
)


# -- actions: what should happen --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Start a request. The planner counts it as held and running from now on; when it could not
    be carried out, say `Released` for each key and `Asked` again."""

    request: Request
    placements: tuple[Placement, ...]


@dataclass(frozen=True, slots=True)
class Preempt:
    """Stop a running request so that another can have its place; said once. What it holds is kept
    for `winner` (a request's id) until it is `Released` and taken. gained: what that request
    gets; lost_s: task seconds of work that nobody has saved."""

    request_id: str
    owner: str
    winner: str
    gained: str
    lost_s: float


@dataclass(frozen=True, slots=True)
class Resize:
    """Change the replicas of a resizable running request: `added` count as held from now on,
    `removed` (keys) are kept until they are `Released`."""

    request_id: str
    owner: str
    added: tuple[Placement, ...] = ()
    removed: tuple[str, ...] = ()
    winner: str = ""


@dataclass(frozen=True, slots=True)
class Migrate:
    """Stop a running request and start it again at once at these places, which are kept for it:
    a Start follows when all it held is `Released` and it is `Asked` for again.

    winner: the request that gets its place or a part of it, within the migration budget; empty
    where a queue that shares in time moves its own. gained: what that request gets; lost_s: task
    seconds of work that nobody has saved.
    """

    request_id: str
    owner: str
    placements: tuple[Placement, ...]
    gained: str
    winner: str = ""
    lost_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a request waits, and when it is expected to start, where that is known."""

    request_id: str
    reason: Reason
    expected_start: float | None = None


Action = Start | Preempt | Resize | Migrate | Wait
