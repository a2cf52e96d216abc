"""Every route as nobody, as every role, as an outsider, and with tokens that are too narrow."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from madang.core.permissions import Level, Permission, Role, scopes_allow
from madang.server.api.app import create_app, declared_routes
from madang.server.api.openapi import DeclaredRoute
from madang.server.context import ServerContext
from madang.server.identity.tokens import issue_token
from tests.conftest import People, make_people
from tests.server.api.walk import PUBLIC, REQUESTS, made, path_maker

ROLES = ("viewer", "member", "maintainer")
STREAMING_AFTER_S = 1.0


def routes() -> list[Any]:
    found = []
    for declared in declared_routes():
        for method in sorted(declared.route.methods - {"HEAD", "OPTIONS"}):
            found.append(pytest.param(method, declared, id=f"{method} {declared.path}"))
    return found


def is_internal(declared: DeclaredRoute) -> bool:
    return declared.path.startswith("/internal/")


class Walker:
    """Calls one route as different people, with freshly made values."""

    def __init__(self, people: People, method: str, declared: DeclaredRoute) -> None:
        self.people = people
        self.method = method
        self.declared = declared
        self.key = f"{method} {declared.path}"

    async def arguments(self) -> tuple[str, dict[str, Any]]:
        path = self.declared.path
        for parameter in re.findall(r"{([^}:]+)(?::[^}]*)?}", path):
            maker = path_maker(path, parameter)
            assert maker, f"tests/server/api/walk.py: PATH_VALUES lacks {parameter!r} of {path}"
            value = await made(maker, self.people)
            path = re.sub(rf"{{{parameter}(:[^}}]*)?}}", str(value), path)
        request = await made(REQUESTS.get(self.key, lambda _: {}), self.people)
        return path, {"params": {"project": "vision"}, **request}

    async def call(self, client: httpx.AsyncClient) -> int:
        """The status; 200 for an answer that streams on and on."""
        path, request = await self.arguments()
        try:
            async with asyncio.timeout(STREAMING_AFTER_S):
                self.answer = await client.request(self.method, path, **request)
        except TimeoutError:
            return 200
        return self.answer.status_code

    async def status_for(self, name: str | None) -> int:
        async with self.people.client(name) as client:
            return await self.call(client)

    async def status_with(self, token: str) -> int:
        async with self.people.client(None) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            return await self.call(client)


@pytest.fixture
async def walked(sqlite_context: ServerContext) -> People:
    return await make_people(sqlite_context)


@pytest.mark.parametrize(("method", "declared"), routes())
async def test_route(method: str, declared: DeclaredRoute, walked: People) -> None:
    walker = Walker(walked, method, declared)
    if walker.key in PUBLIC:
        assert declared.permission is None
        return
    if is_internal(declared):
        await check_internal(walker)
        return
    assert declared.permission, f"{walker.key} lacks permit(...) and is not in PUBLIC"
    assert await walker.status_for(None) == 401
    await check_narrow_tokens(walker, declared.permission)
    await check_outsider(walker, declared.permission)
    for name in ROLES:
        status = await walker.status_for(name)
        if may(Role(name), declared.permission):
            check_allowed(walker, name, status)
        else:
            assert status == 403, f"{name}: {status}"
    check_allowed(walker, "admin", await walker.status_for("admin"))


def may(role: Role, permission: Permission) -> bool:
    """The table, read here on its own so that a slip in the code that reads it shows."""
    order = [Role.VIEWER, Role.MEMBER, Role.MAINTAINER]
    if isinstance(permission.needs, Level):
        return permission.needs is Level.ANYONE
    return order.index(role) >= order.index(permission.needs)


def check_allowed(walker: Walker, name: str, status: int) -> None:
    assert status not in (401, 403), f"{name}: {status} {walker.answer.text}"
    assert status < 500 or status == 501, f"{name}: {status} {walker.answer.text}"
    assert status != 422, (
        f"tests/server/api/walk.py: REQUESTS has nothing good for {walker.key!r}: "
        f"{walker.answer.text}"
    )


async def check_internal(walker: Walker) -> None:
    """Routes between the servers are for their own secrets, whoever else asks."""
    for name in (None, "maintainer", "admin"):
        assert await walker.status_for(name) in (401, 403), name


async def check_outsider(walker: Walker, permission: Permission) -> None:
    """A project's things do not exist for people outside; lists show them their own."""
    status = await walker.status_for("outsider")
    if permission.needs is Level.ANYONE:
        check_allowed(walker, "outsider", status)
    elif walker.method == "GET" and "{" not in walker.declared.path and status < 300:
        assert walker.people.project_id not in walker.answer.text
    else:
        assert status in (403, 404), f"outsider: {status} {walker.answer.text}"


async def check_narrow_tokens(walker: Walker, permission: Permission) -> None:
    """An administrator's token that lacks the scope, or is for another project."""
    other = next(p for p in Permission if not scopes_allow((str(p),), permission))
    scoped = await admin_token(walker.people, "scoped", scopes=(str(other),))
    assert await walker.status_with(scoped) == 403
    if isinstance(permission.needs, Role) and "{" in walker.declared.path:
        elsewhere = await admin_token(
            walker.people, "elsewhere", project_id=walker.people.other_project_id
        )
        assert await walker.status_with(elsewhere) in (403, 404)


async def admin_token(people: People, name: str, **limits: Any) -> str:
    async with people.context.db.transaction() as session:
        _, word = await issue_token(
            session,
            user_id=people.user_ids["admin"],
            name=name,
            now=people.context.clock.now(),
            **limits,
        )
    return word


def test_openapi_names_permissions(sqlite_context: ServerContext) -> None:
    described = create_app(sqlite_context).openapi()["paths"]
    for declared in declared_routes():
        if declared.permission and declared.route.include_in_schema:
            for method in declared.route.methods:
                operation = described[declared.path][method.lower()]
                assert operation["x-permission"] == str(declared.permission)
