"""The API's description: what FastAPI makes, and the permission that each route needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from madang.core.permissions import Permission
from madang.server.api.deps import permission_of

BEARER = {"type": "http", "scheme": "bearer", "description": "A token: `madang token create`."}


@dataclass(frozen=True, slots=True)
class DeclaredRoute:
    """A route with its full path; without a permission it is open to everyone."""

    path: str
    route: APIRoute
    permission: Permission | None


def routes_of(router: APIRouter, prefix: str = "") -> Iterator[DeclaredRoute]:
    """The routes of a router that is included under `prefix`."""
    for route in router.routes:
        assert isinstance(route, APIRoute), f"{route} is not a plain route of the API"
        yield DeclaredRoute(prefix + route.path_format, route, _declared(route.dependant))


def describe_permissions(app: FastAPI, declared_routes: Sequence[DeclaredRoute]) -> None:
    """Add `x-permission` and the way to log in to the app's OpenAPI description."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        schema = make()
        schema.setdefault("components", {})["securitySchemes"] = {"bearer": BEARER}
        for declared in declared_routes:
            if declared.permission is None or not declared.route.include_in_schema:
                continue
            for method in declared.route.methods or ():
                operation = schema["paths"][declared.path][method.lower()]
                operation["x-permission"] = str(declared.permission)
                operation["security"] = [{"bearer": []}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _declared(dependant: Dependant) -> Permission | None:
    for needed in dependant.dependencies:
        found = permission_of(needed.call) or _declared(needed)
        if found is not None:
            return found
    return None
