"""Refusing at submission what could never start, with the nearest that could."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput
from madang.core.states import WorkloadKind
from madang.scheduling.model import Group
from madang.scheduling.placement import Cluster
from madang.scheduling.possible import Refusal, refuse
from madang.server.context import ServerContext
from madang.server.workloads.node_rows import read_nodes
from madang.server.workloads.spec import WorkloadSpec

_PART = "workloads.empty_cluster"


async def check_possible(
    context: ServerContext, session: AsyncSession, spec: WorkloadSpec
) -> None:
    """Raises InvalidInput when all nodes, were they free, could not hold it: `details` has the
    value and what would be possible. Nothing is refused while there are no nodes at all, nor to
    who wants to wait for them."""
    if spec.wait_for_nodes:
        return
    empty = context.parts.get(_PART)
    if empty is None:
        empty = context.parts[_PART] = _EmptyCluster(context)
    cluster = await empty.read(session)
    for groups in starting_together(spec):
        if (refusal := refuse(groups, cluster)) is not None:
            raise _error(refusal, spec.kind)


def starting_together(spec: WorkloadSpec) -> list[tuple[Group, ...]]:
    """Each replica of a service starts by itself; all of anything else start at once."""
    if spec.kind is WorkloadKind.SERVICE:
        return [(Group(role.name, 1, 1, role.resources, where=role.where),) for role in spec.roles]
    return [
        tuple(
            Group(role.name, role.replicas_min, role.replicas_max, role.resources, 0, role.where)
            for role in spec.roles
        )
    ]


def _error(refusal: Refusal, kind: WorkloadKind) -> InvalidInput:
    wait = " Or wait for such nodes: --wait-for-nodes." if kind is WorkloadKind.JOB else ""
    return InvalidInput(
        refusal.message,
        field=refusal.field,
        hint=f"{refusal.hint}{wait}",
        details={"value": refusal.value, "possible": refusal.possible},
    )


class _EmptyCluster:
    """All nodes as if nothing ran on them, read again as the bus names them."""

    def __init__(self, context: ServerContext) -> None:
        self._watching = ExitStack()
        self._changes = self._watching.enter_context(context.bus.subscribe("node:"))
        self._cluster: Cluster | None = None
        self._turn = asyncio.Lock()

    async def aclose(self) -> None:
        self._watching.close()

    async def read(self, session: AsyncSession) -> Cluster:
        async with self._turn:
            topics = await self._changes.wait(0)
            if self._cluster is None:
                cluster = Cluster()
                await self._read_nodes(cluster, session, None)
                self._cluster = cluster
                return cluster
            # `node:ID` is about what a node is; `node:ID:orders` and the like are not.
            changed = {topic.removeprefix("node:") for topic in topics if topic.count(":") == 1}
            if changed:
                await self._read_nodes(self._cluster, session, changed)
            return self._cluster

    @staticmethod
    async def _read_nodes(
        cluster: Cluster, session: AsyncSession, node_ids: Collection[str] | None
    ) -> None:
        nodes = await read_nodes(session, node_ids)
        for gone in set(node_ids or ()).intersection(cluster.node_ids) - {n.id for n in nodes}:
            cluster.remove_node(gone)
        for node in nodes:
            cluster.set_node(replace(node, open=True))
