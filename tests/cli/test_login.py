"""`madang login` with a project of its own, and how unclear ones are told."""

from __future__ import annotations

import asyncio
from pathlib import Path

from typer.testing import CliRunner, Result

from madang.cli.main import app
from madang.client.config import read_login_file
from madang.core.errors import InvalidInput, NotFound
from tests.conftest import People
from tests.server.workloads.live import api_on_a_port


async def test_a_login_keeps_a_project(sqlite_people: People, tmp_path: Path) -> None:
    file = tmp_path / "client.toml"
    token = sqlite_people.tokens["admin"]

    async def type_words(*words: str) -> Result:
        variables = {"MADANG_CONFIG": str(file)}
        return await asyncio.to_thread(CliRunner().invoke, app, list(words), env=variables)

    async with api_on_a_port(sqlite_people.context) as url:
        nowhere = await type_words("login", url, "--token", token, "--project", "nope")
        assert isinstance(nowhere.exception, NotFound)
        assert not file.exists()
        await type_words("login", url, "--token", token)
        unclear = await type_words("job", "run", "-d", "true")
        assert isinstance(unclear.exception, InvalidInput)
        assert "MADANG_PROJECT" in str(unclear.exception.hint)
        done = await type_words("login", url, "--token", token, "--project", "vision")
        assert done.exit_code == 0, done.exception
        ran = await type_words("job", "run", "-d", "true")
        assert ran.exit_code == 0, ran.exception
    stored = read_login_file(file)
    assert stored is not None
    assert stored.project == "vision"


async def test_mlflow_hears_of_the_tracking_uri(people: People) -> None:
    async with people.client("admin") as admin:
        answer = await admin.post("/api/2.0/mlflow/experiments/create", json={"name": "x"})
    assert answer.status_code == 400
    assert "/projects/NAME" in answer.json()["message"]
    assert "--project" not in answer.json()["message"]
