"""Nodes: the machines, and how much of them is in use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from madang.client._async._base import AsyncResource
from madang.schemas import Page
from madang.schemas.nodes import Node, NodeChange, NodeDetail


class AsyncNodes(AsyncResource):
    """`client.nodes`: machines with an agent, by name or id."""

    async def list(
        self, *, name: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Node]:
        """One page of the nodes, by name; `name` narrows to a part of it."""
        params = {"name": name, "limit": limit, "cursor": cursor}
        return await self._transport.call(Page[Node], "GET", "nodes", params=params)

    async def iterate(self) -> AsyncIterator[Node]:
        """All nodes, fetched page by page."""
        cursor = None
        while True:
            page = await self.list(limit=200, cursor=cursor)
            for node in page.items:
                yield node
            if (cursor := page.next_cursor) is None:
                return

    async def get(self, node: str) -> NodeDetail:
        """One node and what runs on it. Raises NotFound."""
        return await self._transport.call(NodeDetail, "GET", _path(node))

    async def change(self, node: str, **changes: Any) -> Node:
        """Change what `NodeChange` has (administrators), e.g. `change("a", pool="training",
        labels={"rack": "r1"})`."""
        body = asdict(NodeChange(**changes))
        return await self._transport.call(Node, "PATCH", _path(node), json=body)

    async def cordon(self, node: str) -> Node:
        """Place nothing new on a node (administrators); what runs goes on."""
        return await self._transport.call(Node, "POST", f"{_path(node)}/cordon")

    async def uncordon(self, node: str) -> Node:
        """Use a node again."""
        return await self._transport.call(Node, "POST", f"{_path(node)}/uncordon")

    async def drain(self, node: str) -> Node:
        """Place nothing new on a node and stop what runs there; it begins again elsewhere."""
        return await self._transport.call(Node, "POST", f"{_path(node)}/drain")


def _path(node: str) -> str:
    return f"nodes/{quote(node, safe='')}"
