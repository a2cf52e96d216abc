"""The planner: a state machine that is told what happened and says what should.

Order: higher priority first, then first come, first served. All groups of a request start at once
or not at all, each at its maximum if there is room and at least at its minimum.

Who may pass whom: of each kind of accelerator (and of requests without one) the first that has to
wait *reserves*: on every node that could hold it one day, what it needs is kept from all behind
it. The others behind may start on what is left. So the first in line is delayed by nobody behind
it, everybody becomes the first in line at last, and what it can't use does not lie idle. What no
node could ever hold reserves nothing.

Cost: a request is looked at again only when something changed, and equal requests are looked at
once: a plan costs work for each *different* shape that waits, not for each request.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from madang.scheduling.capacity import NodeSpace
from madang.scheduling.gangs import place
from madang.scheduling.model import (
    Allocation,
    Asked,
    DeviceHold,
    Event,
    Group,
    Held,
    Node,
    NodeGone,
    NodeSet,
    Placement,
    Released,
    Request,
    Snapshot,
    Start,
    Wait,
    Withdrawn,
)
from madang.scheduling.reasons import Reasons

WAITS_TOLD = 100
"""How many of those that wait are told why by `plan`, the first in line first; any other by
`explain`."""

Key = tuple[int, int, str]
Shape = tuple[Group, ...]


class Planner:
    """Deterministic: after any sequence of events it acts as one freshly loaded with the same
    state. Not thread-safe."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._held: dict[str, Allocation] = {}
        self._held_by_node: dict[str, dict[str, Allocation]] = {}
        self._spaces: dict[str, NodeSpace] = {}
        self._requests: dict[str, Request] = {}
        self._waiting: dict[Shape, list[Key]] = {}
        self._delayed: list[tuple[float, str]] = []
        self._ordered: list[NodeSpace] | None = None
        self._reasons = Reasons(())
        self._changed = True
        self._waits: list[Wait] = []

    def load(self, snapshot: Snapshot) -> None:
        """Forget everything and begin with `snapshot`."""
        Planner.__init__(self)
        self.apply([NodeSet(node) for node in snapshot.nodes])
        self.apply([Held(allocation) for allocation in snapshot.allocations])
        self.apply([Asked(request) for request in snapshot.requests])

    def apply(self, events: Iterable[Event]) -> None:
        """Take in what has happened. Repeating an event changes nothing."""
        for event in events:
            match event:
                case NodeSet(node):
                    self._set_node(node)
                case NodeGone(node_id):
                    self._forget_node(node_id)
                case Asked(request):
                    self._ask(request)
                case Withdrawn(request_id):
                    self._withdraw(request_id)
                case Held(allocation):
                    self._hold(allocation)
                case Released(key):
                    self._release(key)

    def plan(self, now: float) -> list[Start | Wait]:
        """What to start now, and why the first in line wait. Starts count as held at once."""
        self._wake(now)
        if not self._changed:
            return list(self._waits)
        self._changed = False
        starts = self._start_what_fits()
        self._waits = [self._wait(request, ahead) for request, ahead in self._first_in_line()]
        return [*starts, *self._waits]

    def explain(self, request_id: str) -> Wait | None:
        """Why this one waits; None when it does not wait, or waits for its time only."""
        request = self._requests.get(request_id)
        if request is None or _key(request) not in self._waiting.get(request.groups, ()):
            return None
        key = _key(request)
        ahead = sum(
            self._requests[other[2]].queue == request.queue
            for keys in self._waiting.values()
            for other in keys[: bisect_left(keys, key)]
        )
        return self._wait(request, ahead)

    def next_time(self) -> float | None:
        """When a plan may come out differently without any event: the end of a backoff."""
        while self._delayed:
            at, request_id = self._delayed[0]
            request = self._requests.get(request_id)
            if request is not None and request.not_before == at:
                return at
            heapq.heappop(self._delayed)
        return None

    @property
    def held_keys(self) -> Iterable[str]:
        """Keys of all that is held."""
        return self._held.keys()

    # -- events -------------------------------------------------------------------------------

    def _set_node(self, node: Node) -> None:
        if self._nodes.get(node.id) == node:
            return
        self._nodes[node.id] = node
        held = self._held_by_node.get(node.id, {})
        self._spaces[node.id] = NodeSpace(node, held.values())
        self._nodes_changed()

    def _forget_node(self, node_id: str) -> None:
        if self._nodes.pop(node_id, None) is not None:
            del self._spaces[node_id]
            self._nodes_changed()

    def _nodes_changed(self) -> None:
        self._ordered = None
        self._changed = True

    def _hold(self, allocation: Allocation) -> None:
        if self._held.get(allocation.key) == allocation:
            return
        self._release(allocation.key)
        self._held[allocation.key] = allocation
        self._held_by_node.setdefault(allocation.node_id, {})[allocation.key] = allocation
        space = self._spaces.get(allocation.node_id)
        if space is not None:
            space.take(allocation.cpu_milli, allocation.memory_bytes, allocation.devices)
        self._changed = True

    def _release(self, key: str) -> None:
        allocation = self._held.pop(key, None)
        if allocation is None:
            return
        del self._held_by_node[allocation.node_id][key]
        space = self._spaces.get(allocation.node_id)
        if space is not None:
            space.give(allocation.cpu_milli, allocation.memory_bytes, allocation.devices)
        self._changed = True

    def _ask(self, request: Request) -> None:
        if self._requests.get(request.id) == request:
            return
        self._withdraw(request.id)
        self._requests[request.id] = request
        heapq.heappush(self._delayed, (request.not_before, request.id))

    def _withdraw(self, request_id: str) -> None:
        request = self._requests.pop(request_id, None)
        if request is None:
            return
        keys = self._waiting.get(request.groups, [])
        position = bisect_left(keys, _key(request))
        if position < len(keys) and keys[position] == _key(request):
            del keys[position]
            if not keys:
                del self._waiting[request.groups]
            self._changed = True

    def _wake(self, now: float) -> None:
        """Those whose time has come begin to wait for a place."""
        while self._delayed and self._delayed[0][0] <= now:
            at, request_id = heapq.heappop(self._delayed)
            request = self._requests.get(request_id)
            if request is None or request.not_before != at:
                continue
            keys = self._waiting.setdefault(request.groups, [])
            key = _key(request)
            position = bisect_left(keys, key)
            if position == len(keys) or keys[position] != key:
                insort(keys, key)
                self._changed = True

    # -- planning -----------------------------------------------------------------------------

    def _start_what_fits(self) -> list[Start]:
        if self._ordered is None:
            self._ordered = sorted(
                (space for space in self._spaces.values() if space.node.open),
                key=lambda space: (space.node.name, space.node.id),
            )
            self._reasons = Reasons(self._spaces.values())
        starts: list[Start] = []
        reserved: list[tuple[NodeSpace, int, int, tuple[DeviceHold, ...]]] = []
        kinds_waiting: set[str] = set()
        line = [(keys[0], shape) for shape, keys in self._waiting.items()]
        heapq.heapify(line)
        while line:
            key, shape = heapq.heappop(line)
            request = self._requests[key[2]]
            attempt = place(shape, self._ordered)
            if attempt.complete:
                starts.append(self._start(request, attempt.placements))
                if shape in self._waiting:
                    heapq.heappush(line, (self._waiting[shape][0], shape))
                continue
            kind = _kind(request)
            if kind not in kinds_waiting and self._reasons.possible(shape):
                kinds_waiting.add(kind)
                reserved.extend(self._reserve(shape))
        for space, cpu_milli, memory_bytes, devices in reserved:
            space.give(cpu_milli, memory_bytes, devices)
        self._reasons.remember_free(self._ordered)
        return starts

    def _start(self, request: Request, placements: tuple[Placement, ...]) -> Start:
        needs = {group.role: group.resources for group in request.groups}
        for placement in placements:
            need = needs[placement.role]
            key = f"{request.owner}/{placement.role}/{placement.replica}"
            allocation = Allocation(
                key, placement.node_id, need.cpu_milli, need.memory_bytes, placement.devices
            )
            self._held[key] = allocation
            self._held_by_node.setdefault(placement.node_id, {})[key] = allocation
        changed = self._changed
        self._withdraw(request.id)
        self._changed = changed
        return Start(request, placements)

    def _reserve(
        self, shape: Shape
    ) -> Iterator[tuple[NodeSpace, int, int, tuple[DeviceHold, ...]]]:
        """Keep what the first in line needs from those behind, on each node that could hold it."""
        assert self._ordered is not None
        for space in self._ordered:
            for group in shape:
                need = group.resources
                count = min(group.replicas_min, self._reasons.most(space.node.id, need))
                for _ in range(count):
                    devices = space.claim(need)
                    space.take(need.cpu_milli, need.memory_bytes, devices)
                    yield space, need.cpu_milli, need.memory_bytes, devices

    def _first_in_line(self) -> list[tuple[Request, int]]:
        """The first requests that wait, and how many of their queue wait before each."""
        ahead: dict[str, int] = {}
        found: list[tuple[Request, int]] = []
        for key in heapq.merge(*self._waiting.values()):
            request = self._requests[key[2]]
            found.append((request, ahead.get(request.queue, 0)))
            ahead[request.queue] = ahead.get(request.queue, 0) + 1
            if len(found) == WAITS_TOLD:
                break
        return found

    def _wait(self, request: Request, ahead: int) -> Wait:
        return Wait(request.id, self._reasons.why(request, ahead))


def _key(request: Request) -> Key:
    return (-request.priority, request.order, request.id)


def _kind(request: Request) -> str:
    """What the line is for: the scarcest thing that is asked for."""
    return max((group.resources.device_kind for group in request.groups), default="")
