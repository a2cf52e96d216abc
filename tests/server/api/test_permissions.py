"""Every route as nobody, as every role, as an outsider, and with tokens that are too narrow."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from madang.core.ids import random_word
from madang.core.permissions import Level, Permission, Role, scopes_allow
from madang.server.api.app import create_app, declared_routes
from madang.server.api.openapi import DeclaredRoute
from madang.server.context import ServerContext
from madang.server.identity.tokens import issue_token
from tests.conftest import People, make_context, make_people
from tests.server.api.walk import PUBLIC, made, path_maker, request_maker

ACCOUNTS = ("/api/v1/auth", "/api/v1/users", "/api/v1/tokens", "/api/v1/projects")
"""What is called here ends logins and changes roles: the walk's own people among them."""

ROLES = ("viewer", "member", "maintainer")


def routes(*, accounts: bool) -> list[Any]:
    """Routes that change accounts, or all the others."""
    found = []
    for declared in declared_routes():
        if declared.path.startswith(ACCOUNTS) != accounts:
            continue
        for method in sorted((declared.route.methods or set()) - {"HEAD", "OPTIONS"}):
            found.append(pytest.param(method, declared, id=f"{method} {declared.path}"))
    return found


def is_short_form(declared: DeclaredRoute) -> bool:
    """MLflow's calls without the project in their path: the asking person's own project is meant,
    so that roles in `vision` say nothing. The long form, with the same code, is walked."""
    return declared.path.startswith(("/api/2.0/mlflow", "/api/3.0/mlflow"))


def is_internal(declared: DeclaredRoute) -> bool:
    return declared.path.startswith("/internal/")


class StreamCut(BaseException):
    """Ends an answer that would stream on and on; no error that anybody handles or logs."""


class CutStreams:
    """Passes on the beginning of an event stream and no more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def cut(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                content_type = dict(message["headers"]).get(b"content-type", b"")
                if content_type.startswith(b"text/event-stream"):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    raise StreamCut

        with suppress(StreamCut):
            await self._app(scope, receive, cut)


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
        maker = request_maker(self.method, self.declared.path)
        request = await made(maker, self.people) if maker else {}
        return path, {"params": {"project": "vision"}, **request}

    async def call(self, client: httpx.AsyncClient) -> int:
        path, request = await self.arguments()
        self.answer = await client.request(self.method, path, **request)
        return self.answer.status_code

    async def status_for(self, name: str | None) -> int:
        headers = {"Authorization": f"Bearer {self.people.tokens[name]}"} if name else {}
        return await self.status_as(headers)

    async def status_with(self, token: str) -> int:
        return await self.status_as({"Authorization": f"Bearer {token}"})

    async def status_as(self, headers: dict[str, str]) -> int:
        transport = httpx.ASGITransport(CutStreams(self.people.app), raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://madang.test", headers=headers
        ) as client:
            return await self.call(client)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def walked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[People]:
    """One installation for many routes: each call makes its own things."""
    context = await make_context(tmp_path_factory.mktemp("walk") / "state")
    yield await make_people(context)
    await context.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "declared"), routes(accounts=False))
async def test_route(method: str, declared: DeclaredRoute, walked: People) -> None:
    await walk(Walker(walked, method, declared))


@pytest.mark.parametrize(("method", "declared"), routes(accounts=True))
async def test_account_route(method: str, declared: DeclaredRoute, sqlite_people: People) -> None:
    await walk(Walker(sqlite_people, method, declared))


async def walk(walker: Walker) -> None:
    declared = walker.declared
    if walker.key in PUBLIC:
        assert declared.permission is None
        return
    if is_internal(declared):
        await check_internal(walker)
        return
    assert declared.permission, f"{walker.key} lacks permit(...) and is not in PUBLIC"
    if is_short_form(declared):
        assert await nobody(walker) == 401
        return
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


async def nobody(walker: Walker) -> int:
    path = re.sub(r"{[^}]*}", "x", walker.declared.path)
    async with walker.people.client(None) as client:
        return (await client.request(walker.method, path)).status_code


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
            name=f"{name}-{random_word()}",
            now=people.context.clock.now(),
            **limits,
        )
    return word


def test_openapi_names_permissions(sqlite_context: ServerContext) -> None:
    described = create_app(sqlite_context).openapi()["paths"]
    for declared in declared_routes():
        if declared.permission and declared.route.include_in_schema:
            for method in declared.route.methods or ():
                operation = described[declared.path][method.lower()]
                assert operation["x-permission"] == str(declared.permission)
