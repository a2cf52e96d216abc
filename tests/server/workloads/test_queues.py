"""The queue tree: what can be made of it, and what is refused with what would be possible."""

from __future__ import annotations

from typing import Any

import pytest

from madang.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from madang.schemas.queues import QueueChange, QueueCreate
from madang.server.workloads import job_waits, queue_explain, queues
from madang.server.workloads.queue_use import QueueUse, read_capacity
from tests.conftest import People
from tests.server.workloads.platform import Platform, platform_of


async def make(people: People, name: str, who: str = "admin", **settings: Any) -> QueueUse:
    principal = await people.principal(who)
    if not settings.get("platform"):
        settings.setdefault("project", "vision")
    return await queues.create_queue(people.context, principal, QueueCreate(name, **settings))


async def change(people: People, queue: str, who: str = "admin", **changes: Any) -> QueueUse:
    principal = await people.principal(who)
    return await queues.change_queue(people.context, principal, queue, QueueChange(**changes))


async def test_a_tree_of_shares(people: People) -> None:
    root = await make(people, "research", platform=True, weight=3, guarantee={"gpu": 8})
    await make(people, "teaching", platform=True)
    leaf = await make(people, "train", parent="research", guarantee={"gpu": 6}, limit={"gpu": 7.5})
    assert (leaf.path, leaf.leaf) == ("research/train", True)
    assert leaf.fair_share == pytest.approx(0.75)
    assert leaf.queue.limit == {"gpu": 7500}
    member = await people.principal("member")
    listed = await queues.list_queues(people.context, member, None, limit=10, cursor=None)
    assert {use.path for use in listed} == {"research", "teaching", "research/train"}
    outsider = await people.principal("outsider")
    with pytest.raises(NotFound):
        await queues.get_queue(people.context, outsider, None, leaf.queue.id)
    assert (await queues.get_queue(people.context, outsider, None, root.queue.id)).leaf is False


async def test_a_cycle_is_refused(people: People) -> None:
    await make(people, "a")
    await make(people, "b", parent="a")
    await make(people, "c", parent="b")
    with pytest.raises(InvalidInput, match="would be above itself"):
        await change(people, "a", parent="c")
    with pytest.raises(InvalidInput, match="would be above itself"):
        await change(people, "a", parent="a")
    assert (await change(people, "c", parent="a")).path == "a/c"


async def test_guarantees_come_out_of_the_one_above(people: People) -> None:
    await make(people, "top", guarantee={"gpu": 8})
    await make(people, "left", parent="top", guarantee={"gpu": 5})
    with pytest.raises(InvalidInput) as refused:
        await make(people, "right", parent="top", guarantee={"gpu": 4})
    assert "'top' above it has 8 guaranteed" in str(refused.value)
    assert "At most gpu=3 is left" in str(refused.value)
    with pytest.raises(InvalidInput, match="at least 5"):
        await change(people, "top", guarantee={"gpu": 4})
    with pytest.raises(InvalidInput, match="can't be guaranteed gpu/H100=1"):
        await change(people, "left", guarantee={"gpu/H100": 1})


async def platform_models(people: People) -> set[str]:
    async with people.context.db.read() as session:
        amounts = (await read_capacity(session)).amounts
    return {name for name in amounts if name.startswith("gpu")}


async def test_a_guarantee_larger_than_the_cluster(people: People) -> None:
    async with platform_of(people, a={"gpus": 4}) as platform:
        await platform.agents["a"].step()
        await make(people, "first", guarantee={"gpu": 3})
        with pytest.raises(InvalidInput) as refused:
            await make(people, "second", guarantee={"gpu": 2})
        assert "the cluster has 4" in str(refused.value)
        assert "At most gpu=1" in str(refused.value)
        with pytest.raises(InvalidInput, match="the cluster has 0"):
            await make(people, "third", guarantee={"gpu/A100": 1})
        (model,) = (await platform_models(people)) - {"gpu"}
        with pytest.raises(InvalidInput, match="At most gpu=1 is not"):
            await make(people, "fourth", guarantee={model: 2})
        await make(people, "fifth", guarantee={model: 1, "gpu": 1})


