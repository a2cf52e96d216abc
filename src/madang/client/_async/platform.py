"""The platform as a whole."""

from __future__ import annotations

from madang.client._async._base import AsyncResource
from madang.schemas.platform import Draining, Health


class AsyncPlatform(AsyncResource):
    """`client.platform`: whether it answers, and stopping everything."""

    async def health(self) -> Health:
        """That it answers, and its version. Raises ConnectionFailed."""
        return await self._transport.call(Health, "GET", "health")

    async def drain(self) -> Draining:
        """Cancel all that runs or waits and take no new work (administrators)."""
        return await self._transport.call(Draining, "POST", "platform/drain")
