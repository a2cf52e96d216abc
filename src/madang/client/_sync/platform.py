# Generated from ../_async by scripts/generate_sync_client: change it there.
"""The platform as a whole."""

from __future__ import annotations

from madang.client._sync._base import Resource
from madang.schemas.platform import Draining, Health


class Platform(Resource):
    """`client.platform`: whether it answers, and stopping everything."""

    def health(self) -> Health:
        """That it answers, and its version. Raises ConnectionFailed."""
        return self._transport.call(Health, "GET", "health")

    def drain(self) -> Draining:
        """Cancel all that runs or waits and take no new work (administrators)."""
        return self._transport.call(Draining, "POST", "platform/drain")
