# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Nodes: the machines, and how much of them is in use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from madang.client._sync._base import Resource
from madang.schemas import Page
from madang.schemas.nodes import Node, NodeChange, NodeDetail


class Nodes(Resource):
    """`client.nodes`: machines with an agent, by name or id."""

    def list(
        self, *, name: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Node]:
        """One page of the nodes, by name; `name` narrows to a part of it."""
        params = {"name": name, "limit": limit, "cursor": cursor}
        return self._transport.call(Page[Node], "GET", "nodes", params=params)

    def iterate(self) -> Iterator[Node]:
        """All nodes, fetched page by page."""
        cursor = None
        while True:
            page = self.list(limit=200, cursor=cursor)
            for node in page.items:
                yield node
            if (cursor := page.next_cursor) is None:
                return

    def get(self, node: str) -> NodeDetail:
        """One node and what runs on it. Raises NotFound."""
        return self._transport.call(NodeDetail, "GET", _path(node))

    def change(self, node: str, **changes: Any) -> Node:
        """Change what `NodeChange` has (administrators), e.g. `change("a", pool="training",
        labels={"rack": "r1"})`."""
        body = asdict(NodeChange(**changes))
        return self._transport.call(Node, "PATCH", _path(node), json=body)

    def cordon(self, node: str) -> Node:
        """Place nothing new on a node (administrators); what runs goes on."""
        return self._transport.call(Node, "POST", f"{_path(node)}/cordon")

    def uncordon(self, node: str) -> Node:
        """Use a node again."""
        return self._transport.call(Node, "POST", f"{_path(node)}/uncordon")

    def drain(self, node: str) -> Node:
        """Place nothing new on a node and stop what runs there; it begins again elsewhere."""
        return self._transport.call(Node, "POST", f"{_path(node)}/drain")


def _path(node: str) -> str:
    return f"nodes/{quote(node, safe='')}"
