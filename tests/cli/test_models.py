"""`madang model` and `madang lineage` against the real API on a port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from madang.cli.main import app
from tests.conftest import People
from tests.server.workloads.live import api_on_a_port

Type = Callable[..., Awaitable[Result]]


async def register(people: People, *, versions: int) -> None:
    """As MLflow's client does it: a run, a model, its versions."""
    mlflow = "/projects/vision/api/2.0/mlflow"
    async with people.client("member") as member:

        async def call(route: str, **message: Any) -> Any:
            answer = await member.post(f"{mlflow}/{route}", json=message)
            assert answer.status_code == 200, answer.text
            return answer.json()

        experiment = (await call("experiments/create", name="digits"))["experiment_id"]
        run = (await call("runs/create", experiment_id=experiment, run_name="try"))["run"]
        await call("registered-models/create", name="digits", description="reads digits")
        for _ in range(versions):
            await call(
                "model-versions/create",
                name="digits",
                source=f"{run['info']['artifact_uri']}/model",
                run_id=run["info"]["run_id"],
            )


@pytest.fixture
async def type_(sqlite_people: People) -> AsyncIterator[Type]:
    await register(sqlite_people, versions=2)
    async with api_on_a_port(sqlite_people.context) as url:

        async def type_words(*words: str, user: str = "member", answers: str = "") -> Result:
            variables = {
                "MADANG_URL": url,
                "MADANG_TOKEN": sqlite_people.tokens[user],
                "MADANG_PROJECT": "vision",
            }
            return await asyncio.to_thread(
                CliRunner().invoke, app, list(words), env=variables, input=answers
            )

        yield type_words


async def said(type_: Type, *words: str, **options: str) -> str:
    result = await type_(*words, **options)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


async def test_models_and_their_versions_are_shown(type_: Type) -> None:
    assert "digits" in await said(type_, "model", "list")
    shown = await said(type_, "model", "show", "digits")
    assert "reads digits" in shown and "latest version  2" in shown
    versions = json.loads(await said(type_, "model", "versions", "digits", "--json"))
    versions = versions["items"] if isinstance(versions, dict) else versions
    assert [version["ref"] for version in versions] == ["digits/2", "digits/1"]


async def test_an_alias_means_a_version_until_it_is_taken_away(type_: Type) -> None:
    moved = await said(type_, "model", "alias", "digits", "champion", "1")
    assert "digits@champion" in moved and "digits/1" in moved
    assert "champion=1" in await said(type_, "model", "show", "digits")
    await said(type_, "model", "alias", "digits", "champion", "--remove")
    assert "champion" not in await said(type_, "model", "show", "digits")
    assert (await type_("model", "alias", "digits", "champion")).exit_code == 2


async def test_deleting_asks_first(type_: Type) -> None:
    refused = await type_("model", "delete", "digits", answers="n\n")
    assert refused.exit_code != 0
    assert "Deleted" in await said(type_, "model", "delete", "digits", "--version", "1", "--yes")
    versions = await said(type_, "model", "versions", "digits")
    assert "digits/2" in versions and "digits/1" not in versions
    await said(type_, "model", "delete", "digits", answers="y\n")
    assert "No model is registered" in await said(type_, "model", "list")


async def test_a_model_that_is_not_there_is_said_in_a_sentence(type_: Type) -> None:
    result = await type_("model", "show", "letters")
    assert result.exit_code != 0
    assert "letters" in str(result.exception)


async def test_viewers_may_look_and_not_delete(type_: Type) -> None:
    assert "digits" in await said(type_, "model", "list", user="viewer")
    assert (await type_("model", "delete", "digits", "--yes", user="viewer")).exit_code != 0


async def test_lineage_of_a_version_names_its_run(type_: Type) -> None:
    shown = await said(type_, "lineage", "show", "--model", "digits/1")
    assert "run" in shown and "try" in shown and "digits/1" in shown
