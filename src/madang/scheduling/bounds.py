"""What queues, users and projects may have, and what of it stands in a request's way: all of it,
not only what was met first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

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
        """amounts: what it would hold."""
        for node in leaf.path:
            if not node.queue.open:
                steps: list[Step] = [{"do": "open_queue", "queue": node.id}]
                yield Case(ReasonCode.QUEUE_CLOSED, {"queue": name_of(node)}, steps)
        for node in leaf.path:
            yield from self._full(node, amounts)
        for name, amount in amounts:
            case = self._kept_for_others(request, leaf, name, amount)
            if case is not None:
                yield case
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

    def _kept_for_others(
        self, request: Request, leaf: QueueNode, name: str, amount: int
    ) -> Case | None:
        tree = self._ledger.tree
        returnable = request.preemptible and all(node.queue.reclaimable for node in leaf.path)
        if tree.lent_out(leaf, name, amount, returnable) is None:
            return None
        own = {node.id for node in leaf.path}
        unused = [
            (node.guarantee[name] - node.use.get(name, 0), node)
            for queue in tree.queues
            if (node := tree.node(queue.id)) is not None
            and node.id not in own
            and node.guarantee.get(name, 0) > node.use.get(name, 0)
        ]
        unused.sort(key=lambda pair: (-pair[0], pair[1].id))
        names = ", ".join(name_of(node) for _, node in unused[:2]) or name_of(leaf)
        steps: list[Step] = [
            {
                "do": "lower_guarantee",
                "queue": node.id,
                "resource": name,
                "to": node.use.get(name, 0),
            }
            for _, node in unused
        ]
        return Case(ReasonCode.GUARANTEE_KEPT, {"resource": name, "queue": names}, steps)

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
                over -= gain
            if over <= 0:
                return [frees(list(waited), release.time)], release.time
        return [], None

    def _words(self, name: str, **amounts: int) -> dict[str, str]:
        kinds = self._ledger.kinds or {"gpu"}
        return {key: str(format_amount(name, n, kinds)) for key, n in amounts.items()}


def name_of(node: QueueNode) -> str:
    return node.queue.name or node.id


def iso(time: float) -> str:
    """`2026-11-21T14:20:31Z`."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}"


def frees(jobs: list[str], time: float) -> Step:
    """The clause that says when it is free, and by whose end."""
    if len(jobs) == 1:
        return {"code": "frees", "facts": {"free_at": iso(time), "job": jobs[0]}}
    shown = jobs[:_JOBS_SHOWN]
    facts = {"free_at": iso(time), "jobs": shown, "count": len(jobs)}
    code = "frees_several" if len(jobs) <= _JOBS_SHOWN else "frees_many"
    return {"code": code, "facts": facts}


def _beneath(node: QueueNode) -> Belongs:
    leaf_of = node.tree.leaf
    return lambda run: any(above is node for above in leaf_of(run.request.queue).path)


def _of(subject: str) -> Belongs:
    kind, _, name = subject.partition(":")
    return lambda run: getattr(run.request, kind) == name
