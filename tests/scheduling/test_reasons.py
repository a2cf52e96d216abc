"""Reasons: each names what stands in the way, and doing what it asks for makes the job start."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from madang.core.reasons import Reason, ReasonCode, facts_of
from madang.core.resources import Resources
from madang.scheduling.model import (
    Asked,
    Device,
    Group,
    Limit,
    Node,
    NodeSet,
    Policy,
    Queue,
    Request,
    Reservation,
    Snapshot,
    Wait,
    Where,
)
from madang.scheduling.planner import Planner
from tests.scheduling.waiting import GIB, NOW, starts_after, with_waiting

TOLD = 1_000
"""So many waiting jobs are asked why they wait."""


# -- the truth --------------------------------------------------------------------------------


def waiting(seed: int) -> Iterator[tuple[Planner, str, Wait, list[str]]]:
    """Jobs of random clusters that wait, each with its reason and its queue in order."""
    chance = random.Random(seed)
    while True:
        planner = with_waiting(chance)
        snapshot = planner.snapshot()
        lines: dict[str, list[str]] = {}
        for request in snapshot.requests:
            wait = planner.explain(request.id)
            if wait is None:
                continue
            leaf = planner.teller().leaf_of(request)
            if request.queue not in lines:
                lines[request.queue] = planner.teller().line(leaf)
            yield planner, request.id, wait, lines[request.queue]


def test_doing_what_a_reason_asks_for_makes_the_job_start() -> None:
    codes: Counter[ReasonCode] = Counter()
    lies: list[str] = []
    for number, (planner, request_id, wait, line) in enumerate(waiting(seed=42)):
        if number == TOLD:
            break
        codes[wait.reason.code] += 1
        if not starts_after(planner, request_id, wait.reason.facts["remedy"], line):
            lies.append(f"{number}: {request_id} {wait.reason}")
    assert lies == []
    assert len(codes) >= 18, codes  # the clusters are random enough to meet nearly all of them


def test_no_step_is_asked_for_in_vain() -> None:
    """Left out, a step is missed: nobody is asked to end a job or raise a limit for nothing. (Who
    goes first, and so passes others, may not matter; nor whether a job ends that is stopped.)"""
    asked = missed = 0
    for number, (planner, request_id, wait, line) in enumerate(waiting(seed=7)):
        if number == 250:
            break
        remedy = wait.reason.facts["remedy"]
        for left_out, step in enumerate(remedy):
            if step["do"] in ("go_first", "pass", "lower_guarantee", "add_nodes"):
                continue
            if wait.reason.code is ReasonCode.STOPPING:
                continue
            rest = [other for place, other in enumerate(remedy) if place != left_out]
            asked += 1
            missed += not starts_after(planner, request_id, rest, line)
    assert asked > 100
    assert missed / asked > 0.9, (missed, asked)


# -- single cases -----------------------------------------------------------------------------


def node(name: str, gpus: int = 8, **options: object) -> Node:
    devices = tuple(Device("gpu", i, "NVIDIA H100", 80 * GIB) for i in range(gpus))
    return Node(name, name, 64_000, 512 * GIB, devices, **options)  # type: ignore[arg-type]


def ask(name: str, *wanted: str, replicas: int = 1, **options: object) -> Request:
    where = options.pop("where", Where())
    assert isinstance(where, Where)
    need = Resources.parse(wanted or ("cpu=1", "memory=1GiB"))
    group = Group("worker", replicas, replicas, need, where=where)
    fields = {"queue": "vision", "user": "ada", "project": "lab"} | options
    return Request(id=name, owner=name, groups=(group,), **fields)  # type: ignore[arg-type]


TOGETHER = Where(together="node")
VISION = Queue("vision", "vision")


def told(
    snapshot: Snapshot, *later: Request, of: str = "", now: float = NOW
) -> tuple[Planner, Reason]:
    """What is said of the last request, after the snapshot's own have started."""
    planner = Planner()
    planner.load(replace(snapshot, queues=snapshot.queues or (VISION,)))
    planner.plan(now)
    planner.apply(Asked(request) for request in later)
    planner.plan(now)
    wait = planner.explain(of or later[-1].id)
    assert wait is not None
    return planner, wait.reason


def test_the_sentence_of_the_issue() -> None:
    runs = ask("job-x", "gpu=8", time_limit_s=1_200.0)
    before = [ask(f"b{i}", "gpu=8", order=i) for i in range(3)]
    limited = Queue("vision", "vision", limit=(("gpu", 64_000),))
    snapshot = Snapshot(nodes=(node("a"),), requests=(runs,), queues=(limited,))
    _, reason = told(snapshot, *before, ask("mine", "gpu=8", order=9))
    assert str(reason) == (
        "waits for 8 gpu with cpu=1 memory=2GiB on one node; "
        "free now: cpu=63 memory=510GiB gpu=0 on a; "
        "the first frees at about 2026-09-21 14:33 UTC when job-x ends; "
        "3 jobs ahead in queue vision; quota allows it"
    )


