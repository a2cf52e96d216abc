"""The tree of queues as a value: who is below whom, and what can't be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from madang.core.amounts import format_amount, format_amounts
from madang.core.errors import InvalidInput
from madang.server.workloads.tables import QueueRow

ORDERINGS = (
    "fifo",
    "priority",
    "newcomers",
    "fair",
    "usage",
    "shortest",
    "attained",
    "goodput",
)
"""Names of `madang.scheduling.ordering`."""

SEPARATOR = "/"

_DEEPEST = 16


class QueueTree:
    """All queues of the cluster; a row may have changed since it was written."""

    def __init__(self, rows: Iterable[QueueRow]) -> None:
        self.rows = {row.id: row for row in rows}
        self._children: dict[str, list[QueueRow]] = defaultdict(list)
        for row in self.rows.values():
            self._children[row.parent_id or ""].append(row)

    def children(self, queue_id: str) -> list[QueueRow]:
        """Those right below; of an empty id the roots."""
        return self._children.get(queue_id, [])

    def is_leaf(self, queue_id: str) -> bool:
        return not self.children(queue_id)

    def leaves_below(self, queue_id: str) -> Iterator[QueueRow]:
        """Those below it in which work can wait."""
        for child in self.children(queue_id):
            yield from [child] if self.is_leaf(child.id) else self.leaves_below(child.id)

    def upward(self, queue_id: str) -> Iterator[QueueRow]:
        """The queue, the one above, … up to its root. Raises InvalidInput for a cycle."""
        seen: set[str] = set()
        row = self.rows.get(queue_id)
        while row is not None:
            if row.id in seen:
                raise InvalidInput(
                    f"queue {row.name!r} would be above itself",
                    field="parent",
                    hint="Choose a parent that is not below it, or '' for the root.",
                )
            seen.add(row.id)
            yield row
            row = self.rows.get(row.parent_id or "")

    def path(self, queue_id: str) -> str:
        """`research/vision/default`."""
        names = [row.name for row in self.upward(queue_id)]
        return SEPARATOR.join(reversed(names))

    def fair_share(self, queue_id: str) -> float:
        """Its part of the cluster by weight, while all want more than they have."""
        share = 1.0
        for row in self.upward(queue_id):
            siblings = self.children(row.parent_id or "")
            share *= row.weight / sum(sibling.weight for sibling in siblings)
        return share

    def summed_up(self, amounts: Mapping[str, Mapping[str, int]]) -> dict[str, Counter[str]]:
        """What each queue has with all below it, from what each has itself."""
        sums: dict[str, Counter[str]] = {queue_id: Counter() for queue_id in self.rows}
        for queue_id, own in amounts.items():
            for row in self.upward(queue_id):
                sums[row.id].update(own)
        return sums

    def check(self, row: QueueRow, capacity: Mapping[str, int]) -> None:
        """Raises InvalidInput, with what would do, when `row` can't be as it is now. `capacity`
        is what all nodes have together; empty while none has joined."""
        if len(list(self.upward(row.id))) > _DEEPEST:
            raise InvalidInput(f"queues can't be nested deeper than {_DEEPEST}", field="parent")
        self._check_parent(row)
        self._check_ordering(row)
        for resource, guarantee in row.guarantee.items():
            self._check_limit(row, resource, guarantee)
        self._check_guarantees_below(row)
        if row.parent_id:
            self._check_guarantees_below(self.rows[row.parent_id], row)
        else:
            self._check_cluster(row, capacity)

    def _check_parent(self, row: QueueRow) -> None:
        parent = self.rows.get(row.parent_id or "")
        if parent is None or parent.project_id in (None, row.project_id):
            return
        raise InvalidInput(
            f"queue {row.name!r} can't be below {parent.name!r}, which is another project's",
            field="parent",
            hint="Use a queue of the platform or of the same project.",
        )

    def _check_ordering(self, row: QueueRow) -> None:
        if row.ordering not in ORDERINGS:
            raise InvalidInput(
                f"{row.ordering[:100]!r} is no order",
                field="ordering",
                hint=f"Use one of: {', '.join(ORDERINGS)}.",
            )

    def _check_limit(self, row: QueueRow, resource: str, guarantee: int) -> None:
        limit = row.limit.get(resource)
        if limit is not None and limit < guarantee:
            shown = format_amount(resource, guarantee)
            raise InvalidInput(
                f"the limit of {row.name!r}, {resource}={format_amount(resource, limit)}, is "
                f"below its guarantee of {shown}",
                field="limit",
                hint=f"Use a limit of at least {shown}, or guarantee less.",
            )

    def _check_guarantees_below(self, above: QueueRow, changed: QueueRow | None = None) -> None:
        """What the queues below are guaranteed comes out of the guarantee above."""
        for resource, total in self._guaranteed(above.id).items():
            most = above.guarantee.get(resource, 0)
            if total <= most:
                continue
            if changed is None:
                raise InvalidInput(
                    f"queues below {above.name!r} are guaranteed "
                    f"{resource}={format_amount(resource, total)}, more than "
                    f"{format_amount(resource, most)}",
                    field="guarantee",
                    hint=f"Guarantee it at least {format_amount(resource, total)}, or them less.",
                )
            left = max(0, most - total + changed.guarantee.get(resource, 0))
            raise InvalidInput(
                f"{changed.name!r} can't be guaranteed "
                f"{format_amounts({resource: changed.guarantee.get(resource, 0)})}: "
                f"{above.name!r} above it has {format_amount(resource, most)} guaranteed",
                field="guarantee",
                hint=f"At most {resource}={format_amount(resource, left)} is left for it. To have "
                f"more, raise the guarantee of {above.name!r} first.",
            )

    def _check_cluster(self, row: QueueRow, capacity: Mapping[str, int]) -> None:
        if not capacity:
            return
        total: Counter[str] = Counter()
        for root in self.children(""):
            total.update(_with_kinds(root.guarantee))
        for resource, guarantee in _with_kinds(row.guarantee).items():
            most = capacity.get(resource, 0)
            if guarantee and total[resource] > most:
                left = max(0, most - total[resource] + guarantee)
                raise InvalidInput(
                    f"{row.name!r} can't be guaranteed {format_amounts({resource: guarantee})}: "
                    f"the cluster has {format_amount(resource, most)}",
                    field="guarantee",
                    hint=f"At most {resource}={format_amount(resource, left)} is not guaranteed "
                    "to others.",
                )

    def _guaranteed(self, parent_id: str) -> Counter[str]:
        total: Counter[str] = Counter()
        for child in self.children(parent_id):
            total.update(child.guarantee)
        return total


def _with_kinds(guarantee: Mapping[str, int]) -> dict[str, int]:
    """With what is kept of each kind for its models: `gpu/H100` is part of `gpu`."""
    models: Counter[str] = Counter()
    for resource, amount in guarantee.items():
        if "/" in resource:
            models[resource.partition("/")[0]] += amount
    return {
        **guarantee,
        **{kind: max(amount, guarantee.get(kind, 0)) for kind, amount in models.items()},
    }
