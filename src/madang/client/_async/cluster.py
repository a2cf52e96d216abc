"""The cluster as a whole: who holds what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from madang.client._async._base import AsyncResource
from madang.schemas import Page
from madang.schemas.scheduling import ClusterNode, ClusterSummary


class AsyncCluster(AsyncResource):
    """`client.cluster`: every node and device with its holders."""

    async def list(
        self,
        *,
        pool: str | None = None,
        state: str | None = None,
        name: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ClusterNode]:
        """One page of the nodes with every device and its holders, by name."""
        params = {"pool": pool, "state": state, "name": name, "limit": limit, "cursor": cursor}
        return await self._transport.call(Page[ClusterNode], "GET", "cluster", params=params)

    async def iterate(self, **filters: Any) -> AsyncIterator[ClusterNode]:
        """All that `list` would show with these filters, fetched page by page."""
        cursor = None
        while True:
            page = await self.list(**filters, limit=200, cursor=cursor)
            for node in page.items:
                yield node
            if (cursor := page.next_cursor) is None:
                return

    async def summary(self) -> ClusterSummary:
        """The cluster in a few numbers."""
        return await self._transport.call(ClusterSummary, "GET", "cluster/summary")
