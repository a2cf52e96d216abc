"""Control's half of the gateway: who may, and where things are."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from madang.core.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from madang.core.permissions import Permission
from madang.core.states import WorkloadState
from madang.schemas.endpoints import EndpointState
from madang.server.identity import api_tokens
from madang.server.serving import service
from madang.server.serving.authorization import authorize, create_ticket
from madang.server.serving.grants import Resource
from tests.conftest import People
from tests.server.serving.conftest import Served

INVOKE = Permission.ENDPOINTS_INVOKE
DIGITS = Resource("endpoint", "digits", "vision")


def bearer(people: People, name: str) -> str:
    return people.tokens[name]


async def test_a_token_by_its_owners_role(served: Served) -> None:
    view = await served.deploy()
    context, people = served.context, served.people
    grant = await authorize(context, bearer(people, "viewer"), INVOKE, DIGITS)
    assert (grant.user, grant.resource_id) == ("viewer", view.row.id)
    assert grant.project_id == people.project_id
    for credential, error in (
        (bearer(people, "outsider"), NotFound),
        ("mdt_unknown", Unauthenticated),
        ("mdq_unknown.00", Unauthenticated),
        ("mdk_unknown", Unauthenticated),
    ):
        with pytest.raises(error):
            await authorize(context, credential, INVOKE, DIGITS)
    with pytest.raises(NotFound):
        token = bearer(people, "member")
        await authorize(context, token, INVOKE, Resource("endpoint", "other", "vision"))
    with pytest.raises(InvalidInput):
        await authorize(context, bearer(people, "admin"), Permission.JOBS_WRITE, DIGITS)


async def test_a_token_without_the_scope(served: Served) -> None:
    await served.deploy()
    _, token = await api_tokens.create_token(
        served.context, served.member, "narrow", scopes=("jobs:*",)
    )
    with pytest.raises(Forbidden):
        await authorize(served.context, token, INVOKE, DIGITS)


async def ticket_of(served: Served, name: str, resource: Resource, **options: Any) -> str:
    principal = await served.people.principal(name)
    permission = options.pop("permission", INVOKE)
    word, _ = await create_ticket(served.context, principal, resource, permission, 60.0)
    return word


async def test_a_ticket_is_for_one_thing_and_a_while(served: Served) -> None:
    view = await served.deploy()
    await served.deploy(name="other")
    ticket = await ticket_of(served, "viewer", DIGITS)
    grant = await authorize(served.context, ticket, INVOKE, DIGITS)
    assert (grant.user, grant.resource_id) == ("viewer", view.row.id)
    assert grant.expires_at == (served.context.clock.now() + timedelta(seconds=60)).timestamp()
    with pytest.raises(Forbidden):
        await authorize(served.context, ticket, INVOKE, Resource("endpoint", "other", "vision"))
    with pytest.raises(Forbidden):
        folder = Resource("folder", "artifacts", "vision")
        await authorize(served.context, ticket, Permission.FOLDERS_READ, folder)
    async with served.people.client(None) as client:
        client.headers["Authorization"] = f"Bearer {ticket}"
        assert (await client.get("/api/v1/endpoints")).status_code == 401, "not for the API"
    served.context.clock.advance(61)  # type: ignore[attr-defined]
    with pytest.raises(Unauthenticated, match="expired"):
        await authorize(served.context, ticket, INVOKE, DIGITS)


async def test_a_ticket_does_not_pass_to_the_next_of_that_name(served: Served) -> None:
    await served.deploy()
    ticket = await ticket_of(served, "member", DIGITS)
    await service.delete(served.context, served.member, "digits", "vision")
    with pytest.raises(NotFound):
        await authorize(served.context, ticket, INVOKE, DIGITS)
    await served.deploy()
    with pytest.raises(Forbidden):
        await authorize(served.context, ticket, INVOKE, DIGITS)


async def test_nobody_gets_a_ticket_for_what_she_may_not_do(served: Served) -> None:
    await served.deploy()
    with pytest.raises(NotFound):
        await ticket_of(served, "outsider", DIGITS)


async def test_folders(served: Served) -> None:
    folder = Resource("folder", "artifacts", "vision")
    context, member = served.context, bearer(served.people, "member")
    grant = await authorize(context, member, Permission.FOLDERS_WRITE, folder)
    assert grant.details["root"] and grant.details["read_only"] is False
    ticket = await ticket_of(served, "member", folder, permission=Permission.FOLDERS_WRITE)
    for permission in (Permission.FOLDERS_READ, Permission.FOLDERS_WRITE):
        assert (await authorize(context, ticket, permission, folder)).resource_id
    ticket = await ticket_of(served, "member", folder, permission=Permission.FOLDERS_READ)
    with pytest.raises(Forbidden):
        await authorize(context, ticket, Permission.FOLDERS_WRITE, folder)
    with pytest.raises(NotFound):
        outsider = bearer(served.people, "outsider")
        await authorize(context, outsider, Permission.FOLDERS_READ, folder)


async def test_apps_are_for_members(served: Served) -> None:
    job_id = await served.platform.submit("sleep", app_port=8888)
    await served.platform.until_state(job_id, WorkloadState.RUNNING)
    (task,) = await served.platform.tasks(job_id)
    app = Resource("app", task.id)
    permission = Permission.JOBS_WRITE
    context, people = served.context, served.people
    grant = await authorize(context, bearer(people, "member"), permission, app)
    assert (grant.resource_id, grant.project_id) == (task.id, people.project_id)
    for name, error in (("viewer", Forbidden), ("outsider", NotFound)):
        with pytest.raises(error):
            await authorize(context, bearer(people, name), permission, app)
    plain = await served.platform.submit("sleep")
    await served.platform.until_state(plain, WorkloadState.RUNNING)
    (other,) = await served.platform.tasks(plain)
    with pytest.raises(NotFound):
        await authorize(context, bearer(people, "admin"), permission, Resource("app", other.id))


@pytest.fixture
def gateway(served: Served) -> httpx.AsyncClient:
    client = served.people.client(None)
    secret = served.context.paths.secret("gateway").hex()
    client.headers["Authorization"] = f"Bearer {secret}"
    client.base_url = "http://madang.test/internal/v1/gateway/"
    return client


async def test_routes_are_told_as_they_change(served: Served, gateway: httpx.AsyncClient) -> None:
    async with gateway:
        empty = (await gateway.get("routes")).json()
        assert empty["endpoints"] == []
        params = {"revision": empty["revision"], "wait_s": 20}
        waiting = asyncio.create_task(gateway.get("routes", params=params))
        view = await served.deploy()
        first = (await waiting).json()
        assert [route["id"] for route in first["endpoints"]] == [view.row.id]
        await served.make_ready(view)
        await served.until_state(EndpointState.READY)
        told = (await gateway.get("routes")).json()
        (route,) = told["endpoints"]
        (task,) = await served.platform.tasks(view.target.workload_id)
        socket = str(served.context.paths.app_socket(task.id))
        assert route["replicas"] == [{"task_id": task.id, "socket": socket}]
        assert [app["task_id"] for app in told["apps"]] == [task.id]
        params = {"revision": told["revision"], "wait_s": 0.01}
        same = (await gateway.get("routes", params=params)).json()
        assert same["revision"] == told["revision"]


async def test_questions_over_http(served: Served, gateway: httpx.AsyncClient) -> None:
    await served.deploy()
    asked = {
        "credential": bearer(served.people, "viewer"),
        "permission": "endpoints:invoke",
        "kind": "endpoint",
        "name": "digits",
        "project": "vision",
    }
    async with gateway:
        answer = await gateway.post("authorize", json=asked)
        assert (answer.status_code, answer.json()["user"]) == (200, "viewer")
        answer = await gateway.post("authorize", json={**asked, "credential": "mdt_x"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        answer = await gateway.post("authorize", json={**asked, "kind": "moon"})
        assert answer.status_code == 422
        gateway.headers["Authorization"] = f"Bearer {bearer(served.people, 'admin')}"
        assert (await gateway.post("authorize", json=asked)).status_code == 401


async def test_tickets_over_http(served: Served) -> None:
    await served.deploy()
    body = {"resource": "endpoint", "name": "digits", "project": "vision", "ttl_s": 30}
    async with served.people.client("viewer") as client:
        answer = await client.post("/api/v1/tickets", json=body)
        assert answer.status_code == 201
        ticket = answer.json()["ticket"]
        for change, status in (
            ({"ttl_s": 301}, 422),
            ({"resource": "moon"}, 422),
            ({"permission": "jobs:write"}, 422),
            ({"permission": "fly"}, 422),
            ({"name": "none"}, 404),
        ):
            answer = await client.post("/api/v1/tickets", json=body | change)
            assert answer.status_code == status, change
    assert (await authorize(served.context, ticket, INVOKE, DIGITS)).user == "viewer"
