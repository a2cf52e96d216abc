"""A request that is repeated with its key runs nothing a second time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select

from madang.client._async.client import AsyncClient
from madang.core.clock import ManualClock
from madang.core.errors import ConnectionFailed
from madang.schemas.jobs import JobCreate
from madang.server.workloads.submissions import KEPT
from madang.server.workloads.tables import SubmissionRow, WorkloadRow
from tests.conftest import People

JOB = {"command": ["true"], "project": "vision"}


async def ask(people: People, key: str, user: str = "member", **changes: object) -> httpx.Response:
    async with people.client(user) as http:
        return await http.post(
            "/api/v1/jobs", json=JOB | changes, headers={"Idempotency-Key": key}
        )


async def count(people: People, table: type[WorkloadRow] | type[SubmissionRow]) -> int:
    async with people.context.db.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_the_same_key_is_the_same_job(people: People) -> None:
    first, again = await ask(people, "key-1"), await ask(people, "key-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    other = await ask(people, "key-2")
    assert other.json()["id"] != first.json()["id"]
    assert await count(people, WorkloadRow) == 2


async def test_two_at_once_make_one_job(people: People) -> None:
    answers = await asyncio.gather(*(ask(people, "key-1") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await count(people, WorkloadRow) == 1


async def test_another_request_with_a_used_key_is_refused(sqlite_people: People) -> None:
    await ask(sqlite_people, "key-1")
    answer = await ask(sqlite_people, "key-1", command=["false"])
    assert answer.status_code == 422
    assert answer.json()["field"] == "Idempotency-Key"


@pytest.mark.parametrize("key", ["", "x" * 201, "two words"])
async def test_what_can_be_no_key_is_refused(sqlite_people: People, key: str) -> None:
    assert (await ask(sqlite_people, key)).status_code == 422


async def test_keys_of_two_people_do_not_meet(sqlite_people: People) -> None:
    first = await ask(sqlite_people, "key-1")
    other = await ask(sqlite_people, "key-1", "admin")
    assert first.json()["id"] != other.json()["id"]


async def test_a_refused_request_keeps_no_key(sqlite_people: People) -> None:
    assert (await ask(sqlite_people, "key-1", resources={"gpu": 1.5})).status_code == 422
    assert (await ask(sqlite_people, "key-1")).status_code == 201


async def test_a_key_is_forgotten_after_a_day(sqlite_people: People) -> None:
    people = sqlite_people
    clock = people.context.clock
    assert isinstance(clock, ManualClock)
    first = await ask(people, "key-1")
    clock.advance((KEPT + timedelta(seconds=1)).total_seconds())
    await ask(people, "key-2")
    assert await count(people, SubmissionRow) == 1
    assert (await ask(people, "key-1")).json()["id"] != first.json()["id"]


class Losing(httpx.AsyncBaseTransport):
    """Sends on; the first answers are lost on their way back."""

    def __init__(self, people: People, lost: int, error: type[httpx.TransportError]) -> None:
        self._inner = httpx.ASGITransport(people.app)
        self._lost = lost
        self._error = error
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        never_sent = self._error is httpx.ConnectError
        answer = None if never_sent else await self._inner.handle_async_request(request)
        if self.requests <= self._lost:
            raise self._error("lost")
        assert answer is not None
        return answer


async def test_the_client_repeats_what_got_lost(
    sqlite_people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("madang.client._async._base._AGAIN_S", (0.0, 0.0))
    people = sqlite_people
    transport = Losing(people, 2, httpx.ReadError)
    async with AsyncClient("http://localhost", people.tokens["member"], transport=transport) as c:
        job = await c.jobs.create(JobCreate(["true"], project="vision"))
        assert (await c.jobs.get(job.id)).job.id == job.id
        assert await count(people, WorkloadRow) == 1
    transport = Losing(people, 9, httpx.ReadError)
    async with AsyncClient("http://localhost", people.tokens["member"], transport=transport) as c:
        with pytest.raises(ConnectionFailed):
            await c.jobs.create(JobCreate(["true"], project="vision"))
    assert (transport.requests, await count(people, WorkloadRow)) == (3, 2)


async def test_nobody_to_send_it_to_is_said_at_once(sqlite_people: People) -> None:
    people = sqlite_people
    transport = Losing(people, 9, httpx.ConnectError)
    async with AsyncClient("http://localhost", people.tokens["member"], transport=transport) as c:
        with pytest.raises(ConnectionFailed):
            await c.jobs.create(JobCreate(["true"], project="vision"))
    assert transport.requests == 1
