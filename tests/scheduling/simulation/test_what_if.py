"""The same jobs, but …"""

from __future__ import annotations

import pytest

from madang.core.errors import InvalidInput
from madang.scheduling.model import Queue
from madang.scheduling.simulation.driver import Simulation
from madang.scheduling.simulation.trace import Trace
from madang.scheduling.simulation.what_if import Changes, changed
from tests.scheduling.simulation.traces import job, node, trace


def plain() -> Trace:
    queues = (Queue("vision", "vision"), Queue("language", "language"))
    jobs = [
        job(f"{queue}-{n}", n, 100, "gpu=1", queue=queue, preemptible=True)
        for queue in ("vision", "language")
        for n in range(8)
    ]
    return trace((node("a", gpus=4), node("b", gpus=4)), *jobs, queues=queues)


def makespan(it: Trace) -> float:
    return max(record.ended_at or 0.0 for record in Simulation(it).run().jobs)


def test_more_nodes_of_a_kind_and_one_less() -> None:
    more = changed(plain(), Changes(add=("2:H100",)))
    assert len(more.nodes) == 4
    assert len({node.name for node in more.nodes}) == 4
    twice = changed(plain(), Changes(add=("2:H100", "1:H100")))
    assert len({node.name for node in twice.nodes}) == 5
    less = changed(plain(), Changes(without=("a",)))
    assert [node.name for node in less.nodes] == ["b"]
    assert makespan(more) < makespan(plain()) < makespan(less)


def test_nodes_may_be_described() -> None:
    added = changed(plain(), Changes(add=("1:cpu=8,memory=64GiB,gpu=2,gpu_model=A100",))).nodes[-1]
    assert [device.model for device in added.devices] == ["A100", "A100"]
    assert added.cpu_milli == 8000


def test_other_quotas() -> None:
    settings = ("vision.guarantee=gpu=6", "vision.limit=gpu=6", "language.weight=2")
    vision, language = changed(plain(), Changes(settings=settings)).queues
    assert (vision.guarantee, vision.limit) == ((("gpu", 6000),), (("gpu", 6000),))
    assert language.weight == 2.0


def test_guarantees_may_count_on_added_nodes_and_outlive_those_that_are_gone() -> None:
    more = Changes(settings=("vision.guarantee=gpu=16",), add=("2:H100",))
    assert changed(plain(), more).queues[0].guarantee == (("gpu", 16000),)
    less = Changes(settings=("vision.guarantee=gpu=8",), without=("a",))
    assert changed(plain(), less).queues[0].guarantee == (("gpu", 8000),)


def test_more_load_comes_in_less_time() -> None:
    faster = changed(plain(), Changes(inflate=2.0))
    assert faster.last_arrival == 3.5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (Changes(add=("H100",)), "says not how many nodes"),
        (Changes(add=("99999999:H100",)), "says not how many nodes"),
        (Changes(add=("20000:H100",)), "--add-nodes 20000:H100 makes too many nodes"),
        (Changes(add=("1:gpu=100",)), "is more than a node has"),
        (Changes(add=("2:V100",)), "no node or GPU model 'V100'"),
        (Changes(without=("z",)), "no node 'z'"),
        (Changes(settings=("speech.weight=1",)), "no queue 'speech'"),
        (Changes(settings=("vision.size=1",)), "a queue has no 'size'"),
        (Changes(settings=("vision.weight=much",)), "is not a number"),
        (Changes(settings=("vision",)), "sets nothing"),
        (Changes(settings=("vision.guarantee=gpu=lots",)), "gpu=lots"),
        (Changes(settings=("vision.weight=nan",)), "--set vision.weight=nan: the weight"),
        (Changes(settings=("vision.weight=-1",)), "--set vision.weight=-1: the weight"),
        (Changes(settings=("vision.weight=inf",)), "--set vision.weight=inf: the weight"),
        (Changes(settings=("vision.min_runtime_s=nan",)), "--set vision.min_runtime_s=nan: "),
        (Changes(settings=("vision.ordering=best",)), "--set vision.ordering=best: 'best' is"),
        (Changes(settings=("vision.parent=vision",)), "--set vision.parent=vision: queue 'vis"),
        (Changes(settings=("vision.parent=speech",)), "there is no queue 'speech'"),
        (Changes(settings=("vision.guarantee=gpu=9",)), "the cluster has 8"),
        (
            Changes(settings=("vision.limit=gpu=2", "vision.guarantee=gpu=4", "vision.weight=2")),
            "--set vision.limit=gpu=2: the limit of 'vision'",
        ),
        (
            Changes(settings=("vision.guarantee=gpu=6", "language.guarantee=gpu=4")),
            "'language' can't be guaranteed gpu=4: the cluster has 8",
        ),
    ],
)
def test_what_is_not_there_is_said(changes: Changes, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        changed(plain(), changes)
    assert said in refused.value.message
    assert refused.value.exit_code == 2