def test_a_job_of_others_is_named_only_to_those_who_may_see_it() -> None:
    snapshot = Snapshot(nodes=(node("a"),), requests=(ask("secret", "gpu=8", time_limit_s=60.0),))
    _, reason = told(snapshot, ask("mine", "gpu=1"))
    hidden = reason.seen_by(lambda _: None)
    assert "secret" not in str(hidden.to_json())
    assert "when another job ends" in str(hidden)
    named = reason.seen_by({"secret": "train-7"}.get)
    assert "when train-7 ends" in str(named)
    assert Reason.from_json(named.to_json()) == named


def test_nobody_knows_when_something_without_limit_ends() -> None:
    snapshot = Snapshot(nodes=(node("a"),), requests=(ask("x", "gpu=8"),))
    planner, reason = told(snapshot, ask("mine", "gpu=1"))
    assert "it is free when x ends, nobody knows when" in str(reason)
    wait = planner.explain("mine")
    assert wait is not None and wait.expected_start is None


def test_only_those_are_named_whose_end_is_needed() -> None:
    halves = tuple(ask(f"half-{i}", "gpu=0.5", order=i) for i in range(3))
    four = ask("four", "gpu=4", order=4, time_limit_s=600.0)
    snapshot = Snapshot(nodes=(node("a"),), requests=(*halves, four))
    for seconds in (2, 30, 300):
        planner, _ = told(snapshot, ask("big", "gpu=4", order=5))
        planner.plan(NOW + seconds)
        wait = planner.explain("big")
        assert wait is not None
        assert "the first frees at about 2026-09-21 14:23 UTC when four ends" in str(wait.reason)


def test_what_would_delay_another_says_whom() -> None:
    runs = ask("x", "gpu=4", time_limit_s=3_600.0)
    head = ask("head", "gpu=8", order=1)
    snapshot = Snapshot(nodes=(node("a"),), requests=(runs,))
    _, reason = told(snapshot, head, ask("mine", "gpu=1", order=2))
    assert reason.code is ReasonCode.WOULD_DELAY
    assert str(reason) == (
        "waits because it would delay head, which is to start at about 2026-09-21 15:13 UTC; "
        "with a time limit that ends by 2026-09-21 15:13 UTC it could start now; "
        "1 job ahead in queue vision"
    )


def test_a_window_ahead_keeps_a_job_off() -> None:
    need = Resources.parse(["gpu=8"])
    window = Reservation("course", "p", (Group("r", 1, 1, need),), NOW + 600, NOW + 1_200)
    snapshot = Snapshot(nodes=(node("a"),), reservations=(window,))
    _, reason = told(snapshot, ask("mine", "gpu=1"))
    assert reason.code is ReasonCode.WINDOW_AHEAD
    assert str(reason).startswith("waits for reservation course, which needs its place from 2026")
    planner = Planner()
    planner.load(replace(snapshot, requests=(ask("short", "gpu=1", time_limit_s=600.0),)))
    planner.plan(NOW)
    assert planner.explain("short") is None
    _, reason = told(snapshot, ask("student", "gpu=1", reservation="course"))
    assert reason.code is ReasonCode.WINDOW_BEGINS


@pytest.mark.parametrize(
    ("queue", "code"),
    [
        (Queue("vision", "vision", open=False), ReasonCode.QUEUE_CLOSED),
        (Queue("vision", "vision", limit=(("gpu", 1_000),)), ReasonCode.QUEUE_LIMIT),
        (
            Queue("vision", "vision", guarantee=(("gpu", 500),), borrowing_limit=(("gpu", 500),)),
            ReasonCode.BORROWING_LIMIT,
        ),
    ],
)
def test_a_queue_in_the_way(queue: Queue, code: ReasonCode) -> None:
    _, reason = told(Snapshot(nodes=(node("a"),), queues=(queue,)), ask("mine", "gpu=2"))
    assert reason.code is code
    assert "quota allows it" not in str(reason)


def test_a_guarantee_of_others_in_the_way() -> None:
    nlp = Queue("nlp", "nlp", guarantee=(("gpu", 8_000),))
    _, reason = told(Snapshot(nodes=(node("a"),), queues=(VISION, nlp)), ask("mine", "gpu=1"))
    assert reason.code is ReasonCode.GUARANTEE_KEPT
    assert "guarantee of queue nlp" in str(reason)


