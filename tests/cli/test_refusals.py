"""What commands refuse, and that nothing has been done by then."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner, Result

from madang.cli.main import app
from madang.core.errors import InvalidInput, NotFound
from tests.conftest import People
from tests.server.workloads.live import api_on_a_port


async def type_words(people: People, url: str, *words: str, user: str = "admin") -> Result:
    variables = {"MADANG_URL": url, "MADANG_TOKEN": people.tokens[user]}
    return await asyncio.to_thread(CliRunner().invoke, app, list(words), env=variables)


async def test_a_wrong_role_or_project_makes_no_account(sqlite_people: People) -> None:
    async with api_on_a_port(sqlite_people.context) as url:
        create = ("user", "create", "lee", "--project")
        boss = await type_words(sqlite_people, url, *create, "vision", "--role", "boss")
        nowhere = await type_words(sqlite_people, url, *create, "nope")
        added = await type_words(
            sqlite_people, url, "project", "add-member", "vision", "member", "--role", "boss"
        )
        users = await type_words(sqlite_people, url, "user", "list")
    for result in (boss, added):
        assert isinstance(result.exception, InvalidInput)
        assert result.exception.exit_code == 2
        assert "'boss' is not a role" in str(result.exception)
        assert "viewer, member, maintainer" in str(result.exception.hint)
    assert isinstance(nowhere.exception, NotFound)
    assert "member" in users.stdout
    assert "lee" not in users.stdout


@pytest.mark.parametrize("verb", ["show", "logs", "cancel", "clone", "wait", "events", "metrics"])
async def test_jobs_are_looked_up_in_the_project(sqlite_people: People, verb: str) -> None:
    async with api_on_a_port(sqlite_people.context) as url:
        ran = await type_words(
            sqlite_people, url, *("job", "run", "-d", "-p", "vision", "--name", "fit", "true")
        )
        assert ran.exit_code == 0, ran.exception
        nope = await type_words(sqlite_people, url, "job", verb, "nope")
        nowhere = await type_words(sqlite_people, url, "job", verb, "fit", "-p", "nope")
        if verb not in ("wait", "logs"):
            found = await type_words(sqlite_people, url, "job", verb, "fit", "-p", "vision")
            assert found.exit_code == 0, found.exception
    assert "there is no job 'nope'" in str(nope.exception)
    assert "madang job list" in str(getattr(nope.exception, "hint", ""))
    assert "there is no project 'nope'" in str(nowhere.exception)


async def test_jobs_beside_an_unknown_one_are_cancelled(sqlite_people: People) -> None:
    async with api_on_a_port(sqlite_people.context) as url:
        for name in ("one", "two"):
            run = ("job", "run", "-d", "-p", "vision", "--name", name, "true")
            assert (await type_words(sqlite_people, url, *run)).exit_code == 0
        cancel = ("job", "cancel", "one", "nope", "two", "-p", "vision")
        done = await type_words(sqlite_people, url, *cancel)
    assert isinstance(done.exception, NotFound)
    assert "'nope'" in str(done.exception)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["one", "two"]


async def test_a_time_limit_of_nothing_is_not_taken_for_none(sqlite_people: People) -> None:
    async with api_on_a_port(sqlite_people.context) as url:
        run = ("job", "run", "-d", "-p", "vision", "--name", "short", "--time-limit", "0s", "true")
        refused = await type_words(sqlite_people, url, *run)
        jobs = await type_words(sqlite_people, url, "job", "list", "-p", "vision")
    assert isinstance(refused.exception, InvalidInput)
    assert "Leave it out for no limit" in str(refused.exception.hint)
    assert "short" not in jobs.stdout
