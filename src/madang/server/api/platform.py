"""Routes of the platform as a whole."""

from __future__ import annotations

from fastapi import APIRouter

from madang.core.permissions import Permission
from madang.schemas.platform import Draining
from madang.server.api.deps import Actor, Context, permit
from madang.server.workloads.drain import stop_everything

router = APIRouter(prefix="/platform", tags=["platform"])


@router.post("/drain", dependencies=[permit(Permission.NODES_WRITE)])
async def drain(context: Context, actor: Actor) -> Draining:
    """Cancel all that runs or waits and take no new work until the platform is started again
    (administrators). Ask again until `live` is 0."""
    return Draining(live=await stop_everything(context, actor))
