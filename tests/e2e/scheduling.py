"""What the pages on the cluster and its queues show in the tests: a tree, windows, crowds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.ids import new_id
from madang.core.states import WorkloadState
from madang.server.cluster.tables import DeviceRow, NodeRow
from madang.server.identity.tables import ProjectRow
from madang.server.workloads.tables import (
    QueueRow,
    ReservationRow,
    ReservationWindowRow,
    WorkloadRow,
)
from tests.e2e.conftest import PortalServer
from tests.e2e.content import MANY, values_of

GIB = 2**30
ZONE = ZoneInfo("Asia/Seoul")
CROWDED_WEEK = "2027-01-04"
"""The Monday of a week with a thousand reservations."""


@dataclass
class World:
    """Ids of queues by name, and of a queue that only `outsider` may see."""

    queues: dict[str, str] = field(default_factory=dict)
    foreign: str = ""
    week: str = ""
    """The Monday of the week that the reservations of `vision` are in."""


def request(
    portal: PortalServer, person: str, method: str, path: str, body: Any = None
) -> dict[str, Any]:
    """Ask the API as somebody. Raises AssertionError with what was answered."""

    async def send() -> dict[str, Any]:
        async with portal.people.client(person) as client:
            answer = await client.request(method, f"/api/v1/{path}", json=body)
            assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
            found: dict[str, Any] = answer.json() if answer.content else {}
            return found

    found: dict[str, Any] = portal.run(send)
    return found


def make_world(portal: PortalServer) -> World:
    """A small tree in `vision`, two reservations, and a thousand of each elsewhere."""
    world = World()
    for name, body in (
        ("research", {"platform": True, "weight": 3, "guarantee": {"gpu": 2}}),
        ("production", {"platform": True, "limit": {"gpu": 3}}),
        ("train", {"project": "vision", "parent": "research", "weight": 2,
                   "guarantee": {"gpu": 1}}),
        ("notebooks", {"project": "vision", "parent": "research", "ordering": "fifo"}),
        ("crowded", {"project": "vision", "parent": "production", "open": False}),
        ("quiet", {"project": "vision", "parent": "production", "weight": 4}),
    ):  # fmt: skip
        made = request(portal, "admin", "POST", "queues", {"name": name, **body})
        world.queues[name] = made["id"]
    body = {"name": "secret-queue", "project": "other"}
    world.foreign = request(portal, "admin", "POST", "queues", body)["id"]
    world.week = _reserve(portal)
    portal.run(lambda: _crowd(portal, world))
    return world


def _reserve(portal: PortalServer) -> str:
    """Two windows of `vision` in the week after next, in the visitor's zone."""
    now = portal.people.context.clock.now().astimezone(ZONE)
    monday = (now + timedelta(days=14 - now.weekday())).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    for name, day, hour, hours in (("demo-day", 1, 9, 4), ("course", 3, 13, 2)):
        start = monday + timedelta(days=day, hours=hour)
        body = {
            "name": name, "project": "vision", "start": start.isoformat(),
            "duration_s": hours * 3600, "resources": {"gpu": 2, "cpu": 4, "memory": "16GiB"},
        }  # fmt: skip
        request(portal, "maintainer", "POST", "reservations", body)
    return monday.date().isoformat()


async def _crowd(portal: PortalServer, world: World) -> None:
    """A thousand queues and reservations in `full`; a thousand jobs that wait in `crowded`."""
    context = portal.people.context
    async with context.db.transaction() as session:
        project = await session.scalar(select(ProjectRow.id).where(ProjectRow.name == "full"))
        queue = values_of(await session.get_one(QueueRow, world.queues["quiet"]))
        await session.execute(insert(QueueRow), [
            queue | {"id": new_id("queue"), "name": f"queue-{number:04d}", "project_id": project,
                     "parent_id": world.queues["research"], "weight": 0.01}
            for number in range(MANY)
        ])  # fmt: skip
        waiting = await session.get_one(WorkloadRow, portal.content.jobs["sweep-learning-rate"])
        job = values_of(waiting) | {"queue_id": world.queues["crowded"]}
        await session.execute(insert(WorkloadRow), [
            job | {"id": new_id("job"), "name": f"crowd-{number:04d}", "priority": MANY - number,
                   "kind": "session", "state": WorkloadState.PENDING}
            for number in range(MANY)
        ])  # fmt: skip
        await _crowd_week(session, project)


async def _crowd_week(session: AsyncSession, project: str | None) -> None:
    model = values_of((await session.scalars(select(ReservationRow).limit(1))).one())
    monday = datetime.fromisoformat(CROWDED_WEEK).replace(tzinfo=ZONE)
    rows, windows = [], []
    for number in range(MANY):
        start = monday + timedelta(minutes=9 * number)
        one = {"id": new_id("res"), "start": start, "end": start + timedelta(minutes=8)}
        rows.append(model | one | {"name": f"window-{number:04d}", "project_id": project})
        windows.append({
            "reservation_id": one["id"], "start": one["start"], "end": one["end"],
            "used_at": None, "returned_at": None,
        })  # fmt: skip
    await session.execute(insert(ReservationRow), rows)
    await session.execute(insert(ReservationWindowRow), windows)


@contextmanager
def thousand_nodes(portal: PortalServer) -> Iterator[None]:
    """Nodes that take nothing, with eight devices each, gone again afterwards."""
    ids = [new_id("node") for _ in range(MANY)]

    async def add() -> None:
        async with portal.people.context.db.transaction() as session:
            device_row = (await session.scalars(select(DeviceRow).limit(1))).one()
            node = await session.get_one(NodeRow, device_row.node_id)
            device = values_of(device_row)
            now = portal.people.context.clock.now()
            expires = await session.scalar(select(func.max(NodeRow.lease_expires_at))) or 0
            values = values_of(node) | {
                "cordoned_at": now, "lease_expires_at": expires + 10**12, "pool": "large",
            }  # fmt: skip
            await session.execute(insert(NodeRow), [
                values | {"id": key, "name": f"large-{number:04d}",
                          "labels": {"rack": f"r{number // 8}"}}
                for number, key in enumerate(ids)
            ])  # fmt: skip
            await session.execute(insert(DeviceRow), [
                device | {"node_id": key, "index": index, "link_group": index // 4}
                for key in ids for index in range(8)
            ])  # fmt: skip

    async def remove() -> None:
        async with portal.people.context.db.transaction() as session:
            await session.execute(delete(DeviceRow).where(DeviceRow.node_id.in_(ids)))
            await session.execute(delete(NodeRow).where(NodeRow.id.in_(ids)))

    portal.run(add)
    try:
        yield
    finally:
        portal.run(remove)
