"""The API: routes, one module a resource, under `/api/v1`; OpenAPI at `/docs`."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

import madang
from madang.server.api import projects
from madang.server.api.errors import install_error_handlers
from madang.server.context import ServerContext

API_PREFIX = "/api/v1"

ROUTERS: list[APIRouter] = [
    projects.router,
]
"""Routers under `/api/v1`; what speaks another protocol or is internal has a prefix of its own."""

ROOT_ROUTERS: list[APIRouter] = []
"""Routers with a full path of their own: MLflow's protocol, `/internal`."""


def create_app(context: ServerContext) -> FastAPI:
    """The application over `context`; who calls it starts the controllers and closes both."""
    app = FastAPI(title="Madang", version=madang.__version__, docs_url="/docs", redoc_url=None)
    app.state.context = context
    install_error_handlers(app)
    for router in ROUTERS:
        app.include_router(router, prefix=API_PREFIX)
    for router in ROOT_ROUTERS:
        app.include_router(router)
    return app
