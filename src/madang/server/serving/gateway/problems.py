"""From errors to the gateway's answers (RFC 9457 problem+json), as the API words them."""

from __future__ import annotations

import json

from aiohttp import web

from madang.core.errors import MadangError, RateLimited, Unauthenticated, Unavailable

PROBLEM_JSON = "application/problem+json"


class GatewayTimeout(Unavailable):
    """The app took the request and did not answer in time."""

    status = 504


class BadGateway(Unavailable):
    """The app's answer ended early or was no HTTP."""

    status = 502


def problem_response(error: MadangError) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    elif isinstance(error, Unavailable) and error.status == 503:
        headers["Retry-After"] = "1"
    return web.Response(
        status=error.status,
        body=json.dumps(error.to_problem()).encode(),
        content_type=PROBLEM_JSON,
        headers=headers,
    )
