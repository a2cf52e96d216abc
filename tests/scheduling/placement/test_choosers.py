"""The native search chooses what the search in arrays chooses."""

from __future__ import annotations

import random
import sys
from collections import Counter

import pytest

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import Device, DeviceHold, Node, Policy
from madang.scheduling.placement import Cluster, Mix, choosers, rules

GIB = 2**30
MODELS = ("V100", "T4", "A10")
NEEDS = [
    Resources(cpu, GIB, *device)
    for cpu in (1000, 4000, 9000)
    for device in (
        ("", 0, 0, ()),
        ("gpu", 250, 0, ()),
        ("gpu", 470, 0, ("T4",)),
        ("gpu", 0, 5 * GIB, ()),
        ("gpu", 1000, 0, ("V100", "A10")),
        ("gpu", 1000, 0, ()),
        ("gpu", 2000, 0, ()),
        ("gpu", 4000, 0, ("V100",)),
    )
] + [Resources(1000, GIB, "gpu", 1000, device_profile="1g.5gb")]

NATIVE = pytest.mark.skipif(not choosers.has_native(), reason="madang-native is not built")


def nodes(chance: random.Random) -> list[Node]:
    made = []
    for number in range(30):
        model = chance.choice(MODELS)
        devices = [
            Device("gpu", index, model, chance.choice((16, 24)) * GIB)
            for index in range(chance.choice((0, 1, 2, 4, 8)))
        ]
        if chance.random() < 0.2:
            devices += [Device("gpu", 20 + i, model, 5 * GIB, profile="1g.5gb") for i in range(3)]
        cpu = chance.choice((16, 32, 64)) * MILLI
        made.append(Node(f"n{number}", f"n{number}", cpu, 64 * GIB, tuple(devices)))
    return made


def choices(policy: str, seed: int) -> list[tuple[str, tuple[DeviceHold, ...]] | None]:
    """What a random history of arrivals and ends leads to."""
    chance = random.Random(seed)
    weights = [chance.random() + 0.05 for _ in NEEDS]
    mix = Mix(dict(zip(NEEDS, weights, strict=True)), learns=chance.random() < 0.5)
    cluster = Cluster(Policy(placement=policy, seed=seed), mix)
    for node in nodes(chance):
        cluster.set_node(node)
    running: list[tuple[str, Resources, tuple[DeviceHold, ...]]] = []
    made = []
    for _ in range(220):
        if running and chance.random() < 0.3:
            cluster.give(*running.pop(chance.randrange(len(running))))
            continue
        [need] = chance.choices(NEEDS, weights)
        cluster.arrived(need, chance.choice((1, 1, 40)))
        choice = cluster.choose(need)
        made.append(choice)
        if choice is not None:
            cluster.take(choice[0], need, choice[1])
            running.append((choice[0], need, choice[1]))
    return made


@NATIVE
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("policy", ["default", "fgd", "first-fit"])
def test_native_and_numpy_choose_the_same(
    policy: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = choices(policy, seed)
    monkeypatch.setattr(rules, "has_native", lambda: False)
    assert choices(policy, seed) == native
    assert Counter(choice is None for choice in native)[False] > 50


@pytest.mark.parametrize("policy", rules.POLICIES)
def test_no_policy_refuses_what_fits_or_takes_what_does_not(policy: str) -> None:
    chance = random.Random(7)
    cluster = Cluster(Policy(placement=policy, seed=7), Mix(dict.fromkeys(NEEDS, 1.0)))
    for node in nodes(chance):
        cluster.set_node(node)
    refused = 0
    for _ in range(150):
        need = chance.choice(NEEDS)
        choice = cluster.choose(need)
        fitting = [
            node_id for node_id in cluster.node_ids if cluster.fit(node_id, need) is not None
        ]
        assert (choice is None) == (not fitting)
        assert bool(cluster.most(need, empty=False)) == bool(fitting)
        if choice is None:
            refused += 1
            continue
        assert choice[0] in fitting
        cluster.take(choice[0], need, choice[1])
        free = cluster.free().space
        assert free.cpu_milli.min() >= 0
        assert free.device_milli.min() >= 0
        assert free.device_memory_bytes.min() >= 0
    assert refused


def test_without_a_solver_fragmentation_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    by_fragments = choices("fgd", 1)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    assert choices("default", 1) == by_fragments
