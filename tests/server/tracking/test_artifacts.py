"""Artifacts: whole files only, inside the folder only."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from madang.core.errors import Forbidden, InvalidInput, MadangError, NotFound
from madang.server.identity.principal import Principal
from madang.server.tracking import artifacts, runs
from tests.conftest import People


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@dataclass
class Logged:
    """A run of `vision` with a first artifact, and where its artifacts are on disk."""

    people: People
    principal: Principal
    root: str
    folder: Path

    async def write(self, path: str, *parts: bytes) -> int:
        return await artifacts.write_artifact(
            self.people.context, self.principal, f"{self.root}/{path}", chunks(*parts)
        )

    async def read(self, path: str) -> bytes:
        found = await artifacts.open_artifact(
            self.people.context, self.principal, f"{self.root}/{path}"
        )
        return b"".join([chunk async for chunk in found.chunks()])

    async def names(self, path: str = "") -> list[str]:
        found = await artifacts.list_artifacts(
            self.people.context, self.principal, f"{self.root}/{path}"
        )
        return [entry.name for entry in found]


@pytest.fixture
async def logged(sqlite_people: People) -> Logged:
    principal = await sqlite_people.principal("member")
    context = sqlite_people.context
    run = await runs.create_run(context, principal, "0")
    root = f"{run.row.experiment_id}/{run.row.id}/artifacts"
    await artifacts.write_artifact(context, principal, f"{root}/first", chunks(b"1"))
    async with context.db.read() as session:
        _, top = await artifacts.project_folder(context, session, sqlite_people.project_id)
    return Logged(sqlite_people, principal, root, top / root)


async def test_write_read_list_delete(logged: Logged) -> None:
    big = os.urandom(3 * 2**20 + 7)
    size = await logged.write(
        "a/b/큰 파일\n.bin", *[big[i : i + 1000] for i in range(0, len(big), 1000)]
    )
    assert size == len(big)
    assert await logged.read("a/b/큰 파일\n.bin") == big
    assert await logged.names() == ["a", "first"]
    await logged.write("a/b/큰 파일\n.bin", b"shorter")
    assert await logged.read("a/b/큰 파일\n.bin") == b"shorter"
    await artifacts.delete_artifact(logged.people.context, logged.principal, f"{logged.root}/a")
    await artifacts.delete_artifact(logged.people.context, logged.principal, f"{logged.root}/a")
    assert await logged.names() == ["first"]
    with pytest.raises(NotFound):
        await logged.read("a/b/큰 파일\n.bin")
    with pytest.raises(InvalidInput):
        await logged.read("")


async def test_an_upload_that_breaks_off_leaves_what_was_there(logged: Logged) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (2 * 2**20)
        assert await logged.names() == ["first"]  # the half of it is not shown
        raise ConnectionError("the client went away")

    with pytest.raises(ConnectionError):
        await artifacts.write_artifact(
            logged.people.context, logged.principal, f"{logged.root}/first", broken()
        )
    assert await logged.read("first") == b"1"
    assert os.listdir(logged.folder) == ["first"]


@pytest.mark.parametrize(
    "path",
    ["../../../../../etc/passwd", "a/../../b", "x\0y", "n" * 300, "link/passwd"],
)
async def test_no_path_leads_out(logged: Logged, path: str) -> None:
    (logged.folder / "link").symlink_to("/etc")
    for attempt in (logged.read(path), logged.write(path, b"x")):
        with pytest.raises(MadangError):
            await attempt
    with pytest.raises(Forbidden):
        await logged.read("link/passwd")
    with pytest.raises(Forbidden):
        await logged.names("link")


async def test_only_runs_and_models_hold_artifacts(logged: Logged) -> None:
    experiment_id, run_id, _ = logged.root.split("/")
    other = await runs.create_run(logged.people.context, logged.principal, "0")
    for path in (
        experiment_id,
        f"{experiment_id}/x",
        f"{experiment_id}/{run_id}",
        f"{experiment_id}/{run_id}/other/x",
        f"{experiment_id}/{'0' * 32}/artifacts/x",
        f"{experiment_id}/models/{other.row.id}/artifacts/x",
    ):
        with pytest.raises(InvalidInput):
            await artifacts.write_artifact(
                logged.people.context, logged.principal, path, chunks(b"x")
            )
        with pytest.raises(InvalidInput):
            await artifacts.delete_artifact(logged.people.context, logged.principal, path)
    with pytest.raises(NotFound):
        await artifacts.write_artifact(
            logged.people.context, logged.principal, f"1/{run_id}/artifacts/x", chunks(b"x")
        )


async def test_a_fetched_page_does_not_run_here(logged: Logged) -> None:
    await logged.write("page.html", b"<script>alert(1)</script>")
    async with logged.people.client("viewer") as viewer:
        url = f"/api/2.0/mlflow-artifacts/artifacts/{logged.root}/page.html"
        answer = await viewer.get(url)
    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
