# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Limits: what a user or a project may have at once."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from madang.client._sync._base import Resource
from madang.schemas import Page
from madang.schemas.limits import Limit, LimitSet


class Limits(Resource):
    """`client.limits`: a subject is `user:NAME`, `project:NAME`, `user:*` or `project:*`."""

    def list(self) -> Page[Limit]:
        """All limits (administrators); those that hold for you."""
        return self._transport.call(Page[Limit], "GET", "limits")

    def set(self, subject: str, **bounds: Any) -> Limit:
        """Set what `LimitSet` has, e.g. `set("user:mina", running=4, amounts={"gpu": 8})`; what
        is left out is not bounded, and without any bound the limit is removed."""
        body = asdict(LimitSet(subject, **bounds))
        return self._transport.call(Limit, "PUT", "limits", json=body)
