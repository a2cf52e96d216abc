"""Volumes: what folders live on."""

from __future__ import annotations

from madang.client._async._base import AsyncResource
from madang.schemas import Page
from madang.schemas.folders import Volume


class AsyncVolumes(AsyncResource):
    """`client.volumes`: storage, how full it is and what it can do."""

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Volume]:
        """One page of the volumes that you see, newest first."""
        params = {"limit": limit, "cursor": cursor}
        return await self._transport.call(Page[Volume], "GET", "volumes", params=params)
