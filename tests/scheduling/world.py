"""A small world for planner tests: what really is, and what must hold of it."""

from __future__ import annotations

from collections import Counter

from madang.core.resources import Resources
from madang.scheduling import (
    Action,
    Allocation,
    Asked,
    Began,
    Device,
    Event,
    Group,
    Migrate,
    Node,
    NodeGone,
    NodeSet,
    Placement,
    Planner,
    Policy,
    PolicySet,
    Preempt,
    Queue,
    QueueGone,
    QueueSet,
    Released,
    Request,
    Resize,
    Running,
    Snapshot,
    Start,
    Wait,
    Where,
    Withdrawn,
)
from madang.scheduling.model import ANYWHERE

GIB = 2**30
FIRST_FIT = Policy(placement="first-fit")


def node(name: str, *, cpu: int = 8, memory: int = 32, gpus: int = 0, **options: object) -> Node:
    devices = tuple(Device("gpu", i, "NVIDIA H100 80GB", 80 * GIB) for i in range(gpus))
    return Node(name, name, cpu * 1000, memory * GIB, devices, **options)  # type: ignore[arg-type]


def ask(
    name: str,
    *wanted: str,
    replicas: int | tuple[int, int] = 1,
    queue: str = "default",
    where: Where = ANYWHERE,
    **options: object,
) -> Request:
    low, high = replicas if isinstance(replicas, tuple) else (replicas, replicas)
    need = Resources.parse(wanted or ("cpu=1", "memory=1GiB"))
    group = Group("worker", low, high, need, where=where)
    return Request(name, name, queue, (group,), **options)  # type: ignore[arg-type]