async def test_other_things_that_cannot_be(people: People) -> None:
    with pytest.raises(InvalidInput, match="below its guarantee"):
        await make(people, "small", guarantee={"gpu": 2}, limit={"gpu": 1})
    with pytest.raises(InvalidInput, match="Use one of: fifo"):
        await make(people, "odd", ordering="fastest")
    with pytest.raises(InvalidInput, match="less than nothing"):
        await make(people, "less", limit={"gpu": -1})
    with pytest.raises(InvalidInput, match="is not an amount"):
        await make(people, "much", limit={"gpu": "many"})
    await make(people, "twice")
    with pytest.raises(Conflict, match="already"):
        await make(people, "twice")
    shared = await make(people, "twice", platform=True, guarantee={"cpu": 1})
    with pytest.raises(Conflict, match="'twice' already"):  # its guarantee is not counted twice
        await make(people, "twice", platform=True, guarantee={"cpu": 10**6})
    with pytest.raises(InvalidInput, match="can't be below 'theirs', a project's"):
        await make(people, "theirs", project="other")
        await change(people, shared.queue.id, parent="theirs")
    theirs = await make(people, "others", project="other")
    mine = await make(people, "mine")
    with pytest.raises(InvalidInput, match="another project's"):
        await change(people, mine.queue.id, parent=theirs.queue.id)


async def test_who_may_write(people: People) -> None:
    home = await make(people, "home", guarantee={"cpu": 4})
    with pytest.raises(Forbidden, match="only an administrator"):
        await make(people, "root", who="maintainer")
    with pytest.raises(Forbidden):
        await make(people, "shared", who="maintainer", platform=True)
    with pytest.raises(Forbidden):
        await change(people, home.queue.id, who="maintainer", weight=9)
    below = await make(people, "below", who="maintainer", parent="home", guarantee={"cpu": 4})
    assert (await change(people, below.queue.id, who="maintainer", weight=2)).queue.weight == 2
    with pytest.raises(Forbidden):
        await change(people, below.queue.id, who="maintainer", parent="")
    with pytest.raises(Forbidden):
        await change(people, below.queue.id, who="member", weight=3)
    maintainer = await people.principal("maintainer")
    await queues.delete_queue(people.context, maintainer, below.queue.id)


async def test_work_keeps_a_queue(people: People) -> None:
    leaf = await make(people, "leaf")
    platform = Platform(people, await people.principal("member"))
    job = await platform.submit("true", queue="leaf")
    admin = await people.principal("admin")
    with pytest.raises(Conflict, match="1 jobs wait in queue 'leaf' and 0 run"):
        await queues.delete_queue(people.context, admin, leaf.queue.id)
    with pytest.raises(Conflict, match="work waits in"):
        await make(people, "below", parent="leaf")
    other = await make(people, "group")
    await make(people, "inner", parent="group")
    await make(people, "inside", parent="inner")
    member = await people.principal("member")
    with pytest.raises(InvalidInput, match="only groups others"):
        await job_waits.move_job(people.context, member, job, "group")
    with pytest.raises(InvalidInput) as refused:
        await platform.submit("true", queue="group")
    assert refused.value.hint == "Use one below it: inside."
    await make(people, "ours", platform=True)
    await make(people, "theirs", project="other", parent="ours")
    with pytest.raises(InvalidInput) as refused:
        await platform.submit("true", queue="ours")
    assert "None below it is this project's" in str(refused.value.hint)
    row = await job_waits.move_job(people.context, member, job, "inside")
    assert row.queue_id != leaf.queue.id
    await queues.delete_queue(people.context, admin, leaf.queue.id)
    with pytest.raises(NotFound):
        await platform.submit("true", queue="leaf")
    with pytest.raises(Conflict, match="has others below it"):
        await queues.delete_queue(people.context, admin, other.queue.id)
    await make(people, "leaf")  # the name is free again


async def test_explain_says_who_waits_and_hides_what_is_not_to_be_seen(people: People) -> None:
    await make(people, "shared", platform=True, guarantee={"cpu": 2}, limit={"cpu": 4})
    platform = Platform(people, await people.principal("member"))
    first = await platform.submit("true", queue="shared")
    urgent = await platform.submit("true", queue="shared", priority=100)
    async with people.client("outsider") as outsider:
        found = (await outsider.get("/api/v1/queues/shared/explain")).json()
    assert [job["position"] for job in found["waiting"]] == [1, 2]
    assert {job["name"] for job in found["waiting"]} == {""}
    assert {job["project"] for job in found["waiting"]} == {""}
    member = await people.principal("member")
    seen = await queue_explain.explain_queue(people.context, member, None, "shared", limit=10)
    assert [row.id for _, row in seen.waiting] == [urgent, first]
    cpu = next(share for share in seen.shares if share.resource == "cpu")
    assert (cpu.guarantee, cpu.limit, cpu.lent, cpu.available) == (2000, 4000, 2000, 4000)
    assert any("guaranteed 2" in sentence for sentence in seen.sentences)
