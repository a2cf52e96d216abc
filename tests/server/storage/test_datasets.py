"""Datasets: versions that never change, views that stay, references that resolve."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from madang.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from madang.data import Dataset
from madang.schemas.folders import FolderAccessLevel
from madang.server.storage import datasets, folders, versions
from madang.server.storage.datasets import ResolvedDataset, resolve_dataset
from tests.conftest import People


@pytest.fixture
async def root(people: People) -> Path:
    """The folder `digits` with 40 files in 4 classes below `train`."""
    member = await people.principal("member")
    view = await folders.create_folder(people.context, member, "digits", project="vision")
    root = folders.folder_path(people.context, view.row)
    for number in range(40):
        path = root / f"train/{number % 4}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
    return root


async def create(people: People, path: str = "train", name: str = "digits") -> None:
    member = await people.principal("member")
    await datasets.create_dataset(people.context, member, name, "digits", path, project="vision")


async def save(people: People, name: str = "digits") -> versions.NamedVersion:
    member = await people.principal("member")
    return await versions.create_version(people.context, member, "vision", name)


async def resolve(people: People, ref: str, who: str = "member") -> ResolvedDataset:
    principal = await people.principal(who)
    async with people.context.db.read() as session:
        return await resolve_dataset(people.context, session, principal, people.project_id, ref)


async def test_a_version_is_what_was_there(people: People, root: Path) -> None:
    await create(people)
    first, who = await save(people)
    assert (first.number, first.num_items, first.total_bytes) == (1, 40, sum(range(40)))
    assert who == "member"
    report = first.report
    assert [(entry["name"], entry["count"]) for entry in report["classes"]] == [
        (str(label), 10) for label in range(4)
    ]
    assert (report["imbalance"], report["formats"]) == (1.0, {".png": 40})
    assert report["stable"] and report["listed_with"] == "native"
    again, _ = await save(people)
    assert again.id == first.id
    (root / "train/0/new.png").write_bytes(b"new")
    second, _ = await save(people)
    assert (second.number, second.num_items) == (2, 41)
    (root / "train/0/new.png").unlink()
    back, _ = await save(people)
    assert back.id == first.id


async def test_saving_at_once_makes_one_version(people: People, root: Path) -> None:
    await create(people)
    found = await asyncio.gather(*(save(people) for _ in range(4)))
    assert {version.id for version, _ in found} == {found[0][0].id}


async def test_creating_again_is_fine_unless_it_is_another(people: People, root: Path) -> None:
    await create(people)
    await create(people)
    with pytest.raises(Conflict, match="other files"):
        await create(people, path="")


async def test_a_job_reads_what_it_was_given(people: People, root: Path) -> None:
    await create(people)
    version, _ = await save(people)
    member = await people.principal("member")
    await versions.hold_out(
        people.context,
        member,
        "vision",
        "digits",
        name="test",
        fraction=0.25,
        rest="train",
        seed=1,
    )
    found = await resolve(people, "digits@1:train")
    assert (found.version_id, found.mount.read_only) == (version.id, True)
    assert found.mount.source == str(root)
    inside = {found.mount.target: found.mount.source}
    inside[found.manifest_mount.target] = found.manifest_mount.source

    def on_node(path: str) -> str:
        target = next(target for target in inside if path.startswith(target))
        return inside[target] + path.removeprefix(target)

    entry = found.entry | {key: on_node(found.entry[key]) for key in ("root", "manifest")}
    variables = {"MADANG_DATASETS": json.dumps({found.ref: entry})}
    train = Dataset("digits@1:train", variables=variables)
    test = Dataset("digits@1:test", variables=variables)
    assert len(train) + len(test) == len(Dataset("digits@1", variables=variables)) == 40
    assert not {item.path for item in train} & {item.path for item in test}
    assert train.classes == ("0", "1", "2", "3")
    for path, label in train:
        assert os.path.getsize(path) == int(Path(path).stem)
        assert Path(path).parent.name == train.classes[label]
    items, more = await versions.list_items(
        people.context, member, "vision", "digits", 1, view="test", start=0, limit=1000
    )
    assert not more
    assert {path for path, _, _ in items} == {
        os.fsencode(os.path.relpath(item.path, root / "train")) for item in test
    }


async def test_references(people: People, root: Path) -> None:
    await create(people)
    with pytest.raises(NotFound, match="no version yet"):
        await resolve(people, "digits")
    await save(people)
    (root / "train/0/new.png").write_bytes(b"new")
    second, _ = await save(people)
    assert (await resolve(people, "digits")).version_id == second.id
    assert (await resolve(people, "vision/digits@2")).version_id == second.id
    for ref in ("digits@3", "digits:none", "nothing", "other/digits"):
        with pytest.raises(NotFound):
            await resolve(people, ref)
    for ref in ("digits@x", "digits@1@2", "", ":train", "a/b/c"):
        with pytest.raises(InvalidInput):
            await resolve(people, ref)
    with pytest.raises(NotFound):
        await resolve(people, "vision/digits", "outsider")


async def test_a_folder_that_is_not_hers_gives_no_dataset(people: People, root: Path) -> None:
    await create(people)
    await save(people)
    member = await people.principal("member")
    from madang.server.storage.grants import set_grant

    await set_grant(
        people.context, member, "vision", "digits", kind="project", name="vision", access=None
    )
    with pytest.raises(Forbidden):
        await resolve(people, "digits", "viewer")
    await folders.trash_folder(people.context, member, "vision", "digits")
    with pytest.raises(NotFound, match="trash"):
        await resolve(people, "digits")


async def test_views_are_made_once(people: People, root: Path) -> None:
    await create(people)
    member = await people.principal("member")

    async def hold_out(fraction: float) -> list[str]:
        views = await versions.hold_out(
            people.context,
            member,
            "vision",
            "digits",
            name="test",
            fraction=fraction,
            rest="train",
            seed=0,
        )
        return sorted(view.name for view in views)

    assert await hold_out(0.2) == ["test", "train"]
    assert await hold_out(0.2) == ["test", "train"]
    with pytest.raises(Conflict, match="another part"):
        await hold_out(0.3)


async def test_a_link_out_of_the_folder_is_not_a_dataset(
    people: People, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("x")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "train/0/link.png").symlink_to(tmp_path / "secret/key")
    await create(people, path="out", name="out")
    with pytest.raises(Forbidden, match="leads out"):
        await save(people, "out")
    await create(people)
    version, _ = await save(people)
    assert version.num_items == 40
    assert version.report["skipped"] == {"symlink": 1}


async def test_an_empty_folder_has_no_version(people: People, root: Path) -> None:
    (root / "empty").mkdir()
    await create(people, path="empty", name="empty")
    with pytest.raises(InvalidInput, match="no files yet"):
        await save(people, "empty")
    await create(people, path="none", name="none")
    with pytest.raises(NotFound):
        await save(people, "none")
    with pytest.raises(InvalidInput, match=r"\.\."):
        await create(people, path="../other", name="up")


async def test_rights(people: People, root: Path) -> None:
    await create(people)
    await save(people)
    viewer, outsider = await people.principal("viewer"), await people.principal("outsider")
    with pytest.raises(Forbidden):
        await versions.create_version(people.context, viewer, "vision", "digits")
    found = await datasets.get_dataset(people.context, viewer, "vision", "digits")
    assert found.latest and found.latest[0].number == 1
    with pytest.raises(NotFound):
        await datasets.get_dataset(people.context, outsider, "vision", "digits")
    listed = await datasets.list_datasets(
        people.context, outsider, project=None, limit=10, cursor=None
    )
    assert listed == []
    assert FolderAccessLevel.NONE.rank == 0
