"""What could never start is refused, and what is proposed instead can be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.core.resources import Resources, parse_bytes
from madang.scheduling.model import Device, Group, Node, Where
from madang.scheduling.placement import Cluster, place
from madang.scheduling.possible import Refusal, refuse

GIB = 2**30


def node(name: str, *, gpus: int = 0, model: str = "H100", profile: str = "", cpu: int = 8,
         memory_gib: int = 64, pool: str = "", counted: dict[str, int] | None = None,
         **labels: str) -> Node:  # fmt: skip
    devices = tuple(Device("gpu", i, model, 80 * GIB, profile) for i in range(gpus))
    return Node(
        name, name, cpu * 1000, memory_gib * GIB, devices, True, pool,
        tuple(sorted(labels.items())), tuple(sorted((counted or {}).items())),
    )  # fmt: skip


def cluster_of(*nodes: Node) -> Cluster:
    cluster = Cluster()
    for one in nodes:
        cluster.set_node(one)
    return cluster


def group(replicas: int = 1, where: Where | None = None, **asked: Any) -> Group:
    return Group("worker", replicas, replicas, Resources.parse(asked), where=where or Where())


NODES = (
    node("a", gpus=8, pool="train", rack="r1", disk="nvme"),
    node("b", gpus=4, model="A100", pool="train", rack="r1"),
    node("c", gpus=7, model="A100", profile="1g.10gb", pool="slices", rack="r2"),
    node("d", cpu=64, memory_gib=512, counted={"matlab": 4}, rack="r2"),
)


@pytest.mark.parametrize(
    ("asked", "field", "possible"),
    [
        (group(gpu=16), "resources.gpu", 8),
        (group(gpu=1, gpu_model="B200"), "resources.gpu_model", {"H100": 8, "A100": 4}),
        (group(gpu_profile="3g.40gb"), "resources.gpu_profile",
         {"whole H100": 8, "whole A100": 4, "1g.10gb": 7}),
        (group(gpu=1, gpu_memory="81GiB"), "resources.gpu_memory", "80GiB"),
        (group(accelerator="tpu-v5e:4"), "resources.accelerator", {"gpu": 19}),
        (group(counted={"matlab": 5}), "resources.counted", {"matlab": 4}),
        (group(counted={"labview": 1}), "resources.counted", {"matlab": 4}),
        (group(memory="1TiB"), "resources.memory", "512GiB"),
        (group(cpu=65), "resources.cpu", 64),
        (group(cpu=16, gpu=1), "resources", {"cpu": 8, "memory": "64GiB", "gpu": 8}),
        (group(where=Where(pool="tarin")), "pool", {"train": 2, "slices": 1}),
        (group(where=Where(labels=(("disk", "hdd"),))), "node_labels", {"nvme": 1}),
        (group(where=Where(labels=(("zone", "x"),))), "node_labels", {"rack": 4, "disk": 1}),
        (group(where=Where(labels=(("disk", "nvme"), ("rack", "r2")))), "node_labels",
         {"disk": "nvme", "rack": "r1"}),
        (group(where=Where(pool="train"), counted={"matlab": 1}), "resources.counted", {}),
        (group(13, gpu=1), "replicas", 12),
        (group(25, cpu=0.25, gpu=0.5), "replicas", 24),
        (group(9, gpu=1, where=Where(together="node")), "replicas", 8),
        (group(13, gpu=1, where=Where(together="rack")), "replicas", 12),
        (group(3, where=Where(together="rack", apart="node")), "replicas", 2),
        (group(5, where=Where(apart="node")), "replicas", 4),
        (group(3, where=Where(apart="rack")), "replicas", 2),
    ],
)  # fmt: skip
def test_the_nearest_that_could_be_is_said(asked: Group, field: str, possible: object) -> None:
    refusal = refuse([asked], cluster_of(*NODES))
    assert refusal is not None
    assert (refusal.field, refusal.possible) == (field, possible)
    assert refusal.message and refusal.hint.endswith(".")


def test_without_nodes_nothing_is_refused() -> None:
    assert refuse([group(gpu=1000)], cluster_of()) is None


def test_all_groups_must_fit_at_once() -> None:
    cluster = cluster_of(node("a", gpus=8))
    server = Group("server", 1, 1, Resources.parse({"cpu": 1, "gpu": 3}))
    worker = Group("worker", 6, 6, Resources.parse({"cpu": 1, "gpu": 1}))
    refusal = refuse([worker, server], cluster)
    assert refusal is not None
    assert (refusal.field, refusal.possible) == ("roles", {"worker": 5})
    assert refuse([replace(worker, replicas_min=5, replicas_max=5), server], cluster) is None


def _obey(asked: Group, refusal: Refusal) -> Group:
    """Ask for what the refusal says is possible."""
    request: dict[str, Any] = asked.resources.to_request()
    where = asked.where
    possible: Any = refusal.possible
    match refusal.field:
        case "replicas":
            return replace(asked, replicas_min=possible, replicas_max=possible)
        case "pool":
            where = replace(where, pool=next(iter(possible), ""))
        case "node_labels":
            where = replace(where, labels=())
        case "resources.gpu_profile":
            first = next(iter(possible))
            request.pop("gpu_profile", None)
            if not first.startswith("whole "):
                request |= {"gpu_profile": first, "gpu": -(-request.get("gpu", 1) // 1)}
        case "resources.gpu" if isinstance(possible, dict):
            for key in ("gpu", "gpu_model", "gpu_profile", "gpu_memory"):
                request.pop(key, None)
        case "resources.counted":
            known = {name: count for name, count in possible.items() if name in request["counted"]}
            unknown = set(refusal.value) - set(known)  # type: ignore[call-overload]
            counted = {**request["counted"], **known}
            request["counted"] = {k: v for k, v in counted.items() if k not in unknown}
        case "resources.gpu_model":
            request["gpu_model"] = next(iter(possible))
        case "resources":
            request |= {key: value for key, value in possible.items() if key in ("cpu", "memory")}
            if "gpu" in possible and "gpu" in request:
                request["gpu"] = min(request["gpu"], possible["gpu"])
            request["counted"] = {}
        case field:
            request[field.removeprefix("resources.")] = possible
    return replace(asked, resources=Resources.parse(request), where=where)


nodes = st.builds(
    node,
    st.uuids().map(str),
    gpus=st.sampled_from([0, 1, 4, 8]),
    model=st.sampled_from(["H100", "A100"]),
    profile=st.sampled_from(["", "", "1g.10gb"]),
    cpu=st.sampled_from([1, 8, 64]),
    memory_gib=st.sampled_from([4, 64]),
    pool=st.sampled_from(["", "train", "serve"]),
    counted=st.dictionaries(st.sampled_from(["matlab", "card"]), st.integers(1, 3)),
    rack=st.sampled_from(["r1", "r2"]),
)
wheres = st.builds(
    Where,
    pool=st.sampled_from(["", "", "train", "other"]),
    labels=st.sampled_from([(), (), (("rack", "r1"),), (("rack", "r9"),)]),
    together=st.sampled_from(["", "", "node", "rack"]),
    apart=st.just(""),
) | st.builds(Where, apart=st.sampled_from(["", "node", "rack"]))
groups = st.builds(
    group,
    st.integers(1, 12),
    wheres,
    cpu=st.sampled_from([1, 8, 100]),
    memory=st.sampled_from(["1GiB", "32GiB", "100GiB"]),
    gpu=st.sampled_from([0, 0.5, 1, 4, 9]),
    counted=st.dictionaries(st.sampled_from(["matlab", "card", "none"]), st.integers(1, 4)),
)


@given(st.lists(nodes, min_size=1, max_size=5), groups)
def test_what_is_refused_fits_nowhere_and_what_is_proposed_fits_at_last(
    there: list[Node], asked: Group
) -> None:
    cluster = cluster_of(*there)
    refusal = refuse([asked], cluster)
    assert (refusal is None) == place([asked], cluster.copy()).complete
    seen = 0
    while refusal is not None:
        assert (seen := seen + 1) < 20, (asked, refusal)
        asked = _obey(asked, refusal)
        refusal = refuse([asked], cluster)
    assert place([asked], cluster.copy()).complete


def test_sizes_are_written_as_they_are_read() -> None:
    refusal = refuse([group(memory="1TiB")], cluster_of(*NODES))
    assert refusal is not None
    assert parse_bytes(refusal.possible) == 512 * GIB
