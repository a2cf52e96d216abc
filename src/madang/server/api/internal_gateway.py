"""What the gateway asks: where things are, who may pass. For the gateway alone."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from madang.core.errors import Unauthenticated
from madang.schemas import FORBID_EXTRA
from madang.server.api.deps import Context
from madang.server.serving.authorization import authorize, permission_named, route_table
from madang.server.serving.grants import Resource

MAX_WAIT_S = 60.0
_PAUSE_S = 0.05
"""Between two looks: many changes at once are one new table."""


async def require_gateway(request: Request, context: Context) -> None:
    """Raises Unauthenticated unless it is the gateway, which knows the installation's secret."""
    given = request.headers.get("authorization", "").encode()
    expected = f"Bearer {context.paths.secret('gateway').hex()}".encode()
    if not hmac.compare_digest(given, expected):
        raise Unauthenticated("this address is for the platform's gateway alone")


router = APIRouter(
    prefix="/internal/v1/gateway", tags=["internal"], dependencies=[Depends(require_gateway)]
)


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """May the owner of `credential` (a token or a ticket) use the resource so?"""

    __pydantic_config__ = FORBID_EXTRA

    credential: str
    permission: str
    kind: str
    name: str
    project: str = ""


@router.get("/routes")
async def get_routes(
    context: Context,
    revision: Annotated[str, Query(max_length=100)] = "",
    wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 0.0,
) -> dict[str, Any]:
    """The routing table; waits up to `wait_s` while it is still `revision`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    with context.bus.subscribe("endpoint:", "workload:", "task:") as changes:
        while True:
            table = await route_table(context)
            left_s = deadline - loop.time()
            if table.revision != revision or left_s <= 0:
                return table.to_json()
            if await changes.wait(left_s):
                await asyncio.sleep(min(_PAUSE_S, left_s))


@router.post("/authorize")
async def post_authorize(body: AuthorizeRequest, context: Context) -> dict[str, Any]:
    """The grant, or the error that the gateway answers with."""
    resource = Resource(body.kind, body.name, body.project)
    permission = permission_named(resource, body.permission)
    return (await authorize(context, body.credential, permission, resource)).to_json()
