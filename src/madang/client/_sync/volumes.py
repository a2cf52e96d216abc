# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Volumes: what folders live on."""

from __future__ import annotations

from madang.client._sync._base import Resource
from madang.schemas import Page
from madang.schemas.folders import Volume


class Volumes(Resource):
    """`client.volumes`: storage, how full it is and what it can do."""

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Volume]:
        """One page of the volumes that you see, newest first."""
        params = {"limit": limit, "cursor": cursor}
        return self._transport.call(Page[Volume], "GET", "volumes", params=params)
