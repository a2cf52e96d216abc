"""Random clusters in which much waits, and a hand that does what a reason asks for."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from madang.core.resources import Resources
from madang.scheduling.lacking import new_nodes
from madang.scheduling.model import (
    Asked,
    Device,
    Group,
    Limit,
    Node,
    Policy,
    Queue,
    Released,
    Request,
    Reservation,
    Snapshot,
    Start,
    Where,
)
from madang.scheduling.planner import Planner

GIB = 2**30
NOW = 1_790_000_000.0
KINDS = ("H100", "A100")

NEEDS: Sequence[Sequence[str]] = (
    ("gpu=1", "cpu=4"),
    ("gpu=1", "cpu=4"),
    ("gpu=2", "cpu=8"),
    ("gpu=4", "cpu=8"),
    ("gpu=8", "cpu=16"),
    ("gpu=0.5", "cpu=1"),
    ("gpu=2", "cpu=4", "gpu_model=H100"),
    ("gpu=1", "cpu=2", "gpu_model=A100"),
    ("cpu=6",),
    ("cpu=24",),
    ("cpu=12", "memory=96GiB"),
    ("gpu=1", "gpu_model=B200"),
    ("gpu=16", "cpu=8"),
    ("cpu=200",),
)


def random_snapshot(chance: random.Random) -> Snapshot:
    """Nodes of two models, queues with bounds of all kinds, users' limits, windows; a burst of
    requests, of which much will wait."""
    nodes = [_node(chance, number) for number in range(chance.randrange(3, 8))]
    bounded = chance.random() < 0.4
    queues = _queues(chance, bounded=bounded)
    leaves = [queue.id for queue in queues if queue.parent]
    count = chance.randrange(15, 45)
    requests = [_request(chance, number, leaves) for number in range(count)]
    windows = [_window(chance, number) for number in range(chance.choice([0, 0, 1, 2]))]
    if windows:
        requests[-1] = replace(requests[-1], groups=windows[0].groups, reservation=windows[0].id)
    return Snapshot(
        nodes=tuple(nodes),
        queues=tuple(queues),
        limits=_limits(chance) if bounded else (),
        reservations=tuple(windows),
        requests=tuple(requests),
        policy=Policy(
            placement="first-fit",
            backfill=chance.random() < 0.85,
            preemption=chance.random() < 0.5,
        ),
    )


def _node(chance: random.Random, number: int) -> Node:
    gpus = chance.choice([0, 2, 4, 8, 8])
    model = chance.choice(KINDS)
    return Node(
        f"node-{number}",
        f"n{number}",
        chance.choice([16, 32, 64]) * 1000,
        chance.choice([64, 128, 256]) * GIB,
        tuple(Device("gpu", index, f"NVIDIA {model}", 80 * GIB) for index in range(gpus)),
        open=chance.random() < 0.85,
        pool=chance.choice(["", "", "fast"]),
        labels=(("rack", f"r{number % 2}"),),
    )


def _queues(chance: random.Random, *, bounded: bool) -> list[Queue]:
    limit = _bound(chance, 16) if bounded else None
    queues = [Queue("top", "top"), Queue("other", "other", limit=limit)]
    for number in range(chance.randrange(2, 5)):
        queues.append(
            Queue(
                f"q{number}",
                f"queue-{number}",
                parent=chance.choice(["top", "other"]),
                weight=chance.choice([1.0, 2.0]),
                guarantee=(("gpu", chance.choice([2, 4]) * 1000),)
                if chance.random() < 0.3
                else (),
                limit=_bound(chance, 8) if bounded else None,
                borrowing_limit=_bound(chance, 6) if bounded else None,
                ordering=chance.choice(["priority", "fifo", "fair"]),
                open=not bounded or chance.random() < 0.9,
                min_runtime_s=chance.choice([0.0, 0.0, 600.0]),
            )
        )
    return queues


def _bound(chance: random.Random, gpus: int) -> tuple[tuple[str, int], ...] | None:
    if chance.random() < 0.7:
        return None
    return (("cpu", chance.choice([32, 64]) * 1000), ("gpu", chance.randrange(2, gpus) * 1000))


def _limits(chance: random.Random) -> tuple[Limit, ...]:
    limits = []
    if chance.random() < 0.3:
        limits.append(Limit("user:*", running=chance.randrange(2, 6)))
    if chance.random() < 0.3:
        limits.append(Limit("user:ada", amounts=(("gpu", 4_000),)))
    if chance.random() < 0.2:
        limits.append(Limit("project:p0", amounts=(("gpu", 6_000),), running=8))
    return tuple(limits)


def _request(chance: random.Random, number: int, leaves: Sequence[str]) -> Request:
    need = Resources.parse(chance.choice(NEEDS[: 11 if chance.random() < 0.95 else None]))
    replicas = chance.choice([1, 1, 1, 1, 2, 3])
    where = Where()
    if chance.random() < 0.1:
        where = chance.choice(
            [
                Where(pool="fast"),
                Where(together="node"),
                Where(together="rack"),
                Where(apart="node"),
                Where(labels=(("rack", "r1"),)),
                Where(pool="slow"),
                Where(labels=(("disk", "nvme"),)),
            ]
        )
    queue = chance.choice(leaves)
    return Request(
        f"job-{number:03}",
        f"job-{number:03}",
        queue,
        (Group("worker", replicas, replicas, need, where=where),),
        priority=chance.choice([0, 0, 0, 100]),
        order=number,
        user=chance.choice(["ada", "bob", "cleo"]),
        project=chance.choice(["p0", "p1"]),
        time_limit_s=chance.choice([0.0, 600.0, 3_600.0, 36_000.0]),
        expected_s=chance.choice([None, 300.0, 5_000.0]),
        preemptible=chance.random() < 0.5,
    )


def _window(chance: random.Random, number: int) -> Reservation:
    need = Resources.parse(["gpu=2", "cpu=4"])
    start = NOW + chance.choice([-1_000, 1_000, 10_000])
    return Reservation(
        f"window-{number}", "p0", (Group("held", 1, 1, need),), start, start + 20_000
    )


def with_waiting(chance: random.Random) -> Planner:
    """A planner that has started what it could, and another burst that came an hour later."""
    snapshot = random_snapshot(chance)
    half = len(snapshot.requests) // 2
    planner = Planner()
    planner.load(replace(snapshot, requests=snapshot.requests[:half]))
    planner.plan(NOW - 1_000)
    planner.apply(Asked(request) for request in snapshot.requests[half:])
    planner.plan(NOW)
    return planner


# -- doing what a reason asks for -------------------------------------------------------------


def starts_after(
    planner: Planner, request_id: str, remedy: Sequence[Mapping[str, Any]], line: Sequence[str]
) -> bool:
    """Whether the request starts once the steps are done. line: its queue in order."""
    hand = Hand(planner.snapshot(), request_id, line)
    for step in remedy:
        getattr(hand, f"do_{step['do']}")(step)
    after = Planner()
    after.load(hand.snapshot)
    actions = after.plan(hand.now)
    released = [
        Released(key)
        for kept in after.snapshot().kept
        if kept.request_id == request_id
        for key in kept.until
    ]
    if released:  # others are stopped for it: they are gone in a moment
        after.apply(released)
        actions = after.plan(hand.now)
    return any(isinstance(one, Start) and one.request.id == request_id for one in actions)


class Hand:
    """An administrator who does what she is told, and nothing else."""

    def __init__(self, snapshot: Snapshot, request_id: str, line: Sequence[str]) -> None:
        self.snapshot = snapshot
        self.now = NOW
        self._request = next(r for r in snapshot.requests if r.id == request_id)
        self._line = line

    def do_end(self, step: Mapping[str, Any]) -> None:
        ended = set(step["requests"])
        owners = {r.request.owner for r in self.snapshot.running if r.request.id in ended}
        self.snapshot = replace(
            self.snapshot,
            running=tuple(r for r in self.snapshot.running if r.request.id not in ended),
            allocations=tuple(
                a for a in self.snapshot.allocations if a.key.rsplit("/", 2)[0] not in owners
            ),
            leaving=tuple(
                key for key in self.snapshot.leaving if key.rsplit("/", 2)[0] not in owners
            ),
            requests=tuple(
                r for r in self.snapshot.requests if r.id not in ended or r is self._request
            ),
        )

    def do_go_first(self, step: Mapping[str, Any]) -> None:
        others = [one for one in self._line if one != self._request.id]
        first = {*others[: step["ahead"]], *step["requests"]}
        self._withdraw(first, set(step["queues"]))

    def do_pass(self, step: Mapping[str, Any]) -> None:
        self._withdraw(set(step["requests"]), set())

    def _withdraw(self, ids: set[str], queues: set[str]) -> None:
        stays = tuple(
            r
            for r in self.snapshot.requests
            if r.id == self._request.id or (r.id not in ids and r.queue not in queues)
        )
        left = {r.id for r in stays}
        kept = tuple(k for k in self.snapshot.kept if k.request_id in left)
        self.snapshot = replace(self.snapshot, requests=stays, kept=kept)

    def do_open(self, step: Mapping[str, Any]) -> None:
        opened = set(step["nodes"])
        nodes = (replace(n, open=n.open or n.id in opened) for n in self.snapshot.nodes)
        self.snapshot = replace(self.snapshot, nodes=tuple(nodes))

    def do_add_nodes(self, step: Mapping[str, Any]) -> None:
        count = len(self.snapshot.nodes)
        new = (replace(node, id=f"{node.id}/{count}") for node in new_nodes(dict(step)))
        self.snapshot = replace(self.snapshot, nodes=(*self.snapshot.nodes, *new))

    def do_open_queue(self, step: Mapping[str, Any]) -> None:
        self._change_queue(step["queue"], open=True)

    def do_raise_limit(self, step: Mapping[str, Any]) -> None:
        self._change_amount(step, "limit")

    def do_raise_borrowing(self, step: Mapping[str, Any]) -> None:
        self._change_amount(step, "borrowing_limit")

    def do_lower_guarantee(self, step: Mapping[str, Any]) -> None:
        self._change_amount(step, "guarantee")

    def _change_amount(self, step: Mapping[str, Any], bound: str) -> None:
        queue = next(q for q in self.snapshot.queues if q.id == step["queue"])
        amounts = dict(getattr(queue, bound) or ())
        amounts[step["resource"]] = step["to"]
        self._change_queue(queue.id, **{bound: tuple(sorted(amounts.items()))})

    def _change_queue(self, queue_id: str, **changes: Any) -> None:
        queues = tuple(
            replace(q, **changes) if q.id == queue_id else q for q in self.snapshot.queues
        )
        self.snapshot = replace(self.snapshot, queues=queues)

    def do_raise_subject(self, step: Mapping[str, Any]) -> None:
        subject = step["subject"]
        limits = {limit.subject: limit for limit in self.snapshot.limits}
        limit = limits.get(subject) or limits[f"{subject.partition(':')[0]}:*"]
        if step["resource"] == "running":
            limit = replace(limit, subject=subject, running=step["to"])
        else:
            amounts = dict(limit.amounts) | {step["resource"]: step["to"]}
            limit = replace(limit, subject=subject, amounts=tuple(sorted(amounts.items())))
        limits[subject] = limit
        self.snapshot = replace(self.snapshot, limits=tuple(limits.values()))

    def do_cancel_reservation(self, step: Mapping[str, Any]) -> None:
        left = tuple(w for w in self.snapshot.reservations if w.id not in step["reservations"])
        self.snapshot = replace(self.snapshot, reservations=left)

    def do_without_reservation(self, step: Mapping[str, Any]) -> None:
        free = replace(self._request, reservation="")
        requests = tuple(free if r.id == free.id else r for r in self.snapshot.requests)
        self.snapshot = replace(self.snapshot, requests=requests)
        self._request = free

    def do_wait(self, step: Mapping[str, Any]) -> None:
        self.now = max(self.now, datetime.fromisoformat(step["until_at"]).timestamp() + 1)
