"""Routes of the scheduler: its policy, and what was."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from madang.core.permissions import Permission
from madang.scheduling.model import Policy
from madang.schemas import Page
from madang.schemas.scheduling import (
    PastWork,
    PolicySet,
    SchedulingHistory,
    SchedulingPolicy,
)
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.api.reservations import aware
from madang.server.workloads import past, policy, usage_history
from madang.server.workloads.queue_tree import ORDERINGS

router = APIRouter(prefix="/scheduling", tags=["scheduling"])
history_router = APIRouter(prefix="/history", tags=["scheduling"])

Moment = Annotated[datetime | None, Query(description="With a time zone; UTC without.")]


@router.get("/policy", dependencies=[permit(Permission.SCHEDULING_READ)])
async def get_policy(context: Context, actor: Actor) -> SchedulingPolicy:
    """How the scheduler decides."""
    return _policy(await policy.get_policy(context, actor))


@router.put("/policy", dependencies=[permit(Permission.SCHEDULING_WRITE)])
async def set_policy(body: PolicySet, context: Context, actor: Actor) -> SchedulingPolicy:
    """Decide by this policy from now on."""
    return _policy(await policy.set_policy(context, actor, body))


@router.get("/history", dependencies=[permit(Permission.SCHEDULING_READ)])
async def read_history(
    context: Context,
    actor: Actor,
    since: Moment = None,
    until: Moment = None,
    step: Annotated[float | None, Query(gt=0, description="Seconds; else about 200.")] = None,
) -> SchedulingHistory:
    """What there was, what was held and who waited over time; the last day without `since`."""
    end = aware(until) or context.clock.now()
    start = aware(since) or end - timedelta(days=1)
    return await usage_history.read_history(context, actor, since=start, until=end, step_s=step)


@history_router.get("", dependencies=[permit(Permission.SCHEDULING_READ)])
async def list_past_work(
    context: Context,
    actor: Actor,
    paging: PagingQuery,
    since: Moment = None,
    until: Moment = None,
) -> Page[PastWork]:
    """What was asked for and when it ran where, oldest first, as `madang simulate` reads it."""
    found = await past.list_past_work(
        context,
        actor,
        since=aware(since),
        until=aware(until),
        limit=paging.limit,
        cursor=paging.cursor,
    )
    return page_of(found, paging, lambda one: one)


def _policy(found: Policy) -> SchedulingPolicy:
    return SchedulingPolicy(
        placement=found.placement,
        pool_placement=dict(found.pool_placement),
        seed=found.seed,
        round_s=found.round_s,
        half_life_s=found.half_life_s,
        migration_budget=found.migration_budget,
        preemption=found.preemption,
        placements=list(policy.PLACEMENTS),
        orderings=list(ORDERINGS),
    )
