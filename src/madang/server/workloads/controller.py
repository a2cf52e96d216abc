"""The scheduling loop: tells the planner what changed, carries out what it decides.

It acts on the bus's word at once, and reads everything anew after a failure and now and then, so
that nothing depends on a message having arrived.
"""

from __future__ import annotations

import asyncio

import structlog

from madang.scheduling import Start, Wait
from madang.server.context import ServerContext
from madang.server.workloads.starts import carry_out
from madang.server.workloads.view import ClusterView
from madang.server.workloads.waits import WaitBook

log = structlog.get_logger()

_PART = "workloads.view"
_STARTS_AT_ONCE = 64
_READ_ANEW_S = 600.0
_AFTER_FAILURE_S = 1.0


async def run(context: ServerContext) -> None:
    """Schedule until cancelled."""
    while True:
        try:
            await _run(context)
        except Exception:
            log.exception("scheduling failed; everything is read anew")
            await asyncio.sleep(_AFTER_FAILURE_S)


async def _run(context: ServerContext) -> None:
    loop = asyncio.get_running_loop()
    view = ClusterView(context)
    waits = WaitBook(context)
    with context.bus.subscribe("workload:", "node:", "environment:") as changes:
        await view.load()
        context.parts[_PART] = view
        read_at = loop.time()
        while loop.time() - read_at < _READ_ANEW_S:
            await _plan(context, view, waits)
            wait_s = read_at + _READ_ANEW_S - loop.time()
            for earlier in (view.next_time_in_s(), waits.next_time_in_s()):
                wait_s = wait_s if earlier is None else min(wait_s, earlier)
            topics = await changes.wait(max(0.0, wait_s))
            await view.refresh(topics)


async def _plan(context: ServerContext, view: ClusterView, waits: WaitBook) -> None:
    """Plan until nothing more can start; what was refused is read again and planned again."""
    while True:
        actions = await view.plan()
        starts = [action for action in actions if isinstance(action, Start)]
        for position in range(0, len(starts), _STARTS_AT_ONCE):
            some = starts[position : position + _STARTS_AT_ONCE]
            await carry_out(context, some)
            await view.reread({start.request.owner for start in some})
        if not starts:
            break
    await waits.write([action for action in actions if isinstance(action, Wait)], view.owner_of)


def explain(context: ServerContext, workload_id: str) -> Wait | None:
    """Why a workload waits, as of now; None when it does not wait for a place."""
    view: ClusterView | None = context.parts.get(_PART)
    return view.explain(workload_id) if view is not None else None
