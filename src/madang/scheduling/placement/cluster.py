"""What is free in the cluster, and which node should take the next replica."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
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
from madang.scheduling.placement.choosers import Chooser
from madang.scheduling.placement.mix import Mix
from madang.scheduling.placement.nodes import Flags, Integers, Nodes, NodeType
from madang.scheduling.placement.policies.rule import Rule
from madang.scheduling.placement.rules import (
    EXPECTING,
    Expectation,
    make_chooser,
    make_rule,
)
from madang.scheduling.placement.space import Space
from madang.scheduling.placement.types import Types
from madang.scheduling.topology import best_set

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
    was told, and the policy's seed. Not thread-safe. Copies are cheap and independent.

    mix: what is expected to be asked for; it is the cluster's from now on.
    """

    def __init__(self, policy: Policy | None = None, mix: Mix | None = None) -> None:
        self.policy = policy or Policy()
        self._expectation = Expectation(mix or Mix())
        self._pool_policies = dict(self.policy.pool_placement)
        self._nodes = Nodes(self.policy.seed)
        self._nodes_shared = False
        self._space = Space()
        self._known_types = 0
        self._rules: dict[str, Rule] = {}
        self._forget()

    def _forget(self) -> None:
        """What was worked out from the nodes."""
        self._masks: dict[tuple[str, tuple[tuple[str, str], ...]], Flags | None] = {}
        self._groups: list[NodeGroup] | None = None
        self._types: Types | None = None
        self._choosers: dict[str, Chooser] = {}
        self._empty: Space | None = None

    def copy(self) -> Cluster:
        """One that can be tried things on."""
        other = Cluster.__new__(Cluster)
        other.__dict__.update(self.__dict__)
        other._space = self._space.copy()
        other._expectation = self._expectation.copy()
        other._rules = dict(self._rules)
        other._choosers = {
            name: chooser.copy(other._space) for name, chooser in self._choosers.items()
        }
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
        self._forget()

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
            kind = 0 if devices[0].milli < MILLI else min(len(devices), space.columns)
            space.replicas_by_devices[row, kind] -= sign
        for name, amount in counted:
            if name in space.counted:
                space.counted[name][row] += sign * amount
        for chooser in self._choosers.values():
            chooser.touch(row)

    # -- questions ----------------------------------------------------------------------------

    def choose(
        self, need: Resources, where: Where = ANYWHERE, within: Collection[str] | None = None
    ) -> _Replica | None:
        """The node and devices that one more replica should get by the policy; None when there is
        no room. Takes nothing. `within`: only these nodes. What `where` says of replicas to each
        other (together, apart) is `place`'s to keep."""
        ask = self._ask(need)
        for name, allowed in self._parts(where, self._allowed(ask, where, within)):
            row, column = self._chooser(name).choose(ask, allowed)
            if row >= 0:
                return self._replica(ask, row, column)
        return None

    def fit(self, node_id: str, need: Resources) -> tuple[DeviceHold, ...] | None:
        """The devices that a replica would get on this node, open or not; None when it does not
        fit there now."""
        row = self._nodes.number[node_id]
        ask = self._ask(need)
        if not self._space.fits(ask, row):
            return None
        column = self._chooser(self._policy_of(row)).choose_device(ask, row) if ask.share else -1
        return self._replica(ask, row, column)[1]

    def most(self, need: Resources, where: Where = ANYWHERE, *, empty: bool) -> int:
        """How many replicas open nodes could take now, or if nothing ran."""
        return int(self.most_by_row(need, where, empty=empty).sum())

    def most_by_row(
        self,
        need: Resources,
        where: Where = ANYWHERE,
        *,
        empty: bool,
        closed: bool = False,
        within: Collection[str] | None = None,
    ) -> Integers:
        """The same for each row of `free()`; `closed`: closed nodes count too."""
        space = self._emptied() if empty else self._space
        most = space.most(self._ask(need))
        if where.apart == "node":
            most = np.minimum(most, 1)
        allowed = self._suiting(where) if within is None else self._among(where, within)
        if allowed is not None:
            most = np.where(allowed, most, 0)
        return most if closed else np.where(space.open, most, 0)

    def lacking(self, need: Resources) -> Integers:
        """By row: thousandths of devices that would have to be given back before the need fits,
        and tenths of CPUs; what a node does not have at all counts as much."""
        ask, space = self._ask(need), self._space
        short = np.maximum(need.cpu_milli - space.cpu_milli, 0) // 10
        if ask.whole or ask.share:
            wanted = ask.milli[space.type_of]
            missing = np.where(
                ask.suits[space.type_of], np.maximum(wanted - space.device_milli, 0), MILLI
            )
            count = max(1, ask.whole)
            short = short + np.sort(missing, axis=1)[:, :count].sum(axis=1)
        return short

    def free_for(self, row: int, need: Resources) -> dict[tuple[str, int], tuple[int, int]]:
        """Of each device of a node that could serve the need: thousandths that are held of it,
        and that would have to be given back before it can."""
        ask = self._ask(need)
        type_number = int(self._space.type_of[row])
        devices = self._nodes.types[type_number].devices
        free = self._space.device_milli[row].tolist()
        wanted = ask.milli[type_number].tolist()
        return {
            (device.kind, device.index): (MILLI - free[c], wanted[c] - free[c])
            for c, device in enumerate(devices)
            if ask.suits[type_number, c]
        }

    def sums_by_rack(self, amounts: Integers) -> Integers:
        """Sums of what was said by row, by number of rack."""
        racks = self._nodes.racks
        return np.bincount(racks, amounts[: len(racks)]).astype(np.int64)

    def emptied(self) -> Cluster:
        """A copy on which nothing runs."""
        other = self.copy()
        other._space = self._emptied().copy()
        other._choosers = {}
        return other

    def _emptied(self) -> Space:
        if self._empty is None:
            space = self._empty = self._space.copy()
            for row, node in enumerate(self._nodes.nodes):
                if node is not None:
                    node_type = self._nodes.types[self._nodes.type_of[row]]
                    space.set_free(row, node_type, dict(node.counted))
        return self._empty

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
        if self._expectation.arrived(need, count, len(self._nodes.number)):
            for name in EXPECTING & self._rules.keys():
                del self._rules[name]
                self._choosers.pop(name, None)

    @property
    def mix(self) -> Mix:
        """What is expected to be asked for."""
        return self._expectation.mix

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
        return self._type_tables().ask(need)

    def _type_tables(self) -> Types:
        if self._types is None:
            self._types = Types(self._nodes.types, self._space.columns)
        return self._types

    def _chooser(self, name: str) -> Chooser:
        chooser = self._choosers.get(name)
        if chooser is None:
            nodes, space = self._nodes, self._space
            types = self._type_tables()
            if self._known_types != len(types):
                self._known_types = len(types)
                self._expectation.forget()
                self._rules.clear()
            rule = self._rules.get(name)
            if rule is None:
                rule = make_rule(name, self.policy.seed, self._expectation, space, types)
                self._rules[name] = rule
            rank = np.full(len(space), len(space), np.int64)
            rank[: len(nodes.rank)] = nodes.rank
            chooser = self._choosers[name] = make_chooser(rule, types, space, rank)
        return chooser

    def _policy_of(self, row: int) -> str:
        node = self._nodes.nodes[row]
        return self._pool_policies.get(node.pool if node else "", self.policy.placement)

    def _parts(self, where: Where, allowed: Flags | None) -> Iterator[tuple[str, Flags | None]]:
        """(policy, its nodes): the cluster's policy first, then those of single pools."""
        if not self._pool_policies:
            yield self.policy.placement, allowed
            return
        policies = np.array([self._policy_of(row) for row in range(len(self._nodes.nodes))])
        everywhere = np.ones(len(self._space), np.bool_) if allowed is None else allowed
        for name in sorted(set(policies), key=lambda name: (name != self.policy.placement, name)):
            mine = np.zeros(len(self._space), np.bool_)
            mine[: len(policies)] = policies == name
            yield name, everywhere & mine

    def _suiting(self, where: Where) -> Flags | None:
        """Nodes in the pool and with the labels that are asked for; None: all."""
        if not where.pool and not where.labels:
            return None
        key = (where.pool, where.labels)
        mask = self._masks.get(key)
        if mask is None:
            mask = self._padded(self._nodes.suiting(where))
            self._masks[key] = mask
        return mask

    def _allowed(self, ask: Ask, where: Where, within: Collection[str] | None) -> Flags | None:
        allowed = self._suiting(where) if within is None else self._among(where, within)
        for name, amount in ask.need.counted:
            enough = self._space.amount(name) >= amount
            allowed = enough if allowed is None else allowed & enough
        return allowed

    def _among(self, where: Where, within: Collection[str]) -> Flags:
        among = self._padded(self._nodes.among(within))
        suiting = self._suiting(where)
        return among if suiting is None else among & suiting

    def _padded(self, flags: Flags) -> Flags:
        padded = np.zeros(len(self._space), np.bool_)
        padded[: len(flags)] = flags
        return padded

    def _replica(self, ask: Ask, row: int, column: int) -> _Replica:
        """Which devices of a node that has room."""
        node = self._nodes.nodes[row]
        assert node is not None
        if not ask.whole and not ask.share:
            return node.id, ()
        type_number = int(self._space.type_of[row])
        if ask.share:
            return node.id, ask.holds(type_number, [column])
        fits = ask.suits[type_number] & (self._space.device_milli[row] == MILLI)
        free = tuple(fits.nonzero()[0].tolist())
        node_type = self._nodes.types[type_number]
        if node_type.alike:
            return node.id, ask.holds(type_number, free[: ask.whole])
        return node.id, ask.holds(type_number, best_set(node_type.devices, free, ask.whole))
