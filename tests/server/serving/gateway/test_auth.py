"""What the gateway remembers of who may pass."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from madang.core.errors import Forbidden, MadangError, Unauthenticated, Unavailable
from madang.core.permissions import Permission
from madang.server.serving.gateway.auth import AWAY_S, FRESH_S, REFUSED_S, Authorizer
from madang.server.serving.grants import Grant, Resource
from tests.server.serving.gateway.conftest import World

DIGITS = Resource("endpoint", "digits", "vision")
INVOKE = Permission.ENDPOINTS_INVOKE


class Asked:
    """A control that counts questions and answers with `answer`."""

    def __init__(self) -> None:
        self.num = 0
        self.time_s = 0.0
        self.answer: Grant | MadangError = Grant("user-1", "alice", "proj-1", "endp-1")

    async def __call__(self, credential: str, permission: Permission, resource: Resource) -> Grant:
        self.num += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, MadangError):
            raise self.answer
        return self.answer

    def authorizer(self) -> Authorizer:
        def clock() -> float:
            return self.time_s

        return Authorizer(self, now=clock, monotonic=clock)


async def test_an_answer_is_kept_for_a_while() -> None:
    asked = Asked()
    authorizer = asked.authorizer()
    for _ in range(5):
        await authorizer.check("token", INVOKE, DIGITS)
    assert asked.num == 1
    asked.time_s = FRESH_S + 1
    await authorizer.check("token", INVOKE, DIGITS)
    assert asked.num == 2


async def test_each_credential_permission_and_resource_is_asked_for() -> None:
    asked = Asked()
    authorizer = asked.authorizer()
    folder = Resource("folder", "data", "vision")
    await authorizer.check("token", INVOKE, DIGITS)
    await authorizer.check("other", INVOKE, DIGITS)
    await authorizer.check("token", INVOKE, Resource("endpoint", "letters", "vision"))
    await authorizer.check("token", Permission.FOLDERS_READ, folder)
    await authorizer.check("token", Permission.FOLDERS_WRITE, folder)
    assert asked.num == 5


async def test_questions_at_the_same_time_are_one() -> None:
    asked = Asked()
    authorizer = asked.authorizer()
    await asyncio.gather(*(authorizer.check("token", INVOKE, DIGITS) for _ in range(50)))
    assert asked.num == 1


async def test_a_refusal_is_kept_briefly() -> None:
    asked = Asked()
    asked.answer = Forbidden("no")
    authorizer = asked.authorizer()
    for _ in range(3):
        with pytest.raises(Forbidden):
            await authorizer.check("token", INVOKE, DIGITS)
    assert asked.num == 1
    asked.time_s = REFUSED_S + 0.1
    asked.answer = Grant("user-1", "alice", "proj-1", "endp-1")
    assert (await authorizer.check("token", INVOKE, DIGITS)).user == "alice"


async def test_while_control_is_away_old_answers_stay_good() -> None:
    asked = Asked()
    authorizer = asked.authorizer()
    await authorizer.check("token", INVOKE, DIGITS)
    asked.answer = Unavailable("away")
    asked.time_s = AWAY_S - 1
    assert (await authorizer.check("token", INVOKE, DIGITS)).user == "alice"
    with pytest.raises(Unavailable):
        await authorizer.check("unknown", INVOKE, DIGITS)
    asked.time_s = AWAY_S + 1
    with pytest.raises(Unavailable):
        await authorizer.check("token", INVOKE, DIGITS)


async def test_a_revocation_is_seen_as_soon_as_control_is_back() -> None:
    asked = Asked()
    authorizer = asked.authorizer()
    await authorizer.check("token", INVOKE, DIGITS)
    asked.time_s = FRESH_S + 1
    asked.answer = Unauthenticated("revoked")
    with pytest.raises(Unauthenticated):
        await authorizer.check("token", INVOKE, DIGITS)
    asked.answer = Unavailable("away")
    asked.time_s += REFUSED_S + 1
    with pytest.raises(Unavailable):
        await authorizer.check("token", INVOKE, DIGITS)


async def test_a_ticket_ends_when_it_says_even_while_control_is_away() -> None:
    asked = Asked()
    asked.answer = Grant("user-1", "alice", "proj-1", "endp-1", expires_at=10.0)
    authorizer = asked.authorizer()
    await authorizer.check("mdq_x", INVOKE, DIGITS)
    asked.answer = Unavailable("away")
    asked.time_s = 9.0
    await authorizer.check("mdq_x", INVOKE, DIGITS)
    asked.time_s = 10.0
    with pytest.raises(Unavailable):
        await authorizer.check("mdq_x", INVOKE, DIGITS)


async def test_answers_over_http(world: World, browser: aiohttp.ClientSession) -> None:
    await world.app(1)
    await world.until_routed(world.table(1))
    url = world.url("/endpoints/vision/digits/v2")
    for header, status in (
        ({}, 401),
        ({"Authorization": "Basic YTpi"}, 401),
        ({"Authorization": "Bearer mdt_nobody"}, 401),
        ({"Authorization": "Bearer mdt_eve"}, 403),
        ({"X-Madang-Ticket": "mdq_ticket"}, 200),
        ({"Authorization": "bearer mdt_alice"}, 200),
    ):
        async with browser.get(url, headers=header) as answer:
            assert answer.status == status, header
            if status == 401:
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            if status >= 400:
                assert answer.content_type == "application/problem+json"
    assert len(world.apps[0].requests) == 2
    assert "X-Madang-Ticket" not in world.apps[0].requests[0].headers
    async with browser.get(
        world.url("/endpoints/vision/unknown/v2"), headers={"Authorization": "Bearer mdt_alice"}
    ) as answer:
        assert answer.status == 404


async def test_control_away_and_nothing_remembered(
    world: World, browser: aiohttp.ClientSession
) -> None:
    await world.until_routed(world.table(1))
    await world.control.stop()
    headers = {"Authorization": "Bearer mdt_alice"}
    async with browser.get(world.url("/endpoints/vision/digits/"), headers=headers) as answer:
        assert answer.status == 503
        assert "control process" in (await answer.json())["title"]