def test_limits_of_user_and_project() -> None:
    one = Limit("user:*", running=1)
    snapshot = Snapshot(nodes=(node("a"),), limits=(one,), requests=(ask("x", "gpu=1"),))
    _, reason = told(snapshot, ask("mine", "gpu=1"))
    assert reason.code is ReasonCode.SUBJECT_RUNNING
    assert str(reason.seen_by({"user:ada": "Ada", "x": "x"}.get)).startswith(
        "waits for Ada, who has 1 of at most 1 running"
    )
    gpus = Limit("project:lab", amounts=(("gpu", 1_000),))
    _, reason = told(replace(snapshot, limits=(gpus,)), ask("mine", "gpu=1"))
    assert reason.code is ReasonCode.SUBJECT_LIMIT


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (ask("m", "gpu=1", "gpu_model=B200"), ReasonCode.NO_DEVICE),
        (ask("m", "gpu=9"), ReasonCode.TOO_LARGE),
        (ask("m", "gpu=8", replicas=3), ReasonCode.GANG_TOO_LARGE),
        (
            ask("m", "gpu=8", replicas=2, where=Where(together="node")),
            ReasonCode.TOGETHER_TOO_LARGE,
        ),
        (ask("m", "gpu=1", replicas=3, where=Where(apart="node")), ReasonCode.APART_TOO_FEW),
        (ask("m", where=Where(pool="slow")), ReasonCode.NO_POOL),
        (ask("m", where=Where(labels=(("disk", "nvme"),))), ReasonCode.NO_LABEL),
        (ask("m", "gpu=8", replicas=2), ReasonCode.NODES_CLOSED),
    ],
)
def test_what_could_never_start(request_: Request, code: ReasonCode) -> None:
    nodes = (node("a", pool="fast"), node("b", open=code is not ReasonCode.NODES_CLOSED))
    planner, reason = told(Snapshot(nodes=nodes), request_)
    assert reason.code is code
    wait = planner.explain("m")
    assert wait is not None and wait.expected_start is None


def test_a_job_for_which_others_stop_says_so() -> None:
    snapshot = Snapshot(nodes=(node("a"),), requests=(ask("low", "gpu=8", preemptible=True),))
    planner, reason = told(snapshot, ask("high", "gpu=8", priority=100, order=1))
    assert reason.code is ReasonCode.VICTIMS_YOUNG  # it has only just started
    assert str(reason).startswith("waits until 2026-09-21 14:13 UTC, when low will have run long")
    planner.plan(NOW + 2)
    wait = planner.explain("high")
    assert wait is not None
    reason = wait.reason
    assert reason.code is ReasonCode.STOPPING
    assert str(reason).startswith("waits for low to stop and make room for it")
    planner.apply([Asked(ask("small", "gpu=1", order=2))])
    planner.plan(NOW)
    wait = planner.explain("small")
    assert wait is not None
    assert wait.reason.code in (ReasonCode.RESOURCES, ReasonCode.KEPT_FOR_ANOTHER)


def test_strict_order_names_the_one_before() -> None:
    snapshot = Snapshot(
        nodes=(node("a"),), requests=(ask("x", "gpu=4"),), policy=Policy(backfill=False)
    )
    _, reason = told(snapshot, ask("head", "gpu=8", order=1), ask("mine", "gpu=1", order=2))
    assert reason.code is ReasonCode.STRICT_ORDER
    assert str(reason).startswith("waits for head, which is before it in queue vision")


def test_the_first_hundred_of_each_queue_are_told() -> None:
    requests = tuple(
        ask(f"{queue}-{number:03}", "gpu=1", queue=queue, order=number)
        for queue in ("vision", "nlp")
        for number in range(150)
    )
    planner = Planner()
    planner.load(Snapshot(nodes=(node("a", gpus=0),), queues=(VISION, Queue("nlp", "nlp"))))
    planner.apply(Asked(request) for request in requests)
    waits = [one for one in planner.plan(NOW) if isinstance(one, Wait)]
    assert len(waits) == 200
    assert planner.explain("nlp-149") is not None


def test_facts_are_all_there() -> None:
    _, reason = told(Snapshot(nodes=(node("a"),)), ask("x", "gpu=8"), ask("m", "gpu=8", order=1))
    assert facts_of(reason.code) <= set(reason.facts)
    assert {"ahead", "also", "remedy"} <= set(reason.facts)


def test_a_new_node_is_seen_at_once() -> None:
    planner, reason = told(Snapshot(nodes=(node("a", gpus=2),)), ask("m", "gpu=8"))
    assert reason.code is ReasonCode.TOO_LARGE
    planner.apply([NodeSet(node("b", open=False))])
    wait = planner.explain("m")
    assert wait is not None and wait.reason.code is ReasonCode.NODES_CLOSED
