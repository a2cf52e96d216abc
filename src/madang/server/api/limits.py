"""Routes of limits."""

from __future__ import annotations

from fastapi import APIRouter

from madang.core.amounts import plain_amounts
from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.limits import Limit, LimitSet
from madang.server.api.deps import Actor, Context, permit
from madang.server.workloads import limits
from madang.server.workloads.limits import NamedLimit

router = APIRouter(prefix="/limits", tags=["scheduling"])


@router.get("", dependencies=[permit(Permission.SCHEDULING_READ)])
async def list_limits(context: Context, actor: Actor) -> Page[Limit]:
    """Limits of users and projects; without being an administrator, those that hold for you."""
    return Page([_limit(found) for found in await limits.list_limits(context, actor)])


@router.put("", dependencies=[permit(Permission.SCHEDULING_WRITE)])
async def set_limit(body: LimitSet, context: Context, actor: Actor) -> Limit:
    """Set what a user or a project may have at once; without any bound it is removed."""
    return _limit(await limits.set_limit(context, actor, body))


def _limit(found: NamedLimit) -> Limit:
    return Limit(
        subject=found.subject,
        running=found.row.running,
        pending=found.row.pending,
        amounts=plain_amounts(found.row.amounts, found.kinds),
    )
