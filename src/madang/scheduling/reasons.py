"""Why a request waits, worked out from what nodes have and what is free on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from madang.core.reasons import Reason, ReasonCode
from madang.core.resources import Resources
from madang.scheduling.capacity import NodeSpace
from madang.scheduling.gangs import place, undo
from madang.scheduling.model import Group, Request

_NAMES_SHOWN = 5

Shape = tuple[Group, ...]


class Reasons:
    """The answers for one set of nodes; made anew when a node changes."""

    def __init__(self, spaces: Iterable[NodeSpace]) -> None:
        nodes = sorted((space.node for space in spaces), key=lambda node: (node.name, node.id))
        self._empty = [NodeSpace(node) for node in nodes]
        self._empty_open = [space for space in self._empty if space.node.open]
        self._free: Sequence[NodeSpace] = ()
        self._most: dict[tuple[str, Resources], int] = {}
        self._possible: dict[Shape, bool] = {}
        self._told: dict[Shape, Reason | None] = {}

    def remember_free(self, spaces: Sequence[NodeSpace]) -> None:
        """What is free now, without any reservation; replaces what was said before."""
        self._free = spaces
        self._told.clear()

    def possible(self, shape: Shape) -> bool:
        """Whether it would start if nothing else ran on the nodes that are open."""
        if shape not in self._possible:
            self._possible[shape] = _would_fit(shape, self._empty_open)
        return self._possible[shape]

    def most(self, node_id: str, need: Resources) -> int:
        """How many replicas the node could hold if nothing else ran on it."""
        key = (node_id, need)
        if key not in self._most:
            space = next(space for space in self._empty if space.node.id == node_id)
            ceiling = 1 + space.node.cpu_milli // max(1, need.cpu_milli)
            group = Group("", 0, ceiling, need)
            attempt = place((group,), (space,))
            undo(attempt, (group,), (space,))
            self._most[key] = attempt.fitting
        return self._most[key]

    def why(self, request: Request, ahead: int) -> Reason:
        shape = request.groups
        if shape not in self._told:
            self._told[shape] = self._impossible(shape) or self._not_now(shape)
        told = self._told[shape]
        if told is not None:
            return told
        return Reason(ReasonCode.QUEUED, {"ahead": ahead, "queue": request.queue})

    def _impossible(self, shape: Shape) -> Reason | None:
        """Why it can't start whatever ends; None when it can."""
        if not self._empty:
            return Reason(ReasonCode.NO_NODE)
        if self.possible(shape):
            return None
        for group in shape:
            need = group.resources
            if group.replicas_min and not any(
                space.fit(need) is not None for space in self._empty
            ):
                return self._too_large(need)
        if not _would_fit(shape, self._empty):
            tasks = sum(group.replicas_min for group in shape)
            fitting = place(shape, self._empty).fitting
            wanted = str(shape[0].resources)
            facts = {"tasks": tasks, "wanted": wanted, "fitting": fitting}
            return Reason(ReasonCode.GANG_TOO_LARGE, facts)
        closed = [space.node.name for space in self._empty if not space.node.open]
        names = ", ".join(closed[:_NAMES_SHOWN]) + (", …" if len(closed) > _NAMES_SHOWN else "")
        return Reason(ReasonCode.NODES_CLOSED, {"nodes": names})

    def _too_large(self, need: Resources) -> Reason:
        suitable = [space for space in self._empty if space.has_device_for(need)]
        if need.device_kind and not suitable:
            available = sorted(
                {f"{d.kind} {d.model}" for space in self._empty for d in space.node.devices}
            )
            facts = {"wanted": str(need), "available": ", ".join(available) or "none"}
            return Reason(ReasonCode.NO_DEVICE, facts)
        return Reason(
            ReasonCode.TOO_LARGE,
            {"wanted": str(need), "largest": _roomiest(suitable or self._empty, need)},
        )

    def _not_now(self, shape: Shape) -> Reason | None:
        """What is missing now; None when it fits, and only its place in the line holds it up."""
        attempt = place(shape, self._free)
        if attempt.complete:
            undo(attempt, shape, self._free)
            return None
        tasks = sum(group.replicas_min for group in shape)
        if tasks > 1:
            wanted = " and ".join(dict.fromkeys(str(group.resources) for group in shape))
            facts = {"tasks": tasks, "wanted": wanted, "fitting": attempt.fitting}
            return Reason(ReasonCode.GANG, facts)
        need = shape[0].resources
        suitable = [space for space in self._free if self.most(space.node.id, need)]
        facts = {"wanted": str(need), "free": _roomiest(suitable, need)}
        return Reason(ReasonCode.RESOURCES, facts)


def _would_fit(shape: Shape, spaces: Sequence[NodeSpace]) -> bool:
    attempt = place(shape, spaces)
    if attempt.complete:
        undo(attempt, shape, spaces)
    return attempt.complete


def _roomiest(spaces: Sequence[NodeSpace], need: Resources) -> str:
    """The node that comes nearest, in words."""

    def room(space: NodeSpace) -> tuple[int, int, int]:
        free = [s.milli for (kind, _), s in space.devices.items() if kind == need.device_kind]
        return (sum(free), space.cpu_milli, space.memory_bytes)

    best = max(spaces, key=room, default=None)
    return best.describe(need) if best else "nothing"
