"""Datasets, their versions and views."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar
from urllib.parse import quote

from madang.client._async._base import AsyncResource
from madang.schemas import Page
from madang.schemas.datasets import Dataset, DatasetItem, DatasetVersion, DatasetView
from madang.schemas.files import to_wire

T = TypeVar("T")


class AsyncDatasets(AsyncResource):
    """`client.datasets`: what training reads. A dataset is meant by its name (in `project`, else
    the client's), `PROJECT/NAME` or id."""

    async def list(
        self, *, project: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Dataset]:
        """One page of the datasets that you see, newest first."""
        params = {"project": project or self._project, "limit": limit, "cursor": cursor}
        return await self._transport.call(Page[Dataset], "GET", "datasets", params=params)

    async def iterate(self, *, project: str | None = None) -> AsyncIterator[Dataset]:
        """All datasets that you see, fetched page by page."""
        cursor = None
        while True:
            page = await self.list(project=project, limit=200, cursor=cursor)
            for dataset in page.items:
                yield dataset
            if (cursor := page.next_cursor) is None:
                return

    async def create(
        self,
        name: str,
        folder: str,
        path: str = "",
        *,
        save: bool = True,
        project: str | None = None,
        description: str = "",
    ) -> Dataset:
        """Name the files below `path` in a folder, and (`save`) save version 1 of them.

        The same again changes nothing but saves a new version if files have changed. Raises
        Conflict when the name stands for other files.
        """
        body = {
            "name": name,
            "folder": folder,
            "path": to_wire(path),
            "project": project or self._project,
            "description": description,
            "save": save,
        }
        return await self._transport.call(Dataset, "POST", "datasets", json=body)

    async def get(self, dataset: str, *, project: str | None = None) -> Dataset:
        """One dataset with its views and newest version. Raises NotFound."""
        return await self._call(Dataset, "GET", dataset, project)

    async def create_version(self, dataset: str, *, project: str | None = None) -> DatasetVersion:
        """Save what its files are now; the same content again is the same version."""
        return await self._call(DatasetVersion, "POST", dataset, project, "versions")

    async def versions(
        self,
        dataset: str,
        *,
        project: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[DatasetVersion]:
        """One page of its versions, newest first."""
        params = {"limit": limit, "cursor": cursor}
        return await self._call(
            Page[DatasetVersion], "GET", dataset, project, "versions", params=params
        )

    async def version(
        self, dataset: str, number: int | None = None, *, project: str | None = None
    ) -> DatasetVersion:
        """One version with its report, the newest without a `number`."""
        which = "latest" if number is None else str(number)
        return await self._call(DatasetVersion, "GET", dataset, project, f"versions/{which}")

    async def items(
        self,
        dataset: str,
        number: int | None = None,
        *,
        view: str | None = None,
        project: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[DatasetItem]:
        """One page of the files of a version, or of a view of it."""
        which = "latest" if number is None else str(number)
        params = {"view": view, "limit": limit, "cursor": cursor}
        return await self._call(
            Page[DatasetItem], "GET", dataset, project, f"versions/{which}/items", params=params
        )

    async def hold_out(
        self,
        dataset: str,
        fraction: float = 0.2,
        *,
        name: str = "test",
        rest: str = "train",
        seed: int = 0,
        project: str | None = None,
    ) -> Page[DatasetView]:
        """Split it in two views, for all versions: an item stays on its side as data arrives.

        The same again changes nothing. Raises Conflict when a view of that name is another part.
        """
        body = {"name": name, "fraction": fraction, "rest": rest, "seed": seed}
        return await self._call(Page[DatasetView], "POST", dataset, project, "views", json=body)

    async def _call(
        self,
        target: type[T],
        method: str,
        dataset: str,
        project: str | None,
        below: str = "",
        *,
        params: dict[str, Any] | None = None,
        json: Any = None,
    ) -> T:
        if "/" in dataset:
            project, _, dataset = dataset.partition("/")
        path = f"datasets/{quote(dataset, safe='')}" + (f"/{below}" if below else "")
        where = {"project": project or self._project}
        return await self._transport.call(
            target, method, path, params=where | (params or {}), json=json
        )
