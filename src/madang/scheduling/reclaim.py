"""Taking back: which queues a request may have something taken from.

Where the paths of two queues part, `own` is the queue on one's side, and `other` that on theirs.
Why nobody takes back what was just taken from it is said in `preemption`.
"""

from __future__ import annotations

from madang.scheduling.model import Amounts, Request
from madang.scheduling.ordering import NEVER, order_of
from madang.scheduling.queues import QueueNode, is_guaranteed
from madang.scheduling.runs import Run


class Claim:
    """What a request of a queue may claim, as sums are now; asked of many queues at once."""

    def __init__(self, leaf: QueueNode, asked: Amounts) -> None:
        self.leaf = leaf
        self._asked = asked
        self._scarcest = scarcest(asked)
        # Not by id: requests of a queue with queues beneath wait in a leaf of the same id.
        self._own: dict[QueueNode, tuple[bool, float]] = {}

    def reaches(self, other: QueueNode, given: Amounts = ()) -> bool:
        """Whether it may take from this queue, which then holds `given` less; with nothing given,
        whether it might take anything at all."""
        own_side, other_side, reclaimable = parting(self.leaf, other)
        if own_side is None or other_side is None or not reclaimable:
            return False
        held = {name for name, _ in given} if given else self._scarcest
        for node in other.path:
            if not node.exceeds_guarantee(self._scarcest & held, given):
                return False  # within its guarantee, though one above it may borrow
            if node is other_side:
                break
        guaranteed, own = self._as_is(own_side)
        if guaranteed:
            return True
        weight = other_side.queue.weight
        if own >= other_side.share / weight:
            return False
        return not given or own <= other_side.tree.share_with(other_side, given, -1) / weight

    def takes_first_turns(self, request: Request, other: QueueNode) -> bool:
        """Whether it may take the place of one of this queue that has its first turn
        (`ordering.newcomers`): not one that had its own; and where nobody takes turns, not for a
        share, since newcomers take from who had a turn whatever shares are, and those from it."""
        order = order_of(self.leaf.queue.ordering)
        own_side = parting(self.leaf, other)[0]
        if order.takes_turns or own_side is None:
            return not order.stage(request)
        return self._as_is(own_side)[0]

    def _as_is(self, own_side: QueueNode) -> tuple[bool, float]:
        """Whether it is guaranteed to it, and the weighted share that it would then have."""
        if own_side not in self._own:
            share = self.leaf.tree.share_with(own_side, self._asked, 1)
            guaranteed = is_guaranteed(self.leaf, own_side, self._asked)
            self._own[own_side] = (guaranteed, share / own_side.queue.weight)
        return self._own[own_side]


def may_reclaim(leaf: QueueNode, other: QueueNode, asked: Amounts, given: Amounts) -> bool:
    """The same of one queue."""
    return Claim(leaf, asked).reaches(other, given)


def may_yield(leaf: QueueNode, other: QueueNode) -> bool:
    """Whether the order of queues may let some of `other` be stopped for one of `leaf`."""
    order = order_of(leaf.queue.ordering)
    if other is leaf:
        return order.preempts
    both = order.takes_turns and order_of(other.queue.ordering).takes_turns
    return both and parting(leaf, other)[2]


def yields_from(leaf: QueueNode, other: QueueNode, request: Request, run: Run) -> float:
    """From when on this run of `other` may be stopped for a request of `leaf`, by their order."""
    if not may_yield(leaf, other):
        return NEVER
    order = order_of(leaf.queue.ordering)
    return (order.stops_from if other is leaf else order.yields_from)(request, run.told)


Parting = tuple[QueueNode | None, QueueNode | None, bool]


def parting(leaf: QueueNode, other: QueueNode) -> Parting:
    """The highest queues above both that differ, and whether all that `other` holds below there
    may be taken back."""
    known: dict[tuple[str, str], Parting] = leaf.tree.partings
    found = known.get((leaf.id, other.id))
    if found is None:
        found = known[leaf.id, other.id] = _parting(leaf, other)
    return found


def _parting(leaf: QueueNode, other: QueueNode) -> Parting:
    own_path = list(leaf.path)[::-1]
    other_path = list(other.path)[::-1]
    for depth, (own, theirs) in enumerate(zip(own_path, other_path, strict=False)):
        if own is not theirs:
            reclaimable = all(node.queue.reclaimable for node in other_path[depth:])
            return own, theirs, reclaimable
    return None, None, False


def scarcest(asked: Amounts) -> set[str]:
    """What a request competes for: accelerators, if it asks for any."""
    names = {name for name, _ in asked if "/" not in name}
    return names - {"cpu", "memory"} or names
