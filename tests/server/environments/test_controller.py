"""Environments from being asked for to being cleared away, with a builder that tests control."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from madang.core.errors import Conflict, InvalidInput, NotFound
from madang.server.cluster.protocol import EnvironmentBuild, EnvironmentBuilt
from madang.server.context import ServerContext
from madang.server.environments import service
from madang.server.environments.controller import Controller
from madang.server.environments.tables import EnvironmentRow
from tests.conftest import People


class FakeNode:
    """Makes folders instead of building. `hold` makes builds wait, `answers` come one by one."""

    def __init__(self) -> None:
        self.orders: list[EnvironmentBuild] = []
        self.answers: list[EnvironmentBuilt | Exception] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def build(self, context: ServerContext, order: EnvironmentBuild) -> EnvironmentBuilt:
        self.orders.append(order)
        await self.hold.wait()
        answer = self.answers.pop(0) if self.answers else EnvironmentBuilt(True, ("a==1",), "", 1)
        if isinstance(answer, Exception):
            raise answer
        if answer.ok:
            Path(order.path).mkdir()
            Path(f"{order.path}.log").write_text("Resolved\n")
        return answer


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@asynccontextmanager
async def controller_of(context: ServerContext, node: FakeNode) -> AsyncIterator[None]:
    task = asyncio.create_task(Controller(context, node.build).run())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def create(
    people: People, *packages: str, name: str = "vision", project: str = "vision"
) -> EnvironmentRow:
    who = await people.principal("member" if project == "vision" else "outsider")
    row, _ = await service.create_environment(people.context, who, name, packages, project=project)
    return row


async def until(people: People, ref: str, condition: Callable[[EnvironmentRow], bool]) -> None:
    """Wait for a row to be as wanted."""
    admin = await people.principal("admin")
    async with asyncio.timeout(10):
        while True:
            row = await service.get_environment(people.context, admin, ref, project="vision")
            if condition(row):
                return
            await asyncio.sleep(0.01)


def is_ready(row: EnvironmentRow) -> bool:
    return row.state == "ready"


def is_failed(row: EnvironmentRow) -> bool:
    return row.state == "failed"


async def test_the_same_content_is_the_same_version(people: People) -> None:
    first = await create(people, "numpy", "pillow==11")
    assert (first.version, first.state) == (1, "building")
    assert (await create(people, "Pillow == 11", "numpy")).id == first.id
    second = await create(people, "numpy")
    assert second.version == 2
    assert (await create(people, "numpy", "pillow==11")).id == first.id
    assert (await create(people, "numpy", name="other")).version == 1


async def test_many_at_once_agree(people: People) -> None:
    """Twelve requests for three contents: three versions, and each content one of them."""
    rows = await asyncio.gather(*(create(people, f"numpy=={number % 3}") for number in range(12)))
    assert sorted({row.version for row in rows}) == [1, 2, 3]
    assert len({(row.digest, row.id) for row in rows}) == 3


async def test_built_once_for_all_who_ask(people: People, node: FakeNode) -> None:
    node.hold.clear()
    async with controller_of(people.context, node):
        mine = await create(people, "numpy")
        theirs = await create(people, "numpy", project="other")
        renamed = await create(people, "numpy", name="again")
        node.hold.set()
        await until(people, mine.id, is_ready)
        await until(people, renamed.id, is_ready)
        late = await create(people, "numpy", name="late")
    assert late.state == "ready" and late.lock == ["a==1"]
    assert theirs.digest == mine.digest
    assert len(node.orders) == 1
    order = node.orders[0]
    assert order.packages[0] == "numpy" and order.packages[1].startswith("madang==")
    assert order.path == str(people.context.paths.environments / mine.digest)


async def test_two_controllers_build_once(people: People, node: FakeNode) -> None:
    """As when a new control starts while the old one still ends."""
    async with controller_of(people.context, node), controller_of(people.context, node):
        row = await create(people, "numpy")
        await until(people, row.id, is_ready)
    assert len(node.orders) == 1


async def test_failure_keeps_the_message_and_can_be_retried(
    people: People, node: FakeNode
) -> None:
    node.answers = [EnvironmentBuilt(False, error="no such package: nunpy")]
    who = await people.principal("member")
    async with controller_of(people.context, node):
        row = await create(people, "nunpy")
        await until(people, row.id, is_failed)
        failed = await service.get_environment(people.context, who, row.id)
        assert failed.error == "no such package: nunpy"
        await service.retry_environment(people.context, who, row.id)
        await until(people, row.id, is_ready)
    ready = await service.get_environment(people.context, who, row.id)
    assert ready.error is None
    with pytest.raises(Conflict, match="is ready"):
        await service.retry_environment(people.context, who, row.id)


async def test_asking_again_is_a_retry(people: People, node: FakeNode) -> None:
    node.answers = [EnvironmentBuilt(False, error="the index is down")]
    async with controller_of(people.context, node):
        row = await create(people, "numpy")
        await until(people, row.id, is_failed)
        assert (await create(people, "numpy")).id == row.id
        await until(people, row.id, is_ready)


async def test_a_node_that_does_not_answer_is_asked_again(
    people: People, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("madang.server.environments.controller._RECHECK_S", 0.01)
    node.answers = [httpx.ConnectError("the agent is not up yet")]
    async with controller_of(people.context, node):
        row = await create(people, "numpy")
        await until(people, row.id, is_ready)
    assert len(node.orders) == 2


async def test_removal_deletes_what_nobody_shares(people: People, node: FakeNode) -> None:
    who = await people.principal("member")
    folders = people.context.paths.environments
    async with controller_of(people.context, node):
        row = await create(people, "numpy")
        await create(people, "numpy", name="twin")
        await until(people, row.id, is_ready)
        await service.remove_environment(people.context, who, "vision", project="vision")
        assert (folders / row.digest).is_dir()
        await service.remove_environment(people.context, who, "twin@1", project="vision")
        async with asyncio.timeout(10):
            while list(folders.iterdir()):
                await asyncio.sleep(0.01)
        again = await create(people, "numpy")
        assert (again.version, again.state) == (2, "building")
        await until(people, again.id, is_ready)
    with pytest.raises(NotFound):
        await service.get_environment(people.context, who, row.id, project="vision")


async def test_removal_is_refused_while_in_use(people: People) -> None:
    row = await create(people, "numpy")
    who = await people.principal("member")

    async def users(session: object, environment_id: str) -> list[str]:
        return ["job train", "endpoint digits"] if environment_id == row.id else []

    people.context.environment_users = users
    with pytest.raises(Conflict, match="job train, endpoint digits"):
        await service.remove_environment(people.context, who, "vision")


async def test_how_one_is_named(people: People) -> None:
    first = await create(people, "numpy")
    second = await create(people, "pillow")
    who = await people.principal("viewer")
    async with people.context.db.read() as session:
        for ref, wanted in (("vision", second), ("vision@1", first), (first.id, first)):
            found = await service.resolve_environment(session, who, people.project_id, ref)
            assert found.id == wanted.id
        for ref in ("vision@3", "nothing", "@1", ""):
            with pytest.raises(NotFound):
                await service.resolve_environment(session, who, people.project_id, ref)
        for ref in ("vision@latest", "vision@", "vision@-1", "vision@" + "9" * 30):
            with pytest.raises(InvalidInput):
                await service.resolve_environment(session, who, people.project_id, ref)


async def test_the_log_as_it_is_written(sqlite_people: People) -> None:
    """Whole lines while it is being built, everything once it is not."""
    row = await create(sqlite_people, "numpy")
    context, who = sqlite_people.context, await sqlite_people.principal("viewer")
    path = context.paths.environments / f"{row.digest}.log"
    assert await service.read_log(context, who, row.id) == ("", 0, False)
    path.write_bytes("Resolved 한글\nDownl".encode())
    text, offset, complete = await service.read_log(context, who, row.id)
    assert (text, complete) == ("Resolved 한글\n", False)
    path.write_bytes("Resolved 한글\nDownloading".encode())
    async with context.db.transaction() as session:
        (await session.get_one(EnvironmentRow, row.id)).state = "failed"
    text, offset, complete = await service.read_log(context, who, row.id, offset=offset)
    assert (text, complete) == ("Downloading", True)
