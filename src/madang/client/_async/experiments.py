"""Experiments, for reading; they are made with MLflow's client."""

from __future__ import annotations

from urllib.parse import quote

from madang.client._async._base import AsyncResource
from madang.schemas import Page
from madang.schemas.experiments import Experiment


class AsyncExperiments(AsyncResource):
    """`client.experiments`: collections of runs."""

    async def list(
        self, *, project: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Experiment]:
        """One page of the experiments that you see, newest first."""
        params = {"project": project or self._project, "limit": limit, "cursor": cursor}
        return await self._transport.call(Page[Experiment], "GET", "experiments", params=params)

    async def get(self, experiment: str, *, project: str | None = None) -> Experiment:
        """One experiment, by name or id. Raises NotFound."""
        return await self._transport.call(
            Experiment,
            "GET",
            f"experiments/{quote(experiment, safe='')}",
            params={"project": project or self._project},
        )
