"""The scheduling loop: tells the planner what changed, carries out what it decides.

It acts on the bus's word at once, and reads everything anew after a failure and now and then, so
that nothing depends on a message having arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from madang.scheduling import Action, Migrate, Preempt, Request, Resize, Start, Wait
from madang.scheduling.why import Why
from madang.server.context import ServerContext
from madang.server.db.leases import LeaseLost
from madang.server.workloads.fence import Fence
from madang.server.workloads.starts import carry_out
from madang.server.workloads.stops import carry_out_stops
from madang.server.workloads.view import TOPICS, ClusterView
from madang.server.workloads.waits import WaitBook

log = structlog.get_logger()

_PART = "workloads.view"
_STARTS_AT_ONCE = 64
_READ_ANEW_S = 600.0
_AFTER_FAILURE_S = 1.0


async def run(context: ServerContext) -> None:
    """Schedule until cancelled, or until another server of this installation begins to."""
    fence = await Fence.take(context.db)
    while True:
        try:
            await _run(context, fence)
        except LeaseLost:
            log.error("another server schedules this cluster now; this one no longer does")
            await asyncio.Event().wait()
        except Exception:
            log.exception("scheduling failed; everything is read anew")
            await asyncio.sleep(_AFTER_FAILURE_S)


async def _run(context: ServerContext, fence: Fence) -> None:
    loop = asyncio.get_running_loop()
    view = ClusterView(context)
    waits = WaitBook(context)
    with context.bus.subscribe(*TOPICS) as changes:
        await view.load()
        context.parts[_PART] = view
        read_at = loop.time()
        while loop.time() - read_at < _READ_ANEW_S:
            await _plan(context, view, waits, fence)
            wait_s = read_at + _READ_ANEW_S - loop.time()
            for earlier in (view.next_time_in_s(), waits.next_time_in_s()):
                wait_s = wait_s if earlier is None else min(wait_s, earlier)
            topics = await changes.wait(max(0.0, wait_s))
            await view.refresh(topics)


async def _plan(context: ServerContext, view: ClusterView, waits: WaitBook, fence: Fence) -> None:
    """Plan until nothing more can be done; what was refused is read again and planned again."""
    while True:
        actions = await view.plan()
        if not await act(context, view, actions, fence):
            break
    await waits.write([action for action in actions if isinstance(action, Wait)], view.owner_of)


async def act(
    context: ServerContext,
    view: ClusterView,
    actions: Sequence[Action],
    fence: Fence | None = None,
) -> bool:
    """Carry out what is decided, and read again what it changed; whether there was anything."""
    starts = [action for action in actions if isinstance(action, Start)]
    stops = [action for action in actions if isinstance(action, Preempt | Resize | Migrate)]
    for position in range(0, len(starts), _STARTS_AT_ONCE):
        some = starts[position : position + _STARTS_AT_ONCE]
        await carry_out(context, some, fence)
        await view.reread({start.request.owner for start in some})
    await carry_out_stops(context, stops, fence)
    await view.reread({stop.owner for stop in stops})
    return bool(starts or stops)


def begun(context: ServerContext) -> bool:
    """Whether all that lives has been read, and is scheduled."""
    return _PART in context.parts


def explain(context: ServerContext, workload_id: str) -> Wait | None:
    """Why a workload waits, as of now; None when it does not wait for a place."""
    view: ClusterView | None = context.parts.get(_PART)
    return view.explain(workload_id) if view is not None else None


async def why(context: ServerContext, workload_id: str) -> Why | None:
    """The same with all that was counted."""
    view: ClusterView | None = context.parts.get(_PART)
    return await view.why(workload_id) if view is not None else None


async def preview(context: ServerContext, request: Request) -> Wait | None:
    """Why a request would wait if it came now; None when it would start at once."""
    view: ClusterView | None = context.parts.get(_PART)
    if view is None:  # the loop is just beginning
        view = ClusterView(context)
        await view.load()
    return await view.preview(request)
