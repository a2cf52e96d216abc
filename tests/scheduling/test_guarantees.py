"""What is guaranteed: who is within it never loses, who borrows loses first, who is below it takes
it back."""

from __future__ import annotations

from madang.core.reasons import ReasonCode
from madang.scheduling import Asked, NodeSet, Queue, QueueSet
from tests.scheduling.world import World, ask, node


def gpus(count: int, model: str = "") -> tuple[tuple[str, int], ...]:
    return ((f"gpu/{model}" if model else "gpu", count * 1000),)


def gpu_job(world: World, name: str, count: int, queue: str, model: str = "") -> None:
    models = (f"gpu_model={model}",) if model else ()
    world.ask(name, f"gpu={count}", *models, "cpu=0.1", queue=queue, preemptible=True)


def teams(world: World, **guarantees: tuple[tuple[str, int], ...]) -> None:
    """research above vision and language; teaching and n12 beside it."""
    parents = {"vision": "research", "language": "research"}
    for name in ("research", "teaching", "n12", "vision", "language"):
        queue = Queue(name, name, parents.get(name, ""), guarantee=guarantees.get(name, ()))
        world.tell(QueueSet(queue))


def three_teams() -> World:
    """Vision uses its guarantee, language and teaching use what nobody guaranteed them, and n12
    is guaranteed three of one model."""
    world = World(node("a", gpus=8))
    teams(world)
    gpu_job(world, "l1", 2, "language")
    gpu_job(world, "t4", 2, "teaching")
    world.starts()
    world.now = 5.0
    gpu_job(world, "v2", 4, "vision")  # the youngest: to stop it would lose least
    world.starts()
    teams(world, research=gpus(4), vision=gpus(4), n12=gpus(3, "H100"))
    return world


def test_who_borrows_beside_one_within_its_guarantee_loses() -> None:
    world = three_teams()
    gpu_job(world, "h", 3, "n12", "H100")
    assert world.preempted() == {"l1": "h", "t4": "h"}


def test_a_queue_takes_its_guarantee_back_though_the_one_above_it_has_lent_it() -> None:
    world = World(node("a", gpus=8))
    teams(world, research=gpus(4), vision=gpus(4))
    gpu_job(world, "l1", 4, "language")
    gpu_job(world, "t4", 4, "teaching")
    world.starts()
    gpu_job(world, "v2", 4, "vision")
    assert len(world.preempted()) == 1
    world.vacate()
    assert set(world.starts()) == {"v2"}


def test_beneath_a_full_queue_the_guarantee_is_taken_from_others() -> None:
    world = World(node("a", gpus=6))
    teams(world, research=gpus(4), vision=gpus(4))
    world.ask("l1", "gpu=2", "cpu=0.1", queue="language")  # not preemptible
    gpu_job(world, "t4", 4, "teaching")
    world.starts()
    gpu_job(world, "v2", 4, "vision")
    assert world.preempted() == {"t4": "v2"}


def test_a_guarantee_of_a_model_is_kept_from_who_asks_for_any() -> None:
    world = World(node("a", gpus=8))
    teams(world, n12=gpus(3, "H100"), vision=gpus(4))
    gpu_job(world, "h", 3, "n12", "H100")
    gpu_job(world, "l1", 5, "language")
    world.starts()
    gpu_job(world, "v2", 4, "vision")
    assert world.preempted() == {"l1": "v2"}


def test_who_gives_nothing_back_leaves_what_is_guaranteed_of_a_model_and_of_any() -> None:
    world = World(node("a", gpus=8))
    teams(world, n12=gpus(3, "H100"), vision=gpus(4))
    for name in ("one", "two"):
        world.tell(Asked(ask(name, "gpu=1", "cpu=0.1", queue="teaching", order=len(name))))
    assert len(world.starts()) == 1


def test_a_drained_nodes_gpus_are_no_ones_guarantee() -> None:
    """With the node open again there is enough for the guarantee and for this."""
    world = World(
        node("a", gpus=8), node("b"), Queue("q", "q", guarantee=(("gpu", 2000),)), Queue("r", "r")
    )
    world.tell(NodeSet(node("a", gpus=8, open=False)))
    world.ask("job", "cpu=1", "memory=1GiB", "gpu=1", queue="r")
    world.plan()
    wait = world.planner.explain("job")
    assert wait is not None
    assert wait.reason.code is ReasonCode.NODES_CLOSED
    assert "guarantee" not in str(wait.reason)
    world.tell(NodeSet(node("a", gpus=8)))
    assert world.starts().keys() == {"job"}
