"""Whether control answers, for the supervisor, load balancers and the client."""

from __future__ import annotations

from fastapi import APIRouter

import madang
from madang.schemas.platform import Health

router = APIRouter(tags=["platform"])
root_router = APIRouter(tags=["platform"], include_in_schema=False)


@router.get("/health")
async def health() -> Health:
    """That the platform answers, and its version."""
    return Health(status="ok", version=madang.__version__)


@root_router.get("/internal/v1/healthz")
async def healthz() -> Health:
    return await health()
