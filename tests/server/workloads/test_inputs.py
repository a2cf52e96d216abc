"""What a workload's folders may be called inside."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from madang.core.errors import InvalidInput
from madang.core.states import WorkloadKind
from madang.server.storage import folders
from madang.server.workloads import inputs
from madang.server.workloads.spec import MountSpec
from tests.conftest import People
from tests.server.workloads.platform import Platform


async def resolve(people: People, *targets: str, **changes: Any) -> inputs.ResolvedInputs:
    principal = await people.principal("member")
    mounts = tuple(MountSpec(folder="data", target=target) for target in targets)
    spec = Platform(people, principal).spec(mounts=mounts, **changes)
    async with people.context.db.read() as session:
        return await inputs.resolve_inputs(people.context, session, principal, spec)


@pytest.mark.parametrize(
    "targets",
    [
        ("/mnt/a", "/mnt/a"),
        ("/mnt/a", "/mnt/a/x/deep"),
        ("/mnt/a/x", "/mnt/a"),
        ("/checkpoints",),
        ("/checkpoints/x",),
        ("/code/x",),
        (sys.base_prefix,),
    ],
)
async def test_nothing_is_mounted_within_anything_else(
    sqlite_people: People, targets: tuple[str, ...]
) -> None:
    """Root, who mounts, would follow the links that are in it."""
    principal = await sqlite_people.principal("member")
    await folders.create_folder(sqlite_people.context, principal, "data", project="vision")
    with pytest.raises(InvalidInput) as refused:
        await resolve(sqlite_people, *targets, code="0" * 64)
    assert refused.value.hint


async def test_what_stands_apart_is_mounted(sqlite_people: People) -> None:
    principal = await sqlite_people.principal("member")
    await folders.create_folder(sqlite_people.context, principal, "data", project="vision")
    found = await resolve(sqlite_people, "/mnt/a", "/mnt/ab", "/code")
    assert [mount.target for mount in found.mounts] == ["/mnt/a", "/mnt/ab", "/code"]
    service = WorkloadKind.SERVICE
    found = await resolve(sqlite_people, "/checkpoints", kind=service)
    assert found.mounts[0].target == "/checkpoints"


def test_two_datasets_may_be_one_folder() -> None:
    targets = inputs._Targets()
    targets.take("/mnt/datasets/fold_1", "fold_1")
    targets.take("/mnt/datasets/fold_1", "fold_1")
    for target in ("/mnt", "/mnt/datasets", "/mnt/datasets/fold_1", "/mnt/datasets/fold_1/x"):
        with pytest.raises(InvalidInput, match="'fold_1' is at /mnt/datasets/fold_1"):
            targets.take(target, "data")
    targets.take("/mnt/datasets/fold_2", "fold_2")
