"""Registered models: what a reference means, where the files are, our own API and client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from madang.client import AsyncClient
from madang.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from madang.server.api.app import create_app
from madang.server.tracking import artifacts, models, runs, versions
from madang.server.tracking.metrics import Point, log_batch
from tests.conftest import People


async def one_chunk(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def register(people: People, name: str = "digits", count: int = 3) -> runs.Run:
    """A model with versions, all from one run that has logged the files."""
    context, principal = people.context, await people.principal("member")
    run = await runs.create_run(context, principal, "0", name="training")
    root = run.artifact_uri.removeprefix("mlflow-artifacts:/")
    await artifacts.write_artifact(context, principal, f"{root}/model/MLmodel", one_chunk(b"m"))
    await models.create_model(context, principal, name)
    for _ in range(count):
        await versions.create_version(context, principal, name, f"runs:/{run.row.id}/model")
    return run


def sdk(people: People, name: str) -> AsyncClient:
    return AsyncClient(
        "http://madang.test",
        people.tokens[name],
        transport=httpx.ASGITransport(create_app(people.context)),
    )


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("digits", ("digits", None, None)),
        ("digits/3", ("digits", 3, None)),
        ("models:/digits/3", ("digits", 3, None)),
        ("digits@champion", ("digits", None, "champion")),
    ],
)
def test_split_ref(ref: str, expected: tuple[str, int | None, str | None]) -> None:
    assert models.split_ref(ref) == expected


@pytest.mark.parametrize("ref", ["", "/3", "digits/", "digits/x", "digits/-1", "@a", "digits@"])
def test_what_is_no_reference(ref: str) -> None:
    with pytest.raises(InvalidInput):
        models.split_ref(ref)


async def test_resolve_model(people: People) -> None:
    run = await register(people)
    context, member = people.context, await people.principal("member")
    await versions.set_alias(context, member, "digits", "champion", 2)
    async with context.db.read() as session:
        for ref, number in (("digits", 3), ("digits/1", 1), ("digits@champion", 2)):
            row = await models.resolve_model(session, member, people.project_id, ref)
            assert (row.version, row.run_id) == (number, run.row.id)
        folder = await models.artifact_folder(context, session, row)
        assert (folder.path / "MLmodel").read_bytes() == b"m"
        assert folder.path.as_posix().endswith(folder.relative)
        for ref in ("digits/4", "digits@none", "other"):
            with pytest.raises(NotFound):
                await models.resolve_model(session, member, people.project_id, ref)
        outsider = await people.principal("outsider")
        with pytest.raises(NotFound):
            await models.resolve_model(session, outsider, people.project_id, "digits")


async def test_the_client(people: People) -> None:
    run = await register(people)
    context, principal = people.context, await people.principal("member")
    points = [Point("loss", 1.0 / step, step, step) for step in range(1, 6)]
    await log_batch(context, principal, run.row.id, metrics=points, params=[("lr", "0.1")])
    async with sdk(people, "member") as client:
        (model,) = (await client.models.list()).items
        assert (model.name, model.project, model.latest_version) == ("digits", "vision", 3)
        first = await client.models.versions("digits", limit=2)
        rest = await client.models.versions("digits", limit=2, cursor=first.next_cursor)
        assert [item.ref for item in first.items + rest.items] == [
            "digits/3",
            "digits/2",
            "digits/1",
        ]
        assert rest.next_cursor is None
        await client.models.set_alias("digits", "champion", 2)
        assert (await client.models.get(model.id)).aliases == {"champion": 2}
        assert (await client.models.version("digits", 2)).aliases == ["champion"]
        await client.models.delete_alias("digits", "champion")
        renamed = await client.models.update("digits", name="numbers", description="0 to 9")
        assert (renamed.name, renamed.description) == ("numbers", "0 to 9")
        await client.models.delete_version("numbers", 3)
        assert (await client.models.get("numbers")).latest_version == 2
        await client.models.delete("numbers")
        with pytest.raises(NotFound):
            await client.models.get("numbers")

        (experiment,) = (await client.experiments.list()).items
        assert (await client.experiments.get("Default")).id == experiment.id
        shown = await client.runs.get(run.row.id)
        assert (shown.name, shown.experiment, shown.user) == ("training", "Default", "member")
        assert (shown.params, shown.metrics["loss"].value) == ({"lr": "0.1"}, 0.2)
        listed = await client.runs.list(experiment="Default", filter="metrics.loss < 0.5")
        assert [item.id for item in listed.items] == [run.row.id]
        assert (await client.runs.list(filter="metrics.loss > 0.5")).items == []
        history = [value.step async for value in client.runs.metric_history(run.row.id, "loss")]
        assert history == [1, 2, 3, 4, 5]


async def test_runs_are_paged_by_cursor(people: People) -> None:
    context, principal = people.context, await people.principal("member")
    made = [
        (await runs.create_run(context, principal, "0", start_ms=index // 2)).row
        for index in range(7)
    ]
    expected = sorted(made, key=lambda row: (row.start_ms, row.id), reverse=True)
    async with sdk(people, "viewer") as client:
        seen: list[str] = []
        cursor = None
        while True:
            page = await client.runs.list(limit=3, cursor=cursor)
            seen += [run.id for run in page.items]
            if (cursor := page.next_cursor) is None:
                break
        with pytest.raises(InvalidInput):
            await client.runs.list(cursor="nonsense")
        with pytest.raises(InvalidInput):
            await client.runs.list(filter="nonsense =")
    assert seen == [row.id for row in expected]


async def test_roles(people: People) -> None:
    await register(people, count=1)
    async with sdk(people, "viewer") as viewer:
        assert (await viewer.models.get("digits")).latest_version == 1
        with pytest.raises(Forbidden):
            await viewer.models.set_alias("digits", "champion", 1)
        with pytest.raises(Forbidden):
            await viewer.models.delete("digits")
    async with sdk(people, "outsider") as outsider:
        assert (await outsider.models.list()).items == []
        with pytest.raises(NotFound):
            await outsider.models.get("digits", project="vision")
        with pytest.raises(NotFound):
            await outsider.models.get("digits")
    async with sdk(people, "member") as member:
        with pytest.raises(InvalidInput):
            await member.models.set_alias("digits", "latest", 1)
        with pytest.raises(NotFound):
            await member.models.set_alias("digits", "champion", 9)


async def test_a_taken_name(people: People) -> None:
    principal = await people.principal("member")
    await models.create_model(people.context, principal, "a")
    await models.create_model(people.context, principal, "b")
    with pytest.raises(Conflict):
        await models.update_model(people.context, principal, "a", new_name="b")
    for name in ("", " ", "a/b", "a:b", "a@b", "../x", "n" * 251):
        with pytest.raises(InvalidInput):
            await models.create_model(people.context, principal, name)
