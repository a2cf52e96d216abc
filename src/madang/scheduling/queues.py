"""The tree of queues: what each holds, what it may hold, and whose turn it is.

Every node of the tree holds the sum of what its leaves' live allocations hold. Whose turn it is
is asked anew after every placement: at each level those within their guarantee first, then by the
lowest dominant share over weight (weighted DRF; Ghodsi et al., 2011).

What is guaranteed is kept in two ways. A request that could be stopped again (preemptible, in a
reclaimable queue) may use others' guarantees while they don't, but for what they don't lend. One
that could not may never use them: it would not give them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from madang.scheduling import sums
from madang.scheduling.line import Alike, Line
from madang.scheduling.model import Amounts, Queue
from madang.scheduling.ordering import TIME_SHARING, Key, order_of
from madang.scheduling.usage import Usage


@dataclass(frozen=True, slots=True)
class Full:
    """A queue that has no room. kind: `limit`, `borrowing` (its own bounds), `lending` (what is
    guaranteed to others), `closed`."""

    queue_id: str
    kind: str
    resource: str = ""
    used: int = 0
    asked: int = 0
    bound: int = 0


class QueueNode:
    """A queue and what it holds. Also the `Shares` that its order asks."""

    __slots__ = (
        "_best",
        "_by_user",
        "_rank",
        "borrowing",
        "children",
        "firm",
        "floor",
        "guarantee",
        "id",
        "kept",
        "lent_not",
        "limit",
        "line",
        "live",
        "parent",
        "planned",
        "queue",
        "share",
        "stale",
        "tree",
        "use",
    )

    def __init__(self, tree: QueueTree, queue: Queue) -> None:
        self.tree = tree
        self.id = queue.id
        self.queue = queue
        self.parent: QueueNode | None = None
        self.children: list[QueueNode] = []
        self.line: Line | None = None
        self.use: dict[str, int] = {}
        """What its live allocations add up to."""
        self.planned: dict[str, int] = {}
        """The same without those that are leaving, and with what is kept for those who come."""
        self.guarantee = dict(queue.guarantee)
        self.limit = dict(queue.limit or ())
        own, over = self.guarantee, queue.borrowing_limit or ()
        self.borrowing = {name: amount + own.get(name, 0) for name, amount in over}
        lending = dict(queue.lending_limit or ())
        self.lent_not = {
            name: amount - lending[name]
            for name, amount in queue.guarantee
            if name in lending and amount > lending[name]
        }
        for amounts in (self.lent_not, floor := dict(self.guarantee)):
            sums.count_models(amounts)
        self.floor = floor
        """What is guaranteed of each name, where that of a model is also one of its kind."""
        self.kept: dict[str, int] = {}
        """What counts as taken for those who would not give back: use, or the guarantee."""
        self.firm: dict[str, int] = {}
        """What counts as taken for those who would: use, or what is not lent."""
        self._by_user: dict[str, dict[str, int]] = {}
        self.share = 0.0
        self.stale = True
        self._best: Turn | None = None
        self._rank: Rank | None = None
        self.live: dict[str, QueueNode] = {}
        """Those of its children beneath which somebody may have a turn."""

    @property
    def path(self) -> Iterator[QueueNode]:
        """Itself, and all above it."""
        node: QueueNode | None = self
        while node is not None:
            yield node
            node = node.parent

    @property
    def open(self) -> bool:
        return all(node.queue.open for node in self.path)

    def guarantees(self, amounts: Amounts, *, held: bool = False) -> bool:
        """Whether it would be within its guarantee with this on top, or is, with this `held`: what
        is asked of accelerators must be guaranteed; CPU and memory beside them only where a
        guarantee names them."""
        guarantee = self.guarantee
        if not guarantee:
            return False
        named = False
        for name, amount in amounts:
            bound = guarantee.get(name)
            if bound is not None:
                named = True
                if self.planned.get(name, 0) + (0 if held else amount) > bound:
                    return False
            elif name not in ("cpu", "memory") and not sums.names_model(name, guarantee):
                return False
        return named

    def exceeds_guarantee(self, names: Iterable[str], given: Amounts = ()) -> bool:
        """Whether it holds more of one of these than is guaranteed to it, and so may lose `given`:
        not what it could claim back, nor of a model of which it holds no more than that."""
        planned, guarantee = self.planned, self.guarantee
        its_own = self.guarantees(given, held=True) or any(
            "/" in name and planned.get(name, 0) <= guarantee.get(name, -1) for name, _ in given
        )
        return not its_own and any(planned.get(n, 0) > self._guaranteed(n) for n in names)

    def _guaranteed(self, name: str) -> int:
        """How much of what it holds of this is within its guarantee: of models, what it has of
        them."""
        beneath = sum(
            min(bound, self.planned.get(other, 0))
            for other, bound in self.guarantee.items()
            if other.startswith(f"{name}/")
        )
        return max(self.guarantee.get(name, 0), beneath)

    def held_by(self, user: str) -> float:
        return self.tree.share_of(self._by_user.get(user, {}))

    def used_by(self, user: str) -> float:
        return self.tree.usage.of(user)

    def charge(self, user: str, amounts: Amounts, sign: int) -> None:
        if self.line is not None and self.queue.ordering == "fair":
            sums.add(self._by_user.setdefault(user, {}), amounts, sign)

    def best(self) -> Turn | None:
        """Whose turn it is beneath this node."""
        if self.stale:
            self.stale = False
            self._best = self._find_best()
            self._rank = None
        return self._best

    def _rank_of(self, best: Turn) -> Rank:
        """Whose turn comes first among its siblings'."""
        if self._rank is None:
            leaf, alike = best
            later = alike.stage > 0 and alike.keys[0][1] > self.tree.now  # it had its first turn
            turn = 1 if order_of(leaf.queue.ordering).takes_turns else 3
            turn = 2 * later + turn * (not is_guaranteed(leaf, self, alike.least))
            self._rank = (turn, self.share / self.queue.weight, alike.keys[0], self.id)
        return self._rank

    def _find_best(self) -> Turn | None:
        if self.line is not None:
            if self.queue.ordering in TIME_SHARING:
                return None  # `rounds` decides
            alike = self.line.first(self)
            return (self, alike) if alike is not None else None
        best: Turn | None = None
        best_rank: Rank | None = None
        for child in list(self.live.values()):
            found = child.best()
            if found is None:
                del self.live[child.id]
                continue
            if len(self.live) == 1:
                return found
            rank = child._rank or child._rank_of(found)
            if best_rank is None or rank < best_rank:
                best, best_rank = found, rank
        return best


