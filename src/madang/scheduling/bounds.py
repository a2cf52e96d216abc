"""What queues, users and projects may have, and what of it stands in a request's way: all of it,
not only what was met first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from madang.core.amounts import format_amount
from madang.core.reasons import ReasonCode
from madang.scheduling.lacking import Case, Step
from madang.scheduling.ledger import Ledger
from madang.scheduling.limits import Spent
from madang.scheduling.model import Amounts, Request
from madang.scheduling.queues import QueueNode
from madang.scheduling.runs import Run

_JOBS_SHOWN = 5

Belongs = Callable[[Run], bool]


class Bounds:
    """The answers for one state of the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def cases(self, request: Request, leaf: QueueNode, amounts: Amounts) -> Iterator[Case]:
        """What may not be had, whoever has the rest. amounts: what it would hold."""
        for node in leaf.path:
            if not node.queue.open:
                steps: list[Step] = [{"do": "open_queue", "queue": node.id}]
                yield Case(ReasonCode.QUEUE_CLOSED, {"queue": name_of(node)}, steps)
        for node in leaf.path:
            yield from self._full(node, amounts)
        for user, project in ((request.user, ""), ("", request.project)):
            yield from self._spent(user, project, amounts)

    def _full(self, node: QueueNode, amounts: Amounts) -> Iterator[Case]:
        bounds = (
            (ReasonCode.QUEUE_LIMIT, "raise_limit", node.limit, False),
            (ReasonCode.BORROWING_LIMIT, "raise_borrowing", node.borrowing, True),
        )
        for code, remedy, most, borrows in bounds:
            for name, asked in amounts:
                used = node.use.get(name, 0)
                if name not in most or used + asked <= most[name]:
                    continue
                to = used + asked - (node.guarantee.get(name, 0) if borrows else 0)
                step: Step = {"do": remedy, "queue": node.id, "resource": name, "to": to}
                facts = {"queue": name_of(node), "resource": name}
                facts |= self._words(name, used=used, limit=most[name], asked=asked)
                clause, at = self._freed(_beneath(node), name, used + asked - most[name])
                yield Case(code, facts, [step], clause, at)

    def kept_for_others(
        self,
        request: Request,
        leaf: QueueNode,
        amounts: Amounts,
        ended: Collection[str],
        there: Mapping[str, int] | None = None,
    ) -> Iterator[Case]:
        """What is guaranteed to others and not lent to this, once what is to end (requests' ids)
        has ended. there: what nodes have then that are open; None: what they have now."""
        returnable = request.preemptible and all(node.queue.reclaimable for node in leaf.path)
        own = {node.id for node in leaf.path}
        for name, amount in amounts:
            uses = self._uses(name, ended)
            asked = {**uses, leaf.id: uses.get(leaf.id, 0) + amount}
            root = self._ledger.tree.root
            has = self._ledger.tree.open_amount(name) if there is None else there.get(name, 0)
            if self._taken(root, name, asked, returnable) <= has:
                continue
            unused = [
                (kept, node)
                for queue in self._ledger.tree.queues
                if (node := self._ledger.tree.node(queue.id)) is not None
                and node.id not in own
                and (kept := node.floor.get(name, 0) - _beneath_sum(node, uses)) > 0
            ]
            if not unused:
                continue
            unused.sort(key=lambda pair: (-pair[0], pair[1].id))
            names = ", ".join(name_of(node) for _, node in unused[:2])
            steps: list[Step] = [
                {
                    "do": "lower_guarantee",
                    "queue": node.id,
                    "resource": name,
                    "to": _beneath_sum(node, uses),
                }
                for _, node in unused
            ]
            yield Case(ReasonCode.GUARANTEE_KEPT, {"resource": name, "queue": names}, steps)

    def _uses(self, name: str, ended: Collection[str]) -> dict[str, int]:
        """What each leaf has, less what is to end."""
        uses = {leaf.id: leaf.use.get(name, 0) for leaf in self._ledger.tree.leaves}
        for request_id in ended:
            run = self._ledger.runs.get(request_id)
            if run is not None:
                leaf = self._ledger.tree.leaf(run.request.queue)
                uses[leaf.id] -= sum(dict(held).get(name, 0) for held in run.keys.values())
        return uses

    def _taken(self, node: QueueNode, name: str, uses: dict[str, int], returnable: bool) -> int:
        """What counts as taken beneath a node: what is used, or what is kept, if that is more."""
        floor = (node.lent_not if returnable else node.floor).get(name, 0)
        if not node.children:
            return max(uses.get(node.id, 0), floor)
        beneath = sum(self._taken(child, name, uses, returnable) for child in node.children)
        return max(beneath, floor)

    def _spent(self, user: str, project: str, amounts: Amounts) -> Iterator[Case]:
        limits = self._ledger.limits
        asked = [limits.spent(user, project, ())]
        asked += [limits.spent(user, project, (one,), new=False) for one in amounts]
        for spent in asked:
            if spent is not None:
                yield self._spent_case(spent)

    def _spent_case(self, spent: Spent) -> Case:
        used, most = spent.used, spent.bound
        step: Step = {
            "do": "raise_subject",
            "subject": spent.subject,
            "resource": spent.resource,
            "to": used + spent.asked,
        }
        clause, at = self._freed(_of(spent.subject), spent.resource, used + spent.asked - most)
        if spent.resource == "running":
            facts = {"subject": spent.subject, "used": used, "limit": most}
            return Case(ReasonCode.SUBJECT_RUNNING, facts, [step], clause, at)
        facts = {"subject": spent.subject, "resource": spent.resource}
        words = self._words(spent.resource, used=used, limit=most, asked=spent.asked)
        return Case(ReasonCode.SUBJECT_LIMIT, facts | words, [step], clause, at)

    def _freed(
        self, belongs: Belongs, resource: str, over: int
    ) -> tuple[list[Step], float | None]:
        """When enough of those that count has ended by itself: a clause and the time."""
        ledger = self._ledger
        waited: dict[str, None] = {}
        open_keys: dict[str, int] = {}
        known = True
        for key, release in ledger.all_releases().items():
            run = ledger.runs.of(key)
            if run is None or key not in run.keys or not belongs(run):
                continue
            if resource == "running":
                left = open_keys.setdefault(run.request.id, len(run.keys)) - 1
                open_keys[run.request.id] = left
                gain = 1 if left == 0 else 0
            else:
                gain = dict(run.keys[key]).get(resource, 0)
            if gain > 0:
                waited[run.request.owner] = None
                known = known and has_known_end(run)
                over -= gain
            if over <= 0:
                time = release.time if known else None
                return [frees(list(waited), time)], time
        return [], None

    def _words(self, name: str, **amounts: int) -> dict[str, str]:
        kinds = self._ledger.kinds or {"gpu"}
        return {key: str(format_amount(name, n, kinds)) for key, n in amounts.items()}


