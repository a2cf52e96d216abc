"""The API: routes, one module a resource, under `/api/v1`; OpenAPI at `/docs`."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI

import madang
from madang.server.api import (
    auth,
    cluster,
    datasets,
    endpoints,
    environments,
    events,
    experiments,
    folder_files,
    folders,
    health,
    internal_gateway,
    internal_nodes,
    job_waits,
    jobs,
    limits,
    lineage,
    mlflow,
    models,
    nodes,
    platform,
    projects,
    queues,
    reservations,
    runs,
    scheduling,
    tokens,
    users,
    volumes,
)
from madang.server.api.body_limit import BodyLimit
from madang.server.api.docs_page import add_docs_page
from madang.server.api.errors import install_error_handlers
from madang.server.api.openapi import DeclaredRoute, describe_permissions, routes_of
from madang.server.api.protection import Protection
from madang.server.api.text import refuse_broken_text
from madang.server.context import ServerContext

API_PREFIX = "/api/v1"

ROUTERS: list[APIRouter] = [
    auth.router,
    cluster.router,
    datasets.router,
    endpoints.router,
    endpoints.ticket_router,
    environments.router,
    events.router,
    experiments.router,
    folder_files.router,
    folders.router,
    health.router,
    jobs.code_router,
    job_waits.router,
    jobs.router,
    limits.router,
    lineage.router,
    models.router,
    nodes.router,
    platform.router,
    projects.router,
    queues.router,
    reservations.router,
    runs.router,
    scheduling.history_router,
    scheduling.router,
    tokens.router,
    users.router,
    volumes.router,
]
"""Routers under `/api/v1`; what speaks another protocol or is internal has a prefix of its own."""

ROOT_ROUTERS: list[APIRouter] = [
    health.root_router,
    internal_gateway.router,
    internal_nodes.router,
    mlflow.router,
]
"""Routers with a full path of their own: MLflow's protocol, `/internal`."""


def create_app(context: ServerContext) -> FastAPI:
    """The application over `context`; who calls it starts the controllers and closes both."""
    app = FastAPI(title="Madang", version=madang.__version__, docs_url=None, redoc_url=None)
    app.state.context = context
    app.add_middleware(BodyLimit)
    app.add_middleware(Protection, settings=context.settings)
    install_error_handlers(app)
    for router in ROUTERS:
        app.include_router(router, prefix=API_PREFIX, dependencies=[Depends(refuse_broken_text)])
    for router in ROOT_ROUTERS:
        app.include_router(router)
    add_docs_page(app)
    describe_permissions(app, declared_routes())
    return app


def declared_routes() -> list[DeclaredRoute]:
    """Every route with its full path and the permission that it declares."""
    return [
        *(declared for router in ROUTERS for declared in routes_of(router, API_PREFIX)),
        *(declared for router in ROOT_ROUTERS for declared in routes_of(router)),
    ]


def api_roots() -> frozenset[str]:
    """The first parts of all paths that the API serves, e.g. `api`, `internal`, `docs`."""
    paths = [declared.path for declared in declared_routes()]
    return frozenset(path.split("/")[1] for path in [*paths, "/docs", "/openapi.json"])
