"""From errors to answers: the one place that maps them (RFC 9457 problem+json)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from madang.core.errors import InvalidInput, MadangError, RateLimited, Unauthenticated

log = structlog.get_logger()

PROBLEM_JSON = "application/problem+json"

_SECRET_FIELD = re.compile(r"password|token|link|secret|^new$|^current$", re.IGNORECASE)
"""Fields whose values are never repeated: an answer may end up in a log or on a screen."""


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(MadangError, _on_madang_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_bug)


def problem_response(error: MadangError) -> JSONResponse:
    body = error.to_problem()
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RateLimited):
        body["retry_after_s"] = error.retry_after_s
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return JSONResponse(body, error.status, headers=headers, media_type=PROBLEM_JSON)


async def _on_madang_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, MadangError)
    return problem_response(error)


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    given = "" if _is_secret(first) else f" ({str(first.get('input'))[:80]!r} was given)"
    return problem_response(InvalidInput(f"{field}: {first['msg']}{given}", field=field))


def _is_secret(error: Mapping[str, Any]) -> bool:
    """Whether the value must not be repeated: it may be a secret, or an object or text (what is
    no JSON) that holds one."""
    if error["type"] in ("missing", "json_invalid") or isinstance(error.get("input"), bytes):
        return True
    if isinstance(error.get("input"), dict | list) or error["loc"] == ("body",):
        return True
    return any(_SECRET_FIELD.search(str(part)) for part in error["loc"])


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    body = {
        "type": "about:blank",
        "title": f"{error.detail}: {request.method} {request.url.path}",
        "status": error.status_code,
        "code": "not_found" if error.status_code == 404 else "http",
    }
    return JSONResponse(body, error.status_code, headers=error.headers, media_type=PROBLEM_JSON)


async def _on_disconnect(request: Request, error: Exception) -> Response:
    """Nobody is there to read the answer; 499 is what proxies log for this."""
    return Response(status_code=499)


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    log.error("a request failed", path=request.url.path, exc_info=error)
    return problem_response(
        MadangError("the server failed at this; it is a bug", hint="Its log has the details.")
    )
