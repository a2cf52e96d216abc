"""Nodes as the planner is told of them, from their rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.scheduling import Device, Node
from madang.server.cluster.tables import DeviceRow, NodeRow


async def read_nodes(session: AsyncSession, node_ids: Collection[str] | None = None) -> list[Node]:
    """Those of these ids that there are; all when None."""
    nodes, devices = select(NodeRow), select(DeviceRow)
    if node_ids is not None:
        nodes = nodes.where(NodeRow.id.in_(node_ids))
        devices = devices.where(DeviceRow.node_id.in_(node_ids))
    # Nodes first: one that registers meanwhile is then not seen, instead of without devices.
    rows = list(await session.scalars(nodes))
    of_node: dict[str, list[DeviceRow]] = defaultdict(list)
    for device in await session.scalars(devices):
        of_node[device.node_id].append(device)
    return [_node(row, of_node[row.id]) for row in rows]


def _node(row: NodeRow, devices: Iterable[DeviceRow]) -> Node:
    labels = {**row.inventory.get("labels", {}), **row.labels}
    return Node(
        id=row.id,
        name=row.name,
        cpu_milli=row.cpu_milli,
        memory_bytes=row.memory_bytes,
        devices=tuple(
            sorted(map(_device, devices), key=lambda device: (device.kind, device.index))
        ),
        open=row.lost_at is None and row.cordoned_at is None,
        pool=row.pool,
        labels=tuple(sorted(labels.items())),
        counted=tuple(sorted(row.counted.items())),
    )


def _device(row: DeviceRow) -> Device:
    return Device(
        kind=row.kind,
        index=row.index,
        model=row.model,
        memory_bytes=row.memory_bytes,
        profile=row.profile,
        numa_node=row.numa_node,
        link_group=row.link_group,
    )
