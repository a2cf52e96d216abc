"""The arithmetic behind a wait, counted by hand."""

from __future__ import annotations

from dataclasses import replace

from madang.core.resources import Resources
from madang.scheduling.model import (
    Asked,
    Device,
    Group,
    Limit,
    Node,
    Queue,
    Request,
    Snapshot,
    Where,
)
from madang.scheduling.planner import Planner
from madang.scheduling.why import NodesWhy, Why

GIB = 2**30


def node(name: str, model: str = "H100", gpus: int = 8, **options: object) -> Node:
    devices = tuple(Device("gpu", i, f"NVIDIA {model}", 80 * GIB) for i in range(gpus))
    return Node(name, name, 64_000, 512 * GIB, devices, **options)  # type: ignore[arg-type]


def ask(name: str, *wanted: str, replicas: int = 1, **options: object) -> Request:
    where = options.pop("where", Where())
    assert isinstance(where, Where)
    group = Group("worker", replicas, replicas, Resources.parse(wanted), where=where)
    fields = {"queue": "vision", "user": "ada", "project": "lab"} | options
    return Request(id=name, owner=name, groups=(group,), **fields)  # type: ignore[arg-type]


def why(*requests: Request, nodes: tuple[Node, ...], **parts: object) -> Why:
    """Of the last request, when the others came before it."""
    queues = parts.pop("queues", (Queue("vision", "vision"),))
    planner = Planner()
    planner.load(Snapshot(nodes=nodes, queues=queues, **parts))  # type: ignore[arg-type]
    for number, request in enumerate(requests):
        planner.apply([Asked(request)])
        planner.plan(1_000.0 + number)
    told = planner.why(requests[-1].id)
    assert told is not None
    return told


def by_nodes(told: Why) -> dict[tuple[str, ...], NodesWhy]:
    return {group.nodes: group for group in told.roles[0].nodes}


def test_like_nodes_are_counted_together() -> None:
    told = why(
        ask("x", "gpu=6", "cpu=4"),
        ask("mine", "gpu=4", "cpu=8", "gpu_model=H100", replicas=6),
        nodes=(
            node("a"),
            node("b"),
            node("c", open=False),
            node("d", "A100"),
            node("e", gpus=0),
        ),
    )
    groups = by_nodes(told)
    like = groups["a", "b", "c"]
    # x took 6 of the 24 H100s or of the A100s; two replicas fit on each empty, open node.
    assert (like.open, like.room_empty) == (2, 6)
    assert like.room in (2, 4)
    assert "1 closed" in like.short_of
    assert groups["d",].short_of == "no H100"
    assert groups["e",].room_empty == 0
    assert told.roles[0].needs == "4 H100 with cpu=8 memory=2GiB"
    assert told.needs == "worker: 6 times 4 H100 with cpu=8 memory=2GiB"


def test_what_is_short_is_said_for_each_node() -> None:
    told = why(ask("x", "gpu=1", "cpu=60"), ask("mine", "gpu=8", "cpu=8"), nodes=(node("a"),))
    (only,) = told.roles[0].nodes
    assert (only.room, only.room_empty) == (0, 1)
    assert only.short_of == "short of cpu on 1, gpu on 1"
    assert only.free == "cpu=4 memory=510GiB gpu=7"


def test_pools_and_labels_that_do_not_suit_say_so() -> None:
    told = why(
        ask("mine", "cpu=1", where=Where(pool="fast", labels=(("disk", "nvme"),))),
        nodes=(node("a"), node("b", pool="fast")),
    )
    groups = by_nodes(told)
    assert groups["a",].short_of == "not in pool fast"
    assert groups["b",].short_of == "without label disk=nvme"


def test_queues_from_the_leaf_up() -> None:
    queues = (
        Queue("top", "research", weight=2.0),
        Queue("vision", "vision", "top", guarantee=(("gpu", 2_000),), limit=(("gpu", 6_000),)),
    )
    told = why(
        ask("x", "gpu=4", preemptible=True),
        ask("mine", "gpu=4"),
        nodes=(node("a"),),
        queues=queues,
    )
    leaf, top = told.queues
    assert (leaf.name, top.name) == ("vision", "research")
    assert (leaf.guarantee, leaf.borrowed, leaf.limit) == ("gpu=2", "gpu=2", "gpu=6")
    assert leaf.share == top.share == 0.5
    assert (told.position, told.queued) == (1, 1)
    assert any(line.startswith("queue vision, place 1 of 1: uses") for line in told.lines())


def test_limits_are_shown_with_what_is_used_of_them() -> None:
    told = why(
        ask("x", "gpu=2"),
        ask("mine", "gpu=2"),
        nodes=(node("a"),),
        limits=(Limit("user:*", running=1, amounts=(("gpu", 3_000),)),),
    )
    (limit,) = told.limits
    assert (limit.subject, limit.running, limit.most_running) == ("user:ada", 1, 1)
    assert (limit.used, limit.most) == ("gpu=2", "gpu=3")
    assert told.lines()[-1] == "user ada: runs 1 of at most 1, uses gpu=2 of at most gpu=3"


def test_limits_that_bound_nothing_that_runs_are_left_out() -> None:
    told = why(
        ask("x", "gpu=8"),
        ask("mine", "gpu=8"),
        nodes=(node("a"),),
        limits=(Limit("user:*"),),
    )
    assert told.limits == ()


def test_what_is_counted_is_counted_among_what_is_free() -> None:
    def licences(name: str, count: int) -> Request:
        request = ask(name, "cpu=1")
        need = replace(request.groups[0].resources, counted=(("matlab", count),))
        return replace(request, groups=(replace(request.groups[0], resources=need),))

    has = node("a", counted=(("matlab", 4),))
    told = why(licences("x", 3), licences("mine", 2), nodes=(has,))
    (group,) = told.roles[0].nodes
    assert "matlab=1" in group.free
    assert "matlab=1 on a" in str(told.wait.reason)


def test_more_jobs_than_are_named_are_counted() -> None:
    ones = [ask(f"x{number}", "gpu=1", "cpu=1") for number in range(6)]
    told = why(*ones, ask("mine", "gpu=8"), nodes=(node("a"),))
    assert "it is free when 6 jobs end, nobody knows when" in str(told.wait.reason)
