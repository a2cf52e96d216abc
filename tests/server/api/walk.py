"""What the walk over all routes (test_permissions.py) needs to know of each resource.

A route is called with the values of its path parameters from `PATH_VALUES` and with what
`REQUESTS` says, both made afresh for each route, in the project `vision`. A new resource adds its
lines here: a maker is a function of `People` that returns the value, async or not; it is called
again and again on one database and makes a new object each time (`random_word()` for names).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from madang.core.ids import random_word
from madang.server.identity import api_tokens
from tests.conftest import People

Maker = Callable[[People], Any]

PUBLIC = frozenset(
    {
        "POST /api/v1/auth/login",
        "POST /api/v1/auth/link",
        "POST /api/v1/auth/token",
        "GET /api/v1/health",
        "GET /internal/v1/healthz",
    }
)
"""Routes that nobody in particular may call."""


async def _token(people: People) -> str:
    admin = await people.principal("admin")
    token, _ = await api_tokens.create_token(people.context, admin, random_word())
    return token.row.id


PATH_VALUES: dict[str, Maker] = {
    "project": lambda people: "vision",
    "user": lambda people: "viewer",
    "tokens.token": _token,
}
"""By parameter, or by `resource.parameter` where a name means different things. Values may hold
slashes only for parameters declared as paths."""

REQUESTS: dict[str, Maker] = {
    "POST /api/v1/projects": lambda people: {"json": {"name": "walked"}},
    "PATCH /api/v1/projects/{project}": lambda people: {"json": {"description": "walked"}},
    "PUT /api/v1/projects/{project}/members/{user}": lambda people: {"json": {"role": "viewer"}},
    "POST /api/v1/users": lambda people: {"json": {"name": "walked"}},
    "PATCH /api/v1/users/{user}": lambda people: {"json": {"is_admin": False}},
    "POST /api/v1/tokens": lambda people: {"json": {"name": "one"}},
    "PUT /api/v1/auth/password": lambda people: {"json": {"new": "a new password"}},
}
"""`METHOD path` → arguments for httpx (json, params, content…). `project=vision` is in the query
unless `params` is given."""


async def made(maker: Maker, people: People) -> Any:
    value = maker(people)
    return await value if inspect.isawaitable(value) else value


def path_maker(path: str, parameter: str) -> Maker | None:
    """The maker for a parameter of a path such as `/api/v1/tokens/{token}`."""
    resource = path.removeprefix("/api/v1/").strip("/").split("/")[0]
    return PATH_VALUES.get(f"{resource}.{parameter}") or PATH_VALUES.get(parameter)
