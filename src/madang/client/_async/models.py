"""Registered models and their versions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

from madang.client._async._base import AsyncResource
from madang.schemas import Page
from madang.schemas.models import Model, ModelVersion


class AsyncModels(AsyncResource):
    """`client.models`: names under which trained models are kept, with numbered versions."""

    async def list(
        self, *, project: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Model]:
        """One page of the models that you see, newest first."""
        params = {"project": project or self._project, "limit": limit, "cursor": cursor}
        return await self._transport.call(Page[Model], "GET", "models", params=params)

    async def iterate(self, *, project: str | None = None) -> AsyncIterator[Model]:
        """All models that you see, fetched page by page."""
        cursor = None
        while True:
            page = await self.list(project=project, limit=200, cursor=cursor)
            for model in page.items:
                yield model
            if (cursor := page.next_cursor) is None:
                return

    async def get(self, model: str, *, project: str | None = None) -> Model:
        """One model, by name or id. Raises NotFound."""
        return await self._transport.call(
            Model, "GET", f"models/{quote(model, safe='')}", params=self._in(project)
        )

    async def update(
        self,
        model: str,
        *,
        name: str | None = None,
        description: str | None = None,
        project: str | None = None,
    ) -> Model:
        """Rename or describe a model. Raises Conflict when the name is taken."""
        body = {"name": name, "description": description}
        return await self._transport.call(
            Model, "PATCH", f"models/{quote(model, safe='')}", params=self._in(project), json=body
        )

    async def delete(self, model: str, *, project: str | None = None) -> None:
        """Forget a model with all versions. Raises Conflict while an endpoint serves one."""
        await self._transport.request(
            "DELETE", f"/api/v1/models/{quote(model, safe='')}", params=self._in(project)
        )

    async def versions(
        self,
        model: str,
        *,
        project: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ModelVersion]:
        """One page of a model's versions, newest first."""
        params = self._in(project) | {"limit": limit, "cursor": cursor}
        return await self._transport.call(
            Page[ModelVersion], "GET", f"models/{quote(model, safe='')}/versions", params=params
        )

    async def version(
        self, model: str, version: int, *, project: str | None = None
    ) -> ModelVersion:
        """One version of a model. Raises NotFound."""
        return await self._transport.call(
            ModelVersion,
            "GET",
            f"models/{quote(model, safe='')}/versions/{version}",
            params=self._in(project),
        )

    async def delete_version(
        self, model: str, version: int, *, project: str | None = None
    ) -> None:
        """Forget a version. Raises Conflict while an endpoint serves it."""
        await self._transport.request(
            "DELETE",
            f"/api/v1/models/{quote(model, safe='')}/versions/{version}",
            params=self._in(project),
        )

    async def set_alias(
        self, model: str, alias: str, version: int, *, project: str | None = None
    ) -> ModelVersion:
        """Let `model@alias` mean this version from now on."""
        return await self._transport.call(
            ModelVersion,
            "PUT",
            f"models/{quote(model, safe='')}/aliases/{quote(alias, safe='')}",
            params=self._in(project),
            json={"version": version},
        )

    async def delete_alias(self, model: str, alias: str, *, project: str | None = None) -> None:
        """Take an alias away; does nothing when there is none."""
        await self._transport.request(
            "DELETE",
            f"/api/v1/models/{quote(model, safe='')}/aliases/{quote(alias, safe='')}",
            params=self._in(project),
        )

    def _in(self, project: str | None) -> dict[str, str | int | None]:
        return {"project": project or self._project}
