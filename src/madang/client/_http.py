"""What both clients share: building requests, reading answers."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

import madang
from madang.client.config import ClientConfig
from madang.core.errors import (
    ConnectionFailed,
    InvalidInput,
    MadangError,
    NotFound,
    Unavailable,
    error_from_problem,
)

TIMEOUT = httpx.Timeout(60.0, connect=10.0)


def default_headers(token: str) -> dict[str, str]:
    headers = {"User-Agent": f"madang/{madang.__version__}"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return headers


def trust_of(config: ClientConfig) -> ssl.SSLContext | bool:
    """Which certificates are good: the usual ones and, where there is one, the configured one."""
    if not config.ca_file:
        return True
    context = httpx.create_ssl_context()
    context.load_verify_locations(config.ca_file)
    return context


def without_none(parameters: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (parameters or {}).items() if value is not None}


def error_of(response: httpx.Response) -> MadangError:
    """The error that an answer (already read) stands for."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if isinstance(problem, dict) and "code" in problem:
        return error_from_problem(problem)
    if isinstance(problem, dict) and isinstance(problem.get("error"), str):
        # A model's answer: the Open Inference Protocol has words of its own for errors.
        error_class = {400: InvalidInput, 404: NotFound, 503: Unavailable}
        return error_class.get(response.status_code, MadangError)(problem["error"])
    return MadangError(
        f"{response.request.method} {response.request.url} was answered with "
        f"{response.status_code} {response.reason_phrase}",
        hint="Is this the address of a Madang platform?",
    )


def unsendable(error: ValueError) -> InvalidInput:
    """What JSON can't say."""
    return InvalidInput(
        f"this can't be sent: {error}", hint="Use numbers that are finite, not nan or inf."
    )


def connection_error(url: str, error: Exception) -> ConnectionFailed:
    cause = str(error) or type(error).__name__
    return ConnectionFailed(
        f"no answer from {url}: {cause}", hint="Is the platform up? `madang up` starts it."
    )
