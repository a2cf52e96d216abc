"""Routes of the cluster as a whole: who holds what."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Query

from madang.core.permissions import Permission
from madang.core.resources import MILLI
from madang.schemas import Page
from madang.schemas.nodes import NodeState
from madang.schemas.scheduling import (
    ClusterDevice,
    ClusterNode,
    ClusterSummary,
    Hold,
    ModelUse,
)
from madang.server.api.deps import Actor, Context, FreePagingQuery, page_of, permit
from madang.server.cluster.nodes import NodeUse, labels_of, state_of
from madang.server.cluster.tables import DeviceRow
from madang.server.identity.principal import Principal
from madang.server.workloads import cluster_view
from madang.server.workloads.cluster_view import Holder, View

router = APIRouter(prefix="/cluster", tags=["scheduling"])


@router.get("", dependencies=[permit(Permission.SCHEDULING_READ)])
async def view_cluster(
    context: Context,
    actor: Actor,
    paging: FreePagingQuery,
    pool: Annotated[str | None, Query(description="Only nodes of this pool.")] = None,
    state: NodeState | None = None,
    name: Annotated[str | None, Query(description="A part of the name.")] = None,
) -> Page[ClusterNode]:
    """Every node and device with who holds which share of it, by name."""
    view = await cluster_view.view_cluster(
        context, actor, limit=paging.limit, cursor=paging.cursor, pool=pool, state=state, name=name
    )
    return page_of(
        view.uses, paging, lambda use: _node(view, use, actor), lambda use: use.node.name
    )


@router.get("/summary", dependencies=[permit(Permission.SCHEDULING_READ)])
async def sum_up_cluster(context: Context, actor: Actor) -> ClusterSummary:
    """Nodes by state, devices by model: what there is, what is held, what is free."""
    totals = await cluster_view.sum_up(context, actor)
    uses = totals.view.uses
    return ClusterSummary(
        nodes=dict(cluster_view.node_states(uses)),
        pools=sorted({use.node.pool for use in uses} - {""}),
        models=_models(totals.view),
        cpu=sum(use.node.cpu_milli for use in uses) / MILLI,
        cpu_used=sum(use.cpu_milli for use in uses) / MILLI,
        memory_bytes=sum(use.node.memory_bytes for use in uses),
        memory_used_bytes=sum(use.memory_bytes for use in uses),
        waiting=totals.waiting,
        running=totals.running,
    )


def _node(view: View, use: NodeUse, actor: Principal) -> ClusterNode:
    return ClusterNode(
        id=use.node.id,
        name=use.node.name,
        state=state_of(use.node),
        pool=use.node.pool,
        labels=labels_of(use.node),
        cpu=use.node.cpu_milli / MILLI,
        cpu_used=use.cpu_milli / MILLI,
        memory_bytes=use.node.memory_bytes,
        memory_used_bytes=use.memory_bytes,
        tasks=use.tasks,
        devices=[_device(view, use, device, actor) for device in use.devices],
    )


def _device(view: View, use: NodeUse, device: DeviceRow, actor: Principal) -> ClusterDevice:
    holders = view.holders.get((use.node.id, device.kind, device.index), [])
    return ClusterDevice(
        index=device.index,
        kind=device.kind,
        model=device.model,
        profile=device.profile,
        memory_bytes=device.memory_bytes,
        numa_node=device.numa_node,
        link_group=device.link_group,
        simulated=device.simulated,
        used=use.device_milli[device.kind, device.index] / MILLI,
        used_memory_bytes=use.device_memory[device.kind, device.index],
        fragment=view.is_fragment(use, device),
        holds=[_hold(holder, actor) for holder in holders],
    )


def _hold(holder: Holder, actor: Principal) -> Hold:
    """Of what belongs to a project that she does not see she learns who has it, not what it is."""
    shown = actor.sees(holder.allocation.project_id)
    return Hold(
        share=holder.milli / MILLI,
        memory_bytes=holder.memory_bytes,
        since=holder.allocation.since,
        user=holder.user,
        mine=holder.allocation.user_id == actor.user_id,
        kind=holder.kind if shown else "",
        workload_id=holder.allocation.workload_id if shown else "",
        name=holder.workload if shown else "",
        project=holder.project if shown else "",
    )


def _models(view: View) -> list[ModelUse]:
    found: dict[tuple[str, str, str, bool], list[tuple[NodeUse, DeviceRow]]] = defaultdict(list)
    for use in view.uses:
        for device in use.devices:
            key = (device.kind, device.model, device.profile, device.simulated)
            found[key].append((use, device))
    models = []
    for (kind, model, profile, simulated), devices in sorted(found.items()):
        used = [use.device_milli[device.kind, device.index] for use, device in devices]
        ready = [state_of(use.node) is NodeState.READY for use, _ in devices]
        small = [view.is_fragment(use, device) for use, device in devices]
        free = [(MILLI - held) * there for held, there in zip(used, ready, strict=True)]
        models.append(
            ModelUse(
                kind=kind,
                model=model,
                profile=profile,
                simulated=simulated,
                total=len(devices),
                used=sum(used) / MILLI,
                free=sum(free) / MILLI,
                fragment=sum(f * s for f, s in zip(free, small, strict=True)) / MILLI,
            )
        )
    return models
