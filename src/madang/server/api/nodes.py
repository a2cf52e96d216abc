"""Routes of nodes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from madang.core.permissions import Permission
from madang.core.resources import MILLI
from madang.schemas import Page
from madang.schemas.nodes import Node, NodeChange, NodeDetail, NodeDevice, NodeTask
from madang.server.api.deps import Actor, Context, FreePagingQuery, page_of, permit
from madang.server.cluster import nodes
from madang.server.cluster.nodes import NodeUse, TaskOnNode, labels_of, state_of
from madang.server.identity.principal import Principal

router = APIRouter(prefix="/nodes", tags=["nodes"])


@router.get("", dependencies=[permit(Permission.NODES_READ)])
async def list_nodes(
    context: Context,
    actor: Actor,
    paging: FreePagingQuery,
    name: Annotated[str | None, Query(description="A part of the name.")] = None,
) -> Page[Node]:
    """Nodes with their use, by name."""
    uses = await nodes.list_nodes(
        context, actor, limit=paging.limit, cursor=paging.cursor, name=name
    )
    return page_of(uses, paging, _node, lambda use: use.node.name)


@router.get("/{node}", dependencies=[permit(Permission.NODES_READ)])
async def get_node(node: str, context: Context, actor: Actor) -> NodeDetail:
    """One node, by name or id, and what runs on it."""
    use, tasks = await nodes.get_node(context, actor, node)
    return NodeDetail(_node(use), [_task(task, actor) for task in tasks])


@router.patch("/{node}", dependencies=[permit(Permission.NODES_WRITE)])
async def change_node(node: str, body: NodeChange, context: Context, actor: Actor) -> Node:
    """Say to which pool a node belongs, what it is labelled with, what else it has."""
    return _node(await nodes.change_node(context, actor, node, body))


@router.post("/{node}/cordon", dependencies=[permit(Permission.NODES_WRITE)])
async def cordon_node(node: str, context: Context, actor: Actor) -> Node:
    """Place nothing new on a node; what runs goes on."""
    return _node(await nodes.cordon_node(context, actor, node, closed=True))


@router.post("/{node}/uncordon", dependencies=[permit(Permission.NODES_WRITE)])
async def uncordon_node(node: str, context: Context, actor: Actor) -> Node:
    """Use a node again."""
    return _node(await nodes.cordon_node(context, actor, node, closed=False))


@router.post("/{node}/drain", dependencies=[permit(Permission.NODES_WRITE)])
async def drain_node(node: str, context: Context, actor: Actor) -> Node:
    """Place nothing new on a node and stop what runs there; it begins again elsewhere."""
    return _node(await nodes.drain_node(context, actor, node))


def _node(use: NodeUse) -> Node:
    row = use.node
    devices = [
        NodeDevice(
            index=device.index,
            kind=device.kind,
            model=device.model,
            memory_bytes=device.memory_bytes,
            simulated=device.simulated,
            used=use.device_milli[device.kind, device.index] / MILLI,
            used_memory_bytes=use.device_memory[device.kind, device.index],
            profile=device.profile,
            numa_node=device.numa_node,
            link_group=device.link_group,
            sharing="hardware" if device.profile else "cooperative",
        )
        for device in use.devices
    ]
    return Node(
        id=row.id,
        name=row.name,
        state=state_of(row),
        hostname=row.inventory["hostname"],
        cpu=row.cpu_milli / MILLI,
        cpu_used=use.cpu_milli / MILLI,
        memory_bytes=row.memory_bytes,
        memory_used_bytes=use.memory_bytes,
        devices=devices,
        tasks=use.tasks,
        sandbox=row.inventory["sandbox"],
        limits=row.inventory["limits"],
        identity=row.inventory["identity"],
        labels=labels_of(row),
        seen_at=row.seen_at,
        created_at=row.created_at,
        pool=row.pool,
        counted=row.counted,
    )


def _task(found: TaskOnNode, actor: Principal) -> NodeTask:
    """What belongs to a project that she does not see is shown as use, without its name."""
    shown = actor.sees(found.workload.project_id)
    return NodeTask(
        task_id=found.task.id if shown else "",
        workload_id=found.workload.id if shown else "",
        name=found.workload.name if shown else "",
        user=found.user if shown else "",
        state=found.task.state,
        cpu=found.allocation.cpu_milli / MILLI,
        memory_bytes=found.allocation.memory_bytes,
    )
