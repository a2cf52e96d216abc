"""MLflow's REST protocol from our own tables: what its ordinary client needs; the rest is 501."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

import madang
from madang.core.errors import Unsupported
from madang.core.permissions import Permission
from madang.server.api import (
    mlflow_artifacts,
    mlflow_logged_models,
    mlflow_registry,
    mlflow_tracking,
)
from madang.server.api.deps import permit
from madang.server.api.mlflow_base import MlflowActor, MlflowRoute, answer

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
READ = [permit(Permission.TRACKING_READ)]

_rest = APIRouter(route_class=MlflowRoute)


@_rest.get("/api/3.0/mlflow/server-info", dependencies=READ)
async def server_info(actor: MlflowActor) -> Response:
    """What clients ask before they use what not every server has."""
    return answer(
        {
            "store_type": f"madang {madang.__version__}",
            "workspaces_enabled": False,
            "trace_archival_enabled": False,
            "multipart_uploads_enabled": False,
            "multipart_downloads_enabled": False,
        }
    )


@_rest.api_route("/api/2.0/mlflow/{path:path}", methods=METHODS, dependencies=READ)
@_rest.api_route("/api/3.0/mlflow/{path:path}", methods=METHODS, dependencies=READ)
@_rest.api_route("/api/2.0/mlflow-artifacts/{path:path}", methods=METHODS, dependencies=READ)
async def not_implemented(path: str, request: Request, actor: MlflowActor) -> Response:
    raise Unsupported(
        f"{request.method} {request.url.path} is not a part of MLflow's protocol that "
        "this server speaks",
        hint="Experiments, runs, artifacts, logged models and the model registry are.",
    )


router = APIRouter(route_class=MlflowRoute, include_in_schema=False)
"""MLflow documents its protocol itself: our API's description leaves it out."""


def _add_protocol(prefix: str) -> None:
    for part, below in (
        (mlflow_tracking.router, "/api/2.0/mlflow"),
        (mlflow_registry.router, "/api/2.0/mlflow"),
        (mlflow_logged_models.router, "/api/2.0/mlflow"),
        (mlflow_artifacts.router, "/api/2.0/mlflow-artifacts"),
        (_rest, ""),  # last: it takes whatever is left
    ):
        for route in part.routes:
            assert isinstance(route, MlflowRoute)
            router.add_api_route(
                prefix + below + route.path,
                route.endpoint,
                methods=sorted(route.methods or ()),
                dependencies=route.dependencies,
            )


_add_protocol("")
_add_protocol("/projects/{project}")