def name_of(node: QueueNode) -> str:
    return node.queue.name or node.id


def has_known_end(run: Run | None) -> bool:
    """Whether anything is known of when it ends: a limit, or what was learned of others."""
    return run is not None and bool(run.request.time_limit_s or run.request.expected_s)


def iso(time: float) -> str:
    """`2026-11-21T14:20:31Z`."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}"


def frees(jobs: list[str], time: float | None) -> Step:
    """The clause that says when it is free, and by whose end. time: None when nobody knows."""
    shown: dict[str, Any] = {"job": jobs[0]} if len(jobs) == 1 else {"jobs": jobs[:_JOBS_SHOWN]}
    shown["count"] = len(jobs)
    if time is None:
        several = "frees_unknown" if len(jobs) <= _JOBS_SHOWN else "frees_many_unknown"
        return {"code": "frees_one_unknown" if len(jobs) == 1 else several, "facts": shown}
    facts = shown | {"free_at": iso(time)}
    if len(jobs) == 1:
        return {"code": "frees", "facts": facts}
    return {"code": "frees_several" if len(jobs) <= _JOBS_SHOWN else "frees_many", "facts": facts}


def _beneath_sum(node: QueueNode, uses: dict[str, int]) -> int:
    if not node.children:
        return uses.get(node.id, 0)
    return sum(_beneath_sum(child, uses) for child in node.children)


def _beneath(node: QueueNode) -> Belongs:
    leaf_of = node.tree.leaf
    return lambda run: any(above is node for above in leaf_of(run.request.queue).path)


def _of(subject: str) -> Belongs:
    kind, _, name = subject.partition(":")
    return lambda run: getattr(run.request, kind) == name
