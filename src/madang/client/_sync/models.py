# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Registered models and their versions."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from madang.client._sync._base import Resource
from madang.schemas import Page
from madang.schemas.models import Model, ModelVersion


class Models(Resource):
    """`client.models`: names under which trained models are kept, with numbered versions."""

    def list(
        self, *, project: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Model]:
        """One page of the models that you see, newest first."""
        params = {"project": project or self._project, "limit": limit, "cursor": cursor}
        return self._transport.call(Page[Model], "GET", "models", params=params)

    def iterate(self, *, project: str | None = None) -> Iterator[Model]:
        """All models that you see, fetched page by page."""
        cursor = None
        while True:
            page = self.list(project=project, limit=200, cursor=cursor)
            for model in page.items:
                yield model
            if (cursor := page.next_cursor) is None:
                return

    def get(self, model: str, *, project: str | None = None) -> Model:
        """One model, by name or id. Raises NotFound."""
        return self._transport.call(
            Model, "GET", f"models/{quote(model, safe='')}", params=self._in(project)
        )

    def update(
        self,
        model: str,
        *,
        name: str | None = None,
        description: str | None = None,
        project: str | None = None,
    ) -> Model:
        """Rename or describe a model. Raises Conflict when the name is taken."""
        body = {"name": name, "description": description}
        return self._transport.call(
            Model, "PATCH", f"models/{quote(model, safe='')}", params=self._in(project), json=body
        )

    def delete(self, model: str, *, project: str | None = None) -> None:
        """Forget a model with all versions. Raises Conflict while an endpoint serves one."""
        self._transport.request(
            "DELETE", f"/api/v1/models/{quote(model, safe='')}", params=self._in(project)
        )

    def versions(
        self,
        model: str,
        *,
        project: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ModelVersion]:
        """One page of a model's versions, newest first."""
        params = self._in(project) | {"limit": limit, "cursor": cursor}
        return self._transport.call(
            Page[ModelVersion], "GET", f"models/{quote(model, safe='')}/versions", params=params
        )

    def version(
        self, model: str, version: int, *, project: str | None = None
    ) -> ModelVersion:
        """One version of a model. Raises NotFound."""
        return self._transport.call(
            ModelVersion,
            "GET",
            f"models/{quote(model, safe='')}/versions/{version}",
            params=self._in(project),
        )

    def delete_version(
        self, model: str, version: int, *, project: str | None = None
    ) -> None:
        """Forget a version. Raises Conflict while an endpoint serves it."""
        self._transport.request(
            "DELETE",
            f"/api/v1/models/{quote(model, safe='')}/versions/{version}",
            params=self._in(project),
        )

    def set_alias(
        self, model: str, alias: str, version: int, *, project: str | None = None
    ) -> ModelVersion:
        """Let `model@alias` mean this version from now on."""
        return self._transport.call(
            ModelVersion,
            "PUT",
            f"models/{quote(model, safe='')}/aliases/{quote(alias, safe='')}",
            params=self._in(project),
            json={"version": version},
        )

    def delete_alias(self, model: str, alias: str, *, project: str | None = None) -> None:
        """Take an alias away; does nothing when there is none."""
        self._transport.request(
            "DELETE",
            f"/api/v1/models/{quote(model, safe='')}/aliases/{quote(alias, safe='')}",
            params=self._in(project),
        )

    def _in(self, project: str | None) -> dict[str, str | int | None]:
        return {"project": project or self._project}
