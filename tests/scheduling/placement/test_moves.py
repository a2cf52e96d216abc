"""Making room by moving what stands in the way."""

from __future__ import annotations

from dataclasses import replace

from madang.core.resources import Resources
from madang.scheduling.model import ANYWHERE, Device, Node, Policy
from madang.scheduling.placement import Cluster, Movable, Room, make_room
from madang.scheduling.placement.moves import MovableOn

GIB = 2**30


def cluster_of(*gpus: int, cpus: int = 8) -> Cluster:
    cluster = Cluster(Policy(placement="first-fit"))
    for number, count in enumerate(gpus):
        devices = tuple(Device("gpu", i, "H100", 80 * GIB) for i in range(count))
        cluster.set_node(Node(f"n{number}", f"n{number}", cpus * 1000, 64 * GIB, devices))
    return cluster


def need(milli: int, cpus: int = 1) -> Resources:
    return Resources(cpus * 1000, GIB, "gpu" if milli else "", milli)


def run(cluster: Cluster, node_id: str, *needs: Resources) -> list[Movable]:
    made = []
    for number, each in enumerate(needs):
        devices = cluster.fit(node_id, each)
        assert devices is not None
        cluster.take(node_id, each, devices)
        made.append(Movable(f"{node_id}/{number}", node_id, each, devices))
    return made


def movable_of(running: dict[str, list[Movable]]) -> MovableOn:
    return lambda node_id: running.get(node_id, [])


def carry_out(cluster: Cluster, wanted: Resources, room: Room) -> None:
    for move in room.moves:
        cluster.give(move.movable.node_id, move.movable.need, move.movable.devices)
    cluster.take(room.node_id, wanted, room.devices)
    for move in room.moves:
        cluster.take(move.node_id, move.movable.need, move.devices)
    free = cluster.free().space
    assert free.cpu_milli.min() >= 0
    assert free.device_milli.min() >= 0


def test_the_smallest_thing_in_the_way_goes_to_a_gap() -> None:
    cluster = cluster_of(1, 1)
    running = {"n0": run(cluster, "n0", need(600)), "n1": run(cluster, "n1", need(300))}
    before = cluster.free().space.device_milli.copy()
    room = make_room(need(1000), ANYWHERE, cluster, movable_of(running), 1)
    assert room is not None
    assert (cluster.free().space.device_milli == before).all()
    assert (room.node_id, [move.movable.key for move in room.moves]) == ("n1", ["n1/0"])
    assert room.moves[0].node_id == "n0"
    carry_out(cluster, need(1000), room)


def test_no_more_is_moved_than_allowed_and_only_what_may_be() -> None:
    cluster = cluster_of(1, 1, 1)
    running = {"n0": run(cluster, "n0", need(300), need(200)), "n1": run(cluster, "n1", need(700))}
    run(cluster, "n2", need(700))
    assert make_room(need(1000), ANYWHERE, cluster, movable_of(running), 1) is None
    room = make_room(need(1000), ANYWHERE, cluster, movable_of(running), 2)
    assert room is not None
    assert len(room.moves) == 2
    carry_out(cluster, need(1000), room)
    assert make_room(need(1000), ANYWHERE, cluster, movable_of({}), 2) is None


def test_cpus_in_the_way() -> None:
    cluster = cluster_of(1, 0)
    running = {"n0": run(cluster, "n0", need(0, 3), need(0, 5))}
    room = make_room(need(1000, 2), ANYWHERE, cluster, movable_of(running), 1)
    assert room is not None
    assert [move.node_id for move in room.moves] == ["n1"]
    carry_out(cluster, need(1000, 2), room)


def test_several_devices_at_once() -> None:
    cluster = cluster_of(2, 2)
    running = {"n0": run(cluster, "n0", need(300)), "n1": run(cluster, "n1", need(600))}
    room = make_room(need(2000), ANYWHERE, cluster, movable_of(running), 1)
    assert room is not None
    assert room.node_id == "n0"
    carry_out(cluster, need(2000), room)


def test_what_finds_no_gap_has_another_move() -> None:
    cluster = cluster_of(1, 1, 1)
    running = {"n0": run(cluster, "n0", need(600)), "n1": run(cluster, "n1", need(300))}
    run(cluster, "n1", need(200))
    run(cluster, "n2", need(700))
    assert make_room(need(1000), ANYWHERE, cluster, movable_of(running), 1) is None
    room = make_room(need(1000), ANYWHERE, cluster, movable_of(running), 2)
    assert room is not None
    goes = {move.movable.key: move.node_id for move in room.moves}
    assert goes == {"n0/0": "n1", "n1/0": "n2"}
    carry_out(cluster, need(1000), room)


def test_two_change_places_so_that_gaps_join() -> None:
    cluster = cluster_of(1, 1)
    running = {"n0": run(cluster, "n0", need(600)), "n1": run(cluster, "n1", need(300))}
    run(cluster, "n1", need(400))
    room = make_room(need(700), ANYWHERE, cluster, movable_of(running), 2)
    assert room is not None
    assert {move.movable.key: move.node_id for move in room.moves} == {"n0/0": "n1", "n1/0": "n0"}
    carry_out(cluster, need(700), room)


def test_no_room_is_made_on_closed_nodes_and_least_work_is_lost() -> None:
    cluster = cluster_of(1, 1, 1)
    old, new = (run(cluster, name, need(300))[0] for name in ("n0", "n1"))
    run(cluster, "n2", need(700))
    running = {"n0": [replace(old, lost_s=900.0)], "n1": [replace(new, lost_s=30.0)]}
    wanted = need(1000)
    room = make_room(wanted, ANYWHERE, cluster, movable_of(running), 1)
    assert room is not None
    assert room.node_id == "n1"
    room = make_room(wanted, ANYWHERE, cluster, movable_of(running), 1, closed={"n1"})
    assert room is not None
    assert room.node_id == "n0"