class World:
    """Carries out what the planner says, at once unless told otherwise, and checks it."""

    def __init__(self, *things: Node | Queue | Request, policy: Policy = FIRST_FIT) -> None:
        self.policy = policy
        self.nodes: dict[str, Node] = {}
        self.queues: dict[str, Queue] = {}
        self.held: dict[str, Allocation] = {}
        self.requests: dict[str, Request] = {}
        self.running: dict[str, Running] = {}
        self.stopped: dict[str, Request] = {}
        self.shrunk: set[str] = set()
        self.moving: dict[str, tuple[str, ...]] = {}
        self.moved_at: dict[str, float] = {}
        self.planner = Planner()
        self.planner.apply([PolicySet(policy)])
        self.now = 0.0
        for thing in things:
            match thing:
                case Node():
                    self.tell(NodeSet(thing))
                case Queue():
                    self.tell(QueueSet(thing))
                case Request():
                    self.tell(Asked(thing))

    def tell(self, *events: Event) -> None:
        for event in events:
            match event:
                case NodeSet(changed):
                    self.nodes[changed.id] = changed
                case NodeGone(node_id):
                    self.nodes.pop(node_id, None)
                case QueueSet(queue):
                    self.queues[queue.id] = queue
                case QueueGone(queue_id):
                    self.queues.pop(queue_id, None)
                case Asked(request):
                    self.requests[request.id] = request
                case Withdrawn(request_id):
                    self.requests.pop(request_id, None)
                case Began(running):
                    self.running[running.request.id] = running
                case Released(key):
                    self._release(key)
        self.planner.apply(events)

    def ask(self, name: str, *wanted: str, **options: object) -> None:
        self.tell(Asked(ask(name, *wanted, **options)))  # type: ignore[arg-type]

    def end(self, name: str) -> None:
        """All tasks of a request end."""
        keys = sorted(key for key in self.held if key.startswith(f"{name}/"))
        self.tell(*(Released(key) for key in keys))

    def vacate(self) -> None:
        """Those who were told to stop have stopped, and are asked for again."""
        for name, request in sorted(self.stopped.items()):
            self.end(name)
            self.tell(Asked(request))
        self.stopped.clear()
        self.tell(*(Released(key) for key in sorted(self.shrunk)))
        self.shrunk.clear()

    def plan(self, *, compare: bool = False) -> list[Action]:
        expected: list[Action] | None = None
        if compare:
            fresh = Planner()
            fresh.load(self.planner.snapshot(self.now))
            expected = fresh.plan(self.now, waits=False)
        actions = self.planner.plan(self.now, waits=False)
        assert expected is None or actions == expected
        for action in actions:
            self._carry_out(action)
        self.check()
        self.check_limits(actions)
        return actions

    def starts(self) -> dict[str, list[str]]:
        """Plan; who starts where."""
        return {
            action.request.id: [place.node_id for place in action.placements]
            for action in self.plan()
            if isinstance(action, Start)
        }

    def preempted(self) -> dict[str, str]:
        """A second later, plan; who is stopped for whom."""
        self.now += 1.0
        return {a.request_id: a.winner for a in self.plan() if isinstance(a, Preempt)}

    def _carry_out(self, action: Action) -> None:
        match action:
            case Start(request, placements):
                del self.requests[request.id]
                self.moving.pop(request.id, None)
                self.running[request.id] = Running(request, self.now, self.now)
                replicas = Counter(place.role for place in placements)
                for group in request.groups:
                    assert group.replicas_min <= replicas[group.role] <= group.replicas_max
                self._place(request, placements)
            case Preempt(request_id):
                assert request_id not in self.stopped
                self.stopped[request_id] = self.running[request_id].request
            case Migrate(request_id):
                self._move(action)
            case Resize(request_id, _, added, removed):
                assert request_id not in self.stopped
                self._place(self.running[request_id].request, added)
                assert not self.shrunk & set(removed)
                self.shrunk |= set(removed)
            case Wait():
                pass

    def _move(self, move: Migrate) -> None:
        running = self.running[move.request_id]
        assert move.request_id not in self.stopped
        assert running.request.preemptible
        assert move.winner in self.requests
        assert self.now - self.moved_at.get(move.request_id, -3600.0) >= 3600.0
        assert all(self.nodes[place.node_id].open for place in move.placements)
        self.moved_at[move.request_id] = self.now
        self.stopped[move.request_id] = running.request
        self.moving[move.request_id] = tuple(place.node_id for place in move.placements)

    def _place(self, request: Request, placements: tuple[Placement, ...]) -> None:
        groups = {group.role: group for group in request.groups}
        for place in placements:
            need = groups[place.role].resources
            key = f"{request.owner}/{place.role}/{place.replica}"
            assert key not in self.held
            assert self.nodes[place.node_id].open
            self.held[key] = Allocation(
                key,
                place.node_id,
                need.cpu_milli,
                need.memory_bytes,
                place.devices,
                need.counted,
            )

    def _release(self, key: str) -> None:
        self.held.pop(key, None)
        owner = key.split("/")[0]
        if not self.keys_of(owner):
            self.running.pop(owner, None)

    def keys_of(self, name: str) -> list[str]:
        return [key for key in self.held if key.startswith(f"{name}/")]

    # -- what must hold -----------------------------------------------------------------------

    def check(self) -> None:
        snapshot = self.planner.snapshot()
        assert {a.key: a for a in snapshot.allocations} == self.held
        assert {r.id: r for r in snapshot.requests} == self.requests
        assert {r.request.id for r in snapshot.running} == set(self.running)
        self.check_capacity()
        self.check_gangs()
        self.check_sums(snapshot)

    def check_capacity(self) -> None:
        """Nothing is given twice."""
        for machine in self.nodes.values():
            held = [a for a in self.held.values() if a.node_id == machine.id]
            assert sum(a.cpu_milli for a in held) <= machine.cpu_milli
            assert sum(a.memory_bytes for a in held) <= machine.memory_bytes
            for device in machine.devices:
                holds = [h for a in held for h in a.devices if h.index == device.index]
                assert sum(h.milli for h in holds) <= 1000
                assert sum(h.memory_bytes for h in holds) <= device.memory_bytes

    def check_gangs(self) -> None:
        """All or nothing, and never more than the maximum."""
        for running in self.running.values():
            group = running.request.groups[0]
            count = len(self.keys_of(running.request.id))
            if running.request.resizable:
                leaving = sum(key in self.shrunk for key in self.keys_of(running.request.id))
                assert count - leaving >= group.replicas_min
            assert count <= group.replicas_max

    def check_limits(self, actions: list[Action]) -> None:
        """No start and no growth goes beyond a limit of what it takes; what was moved goes on."""
        ledger = self.planner._ledger
        for action in actions:
            match action:
                case Start(request):
                    request_id = request.id
                    if request_id in self.moved_at:
                        continue
                case Resize(request_id, _, added) if added:
                    pass
                case _:
                    continue
            run = ledger.runs.get(request_id)
            assert run is not None
            taken = {name for amounts in run.keys.values() for name, _ in amounts}
            for queue in ledger.tree.leaf(run.request.queue).path:
                for name, most in queue.limit.items():
                    assert name not in taken or queue.use.get(name, 0) <= most

    def check_sums(self, snapshot: Snapshot) -> None:
        """What queues hold is what their allocations add up to."""
        ledger = self.planner._ledger
        fresh = Planner()
        fresh.load(snapshot)
        fresh._ledger.wake(self.now)
        fresh._ledger.settle()
        for queue_id in self.queues:
            mine, theirs = ledger.tree.node(queue_id), fresh._ledger.tree.node(queue_id)
            assert mine is not None and theirs is not None
            for use in ("use", "planned", "kept", "firm"):
                ours = {n: v for n, v in getattr(mine, use).items() if v}
                assert ours == {n: v for n, v in getattr(theirs, use).items() if v}
