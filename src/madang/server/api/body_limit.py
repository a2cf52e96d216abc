"""How large a request may be, checked before anybody is known to have sent it."""

from __future__ import annotations

import re

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from madang.core.errors import LimitExceeded
from madang.core.resources import format_bytes
from madang.server.api.errors import problem_response

MAX_BODY_BYTES = 8 * 2**20
MAX_INTERNAL_BODY_BYTES = 64 * 2**20

_LIMITS_ITSELF = re.compile(r"/api/v1/code|(/projects/[^/]+)?/api/[23]\.0/mlflow(-artifacts)?/.*")
"""Routes that read their body piece by piece and only for who may send it."""


class BodyLimit:
    """Wraps an application: answers 413 to a larger body, by its Content-Length or as it comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _LIMITS_ITSELF.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        internal = scope["path"].startswith("/internal/")
        limit = MAX_INTERNAL_BODY_BYTES if internal else MAX_BODY_BYTES
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared[:20]) > limit:
            await _refusal(limit)(scope, receive, send)
            return
        seen = 0
        is_answered = False

        async def receive_limited() -> Message:
            """To the application, a sender of too much is one who went away."""
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            return {"type": "http.disconnect"} if seen > limit else message

        async def send_unless_refused(message: Message) -> None:
            nonlocal is_answered
            if seen <= limit or is_answered:
                is_answered = True
                await send(message)

        try:
            await self._app(scope, receive_limited, send_unless_refused)
        except ClientDisconnect:
            if seen <= limit:
                raise
        if seen > limit and not is_answered:
            await _refusal(limit)(scope, receive, send)


def _refusal(limit: int) -> ASGIApp:
    return problem_response(
        LimitExceeded(
            f"the request is larger than {format_bytes(limit)}", hint="Send it in parts."
        )
    )