Turn = tuple[QueueNode, Alike]
Rank = tuple[int, float, Key, str]


class QueueTree:
    """All queues under one root that stands for the cluster. A request of a queue that nobody
    told about waits in one queue for all such, by priority."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.now = 0.0
        self._queues: dict[str, Queue] = {}
        self.capacity: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._kept_names: frozenset[str] = frozenset()
        self.partings: dict[tuple[str, str], tuple[QueueNode | None, QueueNode | None, bool]] = {}
        """Where the paths of two leaves part (`reclaim.parting`)."""
        self.shares_in_time = False
        """Whether any queue does."""
        self._drifts = False
        self.limited = False
        """Whether users or projects have limits; lines are to be made anew when it changes."""
        self.root = QueueNode(self, Queue("", "cluster"))
        self._nodes: dict[str, QueueNode] = {}
        self._leaves: dict[str, QueueNode] = {}
        self.build()

    # -- queues -------------------------------------------------------------------------------

    def put(self, queue: Queue) -> bool:
        """Whether anything changed: then `build` before anything is asked."""
        if self._queues.get(queue.id) == queue:
            return False
        self._queues[queue.id] = queue
        return True

    def remove(self, queue_id: str) -> bool:
        return self._queues.pop(queue_id, None) is not None

    @property
    def queues(self) -> Iterable[Queue]:
        return self._queues.values()

    @property
    def leaves(self) -> Iterable[QueueNode]:
        return self._leaves.values()

    def names(self) -> set[str]:
        """All that guarantees and limits speak of."""
        return {
            name
            for queue in self._queues.values()
            for amounts in (queue.guarantee, queue.limit, queue.borrowing_limit)
            for name, _ in amounts or ()
        }

    def leaf(self, queue_id: str) -> QueueNode:
        """Where requests of this queue wait; of one that has queues beneath it, beside those."""
        leaf = self._leaves.get(queue_id)
        if leaf is not None:
            return leaf
        known = self._nodes.get(queue_id)
        if known is None:
            return self._leaves.get("") or self._add_leaf(Queue("", ""), self.root)
        if known.children:
            beside = Queue(known.id, known.queue.name, known.id, ordering=known.queue.ordering)
            return self._add_leaf(beside, known)
        known.line = Line(order_of(known.queue.ordering), limited=self.limited)
        self._leaves[queue_id] = known
        return known

    def node(self, queue_id: str) -> QueueNode | None:
        return self._nodes.get(queue_id)

    def _add_leaf(self, queue: Queue, parent: QueueNode) -> QueueNode:
        leaf = QueueNode(self, queue)
        leaf.parent = parent
        leaf.line = Line(order_of(queue.ordering), limited=self.limited)
        parent.children.append(leaf)
        self._leaves[queue.id] = leaf
        return leaf

    def build(self) -> None:
        """Grow the tree anew: empty lines, and nothing held."""
        self.root = QueueNode(self, Queue("", "cluster"))
        self._leaves = {}
        self.partings.clear()
        self._nodes = {queue.id: QueueNode(self, queue) for queue in self._queues.values()}
        for node in sorted(self._nodes.values(), key=lambda node: node.id):
            node.parent = self._nodes.get(node.queue.parent, self.root)
            if _is_in_cycle(node):
                node.parent = self.root
            node.parent.children.append(node)
        orders = {queue.ordering for queue in self._queues.values()}
        self.shares_in_time = bool(orders & TIME_SHARING)
        self._drifts = any(order_of(name).drifts for name in orders)
        self._kept_names = frozenset(name for node in self._nodes.values() for name in node.floor)
        self._keep(self.root)

    def _keep(self, node: QueueNode) -> None:
        for child in node.children:
            self._keep(child)
        for name in self._kept_names:
            kept = sum(child.kept.get(name, 0) for child in node.children)
            firm = sum(child.firm.get(name, 0) for child in node.children)
            node.kept[name] = max(kept, node.floor.get(name, 0))
            node.firm[name] = max(firm, node.lent_not.get(name, 0))

    # -- sums ---------------------------------------------------------------------------------

    def set_capacity(self, capacity: dict[str, int], open_capacity: dict[str, int]) -> None:
        """What all nodes have, and those that are open."""
        self.capacity = capacity
        self._open = open_capacity
        for node in self._all():
            node.share = self.share_of(node.planned)
            node.stale = True

    def charge(
        self,
        leaf: QueueNode,
        user: str,
        amounts: Amounts,
        sign: int = 1,
        *,
        live: bool = True,
        planned: bool = True,
    ) -> None:
        """A user's task in this queue holds so much more, or less; or (only one of `live` and
        `planned`) is about to."""
        if live:
            for node in leaf.path:
                sums.add(node.use, amounts, sign)
        if not planned:
            return
        leaf.charge(user, amounts, sign)
        for node in leaf.path:
            sums.add(node.planned, amounts, sign)
            node.share = self.share_of(node.planned)
            node.stale = True
        if self._kept_names:
            for name, amount in amounts:
                if name in self._kept_names:
                    self._shift(leaf, name, sign * amount)

    def touch(self, leaf: QueueNode) -> None:
        """Who waits in it has changed."""
        for node in leaf.path:
            node.stale = True
            if node.parent is not None:
                node.parent.live[node.id] = node

    def forget_sums(self) -> None:
        """Nothing is held."""
        for node in self._all():
            node.use = {}
            node.planned = {}
            node._by_user = {}
            node.kept = {}
            node.firm = {}
            node.share = 0.0
            node.stale = True
        self._keep(self.root)

    def share_of(self, use: dict[str, int]) -> float:
        """The largest share of anything that the cluster has."""
        share = 0.0
        capacity = self.capacity
        for name, amount in use.items():
            total = capacity.get(name, 0)
            if total and amount > share * total:
                share = amount / total
        return share

    def share_with(self, node: QueueNode, amounts: Amounts, sign: int) -> float:
        """The share of a queue that held so much more, or less."""
        use = dict(node.planned)
        sums.add(use, amounts, sign)
        return self.share_of(use)

    def _shift(self, leaf: QueueNode, name: str, amount: int) -> None:
        """Carry a change of use up to where guarantees swallow it."""
        leaf_kept, leaf_firm = leaf.kept.get(name, 0), leaf.firm.get(name, 0)
        used = leaf.planned.get(name, 0)
        kept = max(used, leaf.floor.get(name, 0))
        firm = max(used, leaf.lent_not.get(name, 0))
        leaf.kept[name], leaf.firm[name] = kept, firm
        more_kept, more_firm = kept - leaf_kept, firm - leaf_firm
        node = leaf.parent
        while node is not None and (more_kept or more_firm):
            beneath_kept = sum(child.kept.get(name, 0) for child in node.children)
            beneath_firm = sum(child.firm.get(name, 0) for child in node.children)
            kept = max(beneath_kept, node.floor.get(name, 0))
            firm = max(beneath_firm, node.lent_not.get(name, 0))
            more_kept, more_firm = kept - node.kept.get(name, 0), firm - node.firm.get(name, 0)
            node.kept[name], node.firm[name] = kept, firm
            node = node.parent

    # -- questions ----------------------------------------------------------------------------

    def full(
        self, leaf: QueueNode, amounts: Amounts, *, returnable: bool, lending: bool = True
    ) -> Full | None:
        """What stands against a start of this; None: nothing. returnable: it could be stopped
        again for those to whom the place is guaranteed. lending: guarantees of others matter; they
        don't where room was made for it."""
        for node in leaf.path:
            if not node.queue.open:
                return Full(node.id, "closed")
            for kind, most in (("limit", node.limit), ("borrowing", node.borrowing)):
                if not most:
                    continue
                for use in (node.use, node.planned):
                    name = sums.exceeds(use, amounts, most)
                    if name is not None:
                        asked = dict(amounts)[name]
                        return Full(node.id, kind, name, use.get(name, 0), asked, most[name])
        if self._kept_names and lending:
            returnable = returnable and all(node.queue.reclaimable for node in leaf.path)
            for name, amount in amounts:
                if name in self._kept_names:
                    full = self.lent_out(leaf, name, amount, returnable)
                    if full is not None:
                        return full
        return None

    def lent_out(self, leaf: QueueNode, name: str, amount: int, returnable: bool) -> Full | None:
        """Whether this would take what is kept for others' guarantees."""
        more = amount
        for node in leaf.path:
            if node is self.root:
                break
            beneath = node.planned.get(name, 0)
            taken = node.firm.get(name, 0) if returnable else node.kept.get(name, 0)
            if node.children:
                beneath = sum(
                    child.firm.get(name, 0) if returnable else child.kept.get(name, 0)
                    for child in node.children
                )
            floor = node.lent_not if returnable else node.floor
            more = max(beneath + more, floor.get(name, 0)) - taken
            if more <= 0:
                return None
        total = self.root.firm.get(name, 0) if returnable else self.root.kept.get(name, 0)
        bound = self._open.get(name, 0)
        if total + more <= bound:
            return None
        return Full(leaf.id, "lending", name, total, amount, bound)

    def open_amount(self, name: str) -> int:
        """What the nodes have that are open."""
        return self._open.get(name, 0)

    @property
    def contended(self) -> bool:
        """Whether more than one queue has somebody who may start."""
        found = 0
        pending = [self.root]
        while pending and found < 2:
            node = pending.pop()
            pending += node.live.values()
            found += node.line is not None and node.best() is not None
        return found > 1

    def drifting(self) -> Iterator[tuple[Line, QueueNode]]:
        """Lines whose order changes as time goes by, though nothing happens."""
        for leaf in self._leaves.values() if self._drifts else ():
            if leaf.line is not None and leaf.line.order.drifts:
                yield leaf.line, leaf

    def first(self) -> Turn | None:
        """Whose turn it is in the whole tree, and in which queue."""
        return self.root.best()

    def _all(self) -> Iterator[QueueNode]:
        pending = [self.root]
        while pending:
            node = pending.pop()
            yield node
            pending += node.children


def is_guaranteed(leaf: QueueNode, top: QueueNode, asked: Amounts) -> bool:
    """Whether a request of `leaf` is within the guarantee of a queue from there up to `top`: what
    a queue is guaranteed is its own, whatever others beneath the same one have borrowed."""
    for node in leaf.path:
        if node.guarantees(asked):
            return True
        if node is top:
            break
    return False


def _is_in_cycle(node: QueueNode) -> bool:
    """Whether it is above itself; such trees are refused where they are made."""
    above, seen = node.parent, set[str]()
    while above is not None and above.id not in seen:
        if above is node:
            return True
        seen.add(above.id)
        above = above.parent
    return False
