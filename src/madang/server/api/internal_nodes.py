"""Routes for nodes and tasks: the agents' half of the protocol, and what tasks report."""

from __future__ import annotations

import hmac
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from madang.core.errors import Forbidden, InvalidInput, Unauthenticated
from madang.server.api.deps import Actor, Context
from madang.server.cluster import service
from madang.server.cluster.codec import from_json, to_json
from madang.server.cluster.protocol import NodeReport
from madang.server.workloads import reports

router = APIRouter(prefix="/internal/v1", include_in_schema=False)

_LONGEST_WAIT_S = 60.0


async def node_secret(request: Request, context: Context) -> None:
    """Lets in who has the installation's secret for nodes. Raises Unauthenticated."""
    expected = f"Bearer {context.paths.secret('node').hex()}"
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise Unauthenticated("this address is for the platform's own nodes")


@router.post("/nodes/{node}/sync", dependencies=[Depends(node_secret)])
async def sync(node: str, request: Request, context: Context) -> JSONResponse:
    """NodeReport → NodeOrders, a long poll."""
    try:
        report = from_json(NodeReport, await request.json())
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"this is no report of a node: {error}") from None
    if not 0 <= report.wait_s <= _LONGEST_WAIT_S:
        raise InvalidInput(f"wait_s can't be {report.wait_s}", field="wait_s")
    return JSONResponse(to_json(await service.sync(context, node, report)))


class TaskReports(BaseModel):
    """Lines of a task's spool, numbered from `offset` on."""

    attempt: int
    offset: Annotated[int, Ge(0), Le(2**53)]
    lines: Annotated[list[dict[str, Any]], MaxLen(10_000)]


@router.post("/tasks/{task}/reports")
async def report(task: str, body: TaskReports, context: Context, actor: Actor) -> dict[str, int]:
    """Take in what a task reports, with its own token; lines that came before are dropped."""
    if actor.task_id != task:
        raise Forbidden(f"this token is not that of {task}")
    known = await reports.take_in_reports(
        context, task, attempt=body.attempt, offset=body.offset, lines=body.lines
    )
    return {"offset": known}
