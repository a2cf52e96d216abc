"""What is free in the cluster, and which node should take the next replica."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import (
    ANYWHERE,
    Allocation,
    DeviceHold,
    Node,
    Policy,
    Where,
)
from madang.scheduling.placement.asks import Ask
from madang.scheduling.placement.nodes import Flags, Integers, Nodes, NodeType
from madang.scheduling.placement.space import Space

_Replica = tuple[str, tuple[DeviceHold, ...]]


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Nodes alike in what they have, where they belong and how they are labelled.

    rows: where they are in the arrays of `Free`. node_type: what each of them has.
    """

    node_type: NodeType
    pool: str
    labels: tuple[tuple[str, str], ...]
    rows: Integers


@dataclass(frozen=True, slots=True)
class Free:
    """What is free, to be read only: row i of each array is node `nodes[i]`; the columns of a row
    are the devices of its type. Rows of nodes that are gone have None."""

    nodes: Sequence[Node | None]
    types: Sequence[NodeType]
    space: Space
    groups: Sequence[NodeGroup]


class Cluster:
    """Free space and a policy. Deterministic: what it chooses depends on what is free, the mix it
    was told, and the policy's seed. Not thread-safe. Copies are cheap and independent."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self._nodes = Nodes(self.policy.seed)
        self._nodes_shared = False
        self._space = Space()
        self._asks: dict[Resources, Ask] = {}
        self._groups: list[NodeGroup] | None = None

    def copy(self) -> Cluster:
        """One that can be tried things on."""
        other = Cluster.__new__(Cluster)
        other.__dict__.update(self.__dict__)
        other._space = self._space.copy()
        self._nodes_shared = other._nodes_shared = True
        return other

    # -- what there is ------------------------------------------------------------------------

    def set_node(self, node: Node, held: Iterable[Allocation] = ()) -> None:
        """A node is new, or other than before; `held` is all that is held of it."""
        self._own_nodes()
        row = self._nodes.set(node)
        node_type = self._nodes.types[self._nodes.type_of[row]]
        columns = max(self._space.columns, len(node_type.devices))
        if row >= len(self._space) or columns > self._space.columns:
            room = max(len(self._space), row + 1 + row // 2)
            self._space = self._space.grown(room, columns)
        space = self._space
        space.type_of[row] = self._nodes.type_of[row]
        space.open[row] = node.open
        space.set_free(row, node_type, dict(node.counted))
        for allocation in held:
            self._add(
                row,
                -1,
                allocation.cpu_milli,
                allocation.memory_bytes,
                allocation.devices,
                allocation.counted,
            )

    def remove_node(self, node_id: str) -> None:
        """A node will not come back; what is held of it is forgotten."""
        self._own_nodes()
        row = self._nodes.remove(node_id)
        self._space.open[row] = False
        self._space.set_free(row, NodeType(0, 0, (), {}), {})

    def _own_nodes(self) -> None:
        if self._nodes_shared:
            self._nodes = self._nodes.copy()
            self._nodes_shared = False
        self._asks = {}
        self._groups = None

    def take(self, node_id: str, need: Resources, devices: Sequence[DeviceHold]) -> None:
        """One replica has this now."""
        row = self._nodes.number[node_id]
        self._add(row, -1, need.cpu_milli, need.memory_bytes, devices, need.counted)

    def give(self, node_id: str, need: Resources, devices: Sequence[DeviceHold]) -> None:
        """One replica has this no longer."""
        row = self._nodes.number[node_id]
        self._add(row, 1, need.cpu_milli, need.memory_bytes, devices, need.counted)

    def _add(
        self,
        row: int,
        sign: int,
        cpu_milli: int,
        memory_bytes: int,
        devices: Sequence[DeviceHold],
        counted: Sequence[tuple[str, int]],
    ) -> None:
        space = self._space
        space.cpu_milli[row] += sign * cpu_milli
        space.memory_bytes[row] += sign * memory_bytes
        if devices:
            column_of = self._nodes.types[self._nodes.type_of[row]].column
            for hold in devices:
                column = column_of.get((hold.kind, hold.index))
                if column is not None:  # else the device was taken out under the task
                    space.device_milli[row, column] += sign * hold.milli
                    space.device_memory_bytes[row, column] += sign * hold.memory_bytes
        for name, amount in counted:
            if name in space.counted:
                space.counted[name][row] += sign * amount

    # -- questions ----------------------------------------------------------------------------

    def choose(
        self, need: Resources, where: Where = ANYWHERE, within: Collection[str] | None = None
    ) -> _Replica | None:
        """The node and devices that one more replica should get by the policy; None when there is
        no room. Takes nothing. `within`: only these nodes. What `where` says of replicas to each
        other (together, apart) is `place`'s to keep."""
        ask = self._ask(need)
        fits = self._space.fitting(ask) & self._space.open & self._allowed(where, within)
        rows = np.flatnonzero(fits)
        if not len(rows):
            return None
        row = int(rows[np.argmin(self._nodes.rank[rows])])
        return self._replica(ask, row)

    def fit(self, node_id: str, need: Resources) -> tuple[DeviceHold, ...] | None:
        """The devices that a replica would get on this node, open or not; None when it does not
        fit there now."""
        row = self._nodes.number[node_id]
        ask = self._ask(need)
        if not self._space.fitting(ask)[row]:
            return None
        return self._replica(ask, row)[1]

    def most(self, need: Resources, where: Where = ANYWHERE, *, empty: bool) -> int:
        """How many replicas open nodes could take now, or if nothing ran."""
        return int(self.most_by_row(need, where, empty=empty).sum())

    def most_by_row(
        self, need: Resources, where: Where = ANYWHERE, *, empty: bool, closed: bool = False
    ) -> Integers:
        """The same for each row of `free()`; `closed`: closed nodes count too."""
        space = self._emptied() if empty else self._space
        most = space.most(self._ask(need))
        if where.apart == "node":
            most = np.minimum(most, 1)
        suits = self._allowed(where, None)
        return np.where(suits if closed else suits & space.open, most, 0)

    def emptied(self) -> Cluster:
        """A copy on which nothing runs."""
        other = self.copy()
        other._space = self._emptied().copy()
        return other

    def _emptied(self) -> Space:
        space = self._space.copy()
        for row, node in enumerate(self._nodes.nodes):
            if node is not None:
                node_type = self._nodes.types[self._nodes.type_of[row]]
                space.set_free(row, node_type, dict(node.counted))
        return space

    def free(self) -> Free:
        """What is free now; arrays are the cluster's own and change with it."""
        nodes = self._nodes
        if self._groups is None:
            rows: dict[tuple[int, str, tuple[tuple[str, str], ...]], list[int]] = {}
            for row, node in enumerate(nodes.nodes):
                if node is not None:
                    key = (nodes.type_of[row], node.pool, node.labels)
                    rows.setdefault(key, []).append(row)
            self._groups = [
                NodeGroup(nodes.types[type_number], pool, labels, np.array(members))
                for (type_number, pool, labels), members in rows.items()
            ]
        return Free(nodes.nodes, nodes.types, self._space, self._groups)

    def arrived(self, need: Resources, count: int = 1) -> None:
        """Something of this kind was asked for: policies that expect the future learn the mix."""

    @property
    def node_ids(self) -> Collection[str]:
        return self._nodes.number.keys()

    def rack_of(self, node_id: str) -> int:
        """The number of its rack; the same for nodes with the same label `rack`."""
        return int(self._nodes.racks[self._nodes.number[node_id]])

    def ids_in_rack(self, rack: int) -> list[str]:
        racks = self._nodes.racks
        return [i for i, number in self._nodes.number.items() if racks[number] == rack]

    # -- parts --------------------------------------------------------------------------------

    def _ask(self, need: Resources) -> Ask:
        ask = self._asks.get(need)
        if ask is None:
            ask = self._asks[need] = Ask(need, self._nodes.types, self._space.columns)
        return ask

    def _allowed(self, where: Where, within: Collection[str] | None) -> Flags:
        allowed = np.zeros(len(self._space), np.bool_)
        suiting = self._nodes.suiting(where)
        allowed[: len(suiting)] = suiting
        if within is not None:
            among = self._nodes.among(within)
            allowed[: len(among)] &= among
        return allowed

    def _replica(self, ask: Ask, row: int) -> _Replica:
        """Which devices of a node that has room."""
        space = self._space
        type_number = int(space.type_of[row])
        node = self._nodes.nodes[row]
        assert node is not None
        if not ask.whole and not ask.share:
            return node.id, ()
        milli = space.device_milli[row]
        fits = ask.suits[type_number] & (milli >= ask.milli[type_number])
        if ask.whole:
            columns = np.flatnonzero(fits & (milli == MILLI))[: ask.whole]
        else:
            fits &= space.device_memory_bytes[row] >= ask.memory[type_number]
            columns = np.array([np.argmin(np.where(fits, milli, MILLI + 1))])
        return node.id, ask.holds(type_number, columns.tolist())
