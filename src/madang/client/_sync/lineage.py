# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Lineage: what was made from what."""

from __future__ import annotations

from madang.client._sync._base import Resource
from madang.schemas.lineage import LineageChain


class Lineage(Resource):
    """`client.lineage`: dataset version → job → run → model version → endpoint."""

    def get(
        self,
        *,
        endpoint: str | None = None,
        model_version: str | None = None,
        run: str | None = None,
        job: str | None = None,
        dataset_version: str | None = None,
        project: str | None = None,
    ) -> LineageChain:
        """The chain of one thing, in both directions; name exactly one.

        `endpoint` and `job` by name or id, `model_version` as digits/3 or digits@champion,
        `dataset_version` as digits@1. Raises NotFound, InvalidInput.
        """
        params = {
            "endpoint": endpoint,
            "model_version": model_version,
            "run": run,
            "job": job,
            "dataset_version": dataset_version,
            "project": project or self._project,
        }
        return self._transport.call(LineageChain, "GET", "lineage", params=params)
