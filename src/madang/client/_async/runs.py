"""Runs, for reading; they are logged with MLflow's client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

from madang.client._async._base import AsyncResource
from madang.schemas import Page
from madang.schemas.runs import MetricValue, Run


class AsyncRuns(AsyncResource):
    """`client.runs`: what was tried, and what came of it."""

    async def list(
        self,
        *,
        project: str | None = None,
        experiment: str | None = None,
        job: str | None = None,
        status: str | None = None,
        filter: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Run]:
        """One page of the runs that you see, the one that started last first.

        `experiment` is a name or id, `job` the id of the job that logged them, `filter` in
        MLflow's language, e.g. `metrics.loss < 0.5 and params.model = 'cnn'`.
        """
        params = {
            "project": project or self._project,
            "experiment": experiment,
            "job": job,
            "status": status,
            "filter": filter,
            "limit": limit,
            "cursor": cursor,
        }
        return await self._transport.call(Page[Run], "GET", "runs", params=params)

    async def get(self, run: str) -> Run:
        """One run, by its id. Raises NotFound."""
        return await self._transport.call(Run, "GET", f"runs/{quote(run, safe='')}")

    async def metric_history(self, run: str, metric: str) -> AsyncIterator[MetricValue]:
        """All values of a metric, in the order of their times."""
        cursor = None
        path = f"runs/{quote(run, safe='')}/metrics/{quote(metric, safe='')}"
        while True:
            params = {"limit": 1000, "cursor": cursor}
            page = await self._transport.call(Page[MetricValue], "GET", path, params=params)
            for value in page.items:
                yield value
            if (cursor := page.next_cursor) is None:
                return
