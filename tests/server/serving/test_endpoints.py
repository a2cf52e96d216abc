"""The life of an endpoint: deployed, ready, updated, failed, deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from madang.core.errors import Forbidden, InvalidInput, NotFound
from madang.core.states import WorkloadState
from madang.schemas.endpoints import EndpointState
from madang.server.serving import controller, service
from madang.server.serving.authorization import route_table
from madang.server.serving.service import MODEL_TARGET, EndpointView
from madang.server.tracking import models, runs, versions
from madang.server.workloads.drain import stop_everything
from madang.server.workloads.spec import WorkloadSpec
from tests.conftest import People
from tests.server.serving.conftest import Served


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manual clock does not move: what is replaced goes at once."""
    monkeypatch.setattr(controller, "LINGER_S", 0.0)


async def replicas(served: Served) -> list[str]:
    """The tasks that the gateway is told of."""
    table = await route_table(served.context)
    return [replica.task_id for route in table.endpoints for replica in route.replicas]


async def test_from_deployed_to_ready(served: Served) -> None:
    view = await served.deploy(replicas=2)
    assert (view.state, view.target.number) == (EndpointState.STARTING, 1)
    assert view.target.environment == "vision@1"
    await served.make_ready(view, replicas=1)
    view = await served.until_state(EndpointState.DEGRADED)
    assert view.message == "answers with 1 of 2 replicas"
    assert len(await replicas(served)) == 1
    await served.make_ready(view)
    view = await served.until_state(EndpointState.READY)
    assert view.message == "ready: 2 of 2 replicas"
    assert len(await replicas(served)) == 2


async def test_what_its_replicas_run(served: Served) -> None:
    view = await served.deploy(resources={"cpu": 2, "memory": "1GiB"})
    spec = WorkloadSpec.from_json((await served.workload(view.target.workload_id)).spec)
    (role,) = spec.roles
    assert role.command[:3] == ("python", "-m", "madang.runtimes")
    options = dict(zip(role.command[3::2], role.command[4::2], strict=True))
    assert options["--model"].startswith(f"{MODEL_TARGET}/")
    assert (options["--name"], options["--version"]) == ("digits", "1")
    assert options["--port"] == str(role.app_port)
    assert role.ready_path == "/v2/health/ready"
    (mount,) = spec.mounts
    assert (mount.target, mount.read_only) == (MODEL_TARGET, True)
    assert spec.environment_variables["OMP_NUM_THREADS"] == "2"
    assert spec.parent_id == view.row.id


async def test_the_new_revision_answers_once_all_of_it_is_ready(served: Served) -> None:
    first = await served.deploy(replicas=2)
    await served.make_ready(first)
    await served.until_state(EndpointState.READY)
    old = await replicas(served)
    second = await served.deploy("digits/2", replicas=2)
    assert second.target.number == 2
    assert second.state is EndpointState.UPDATING
    assert second.active is not None
    assert second.active.number == 1
    assert second.message.endswith("revision 1 answers meanwhile")
    await served.make_ready(second, replicas=1)
    assert await replicas(served) == old
    await served.make_ready(second)
    view = await served.until(lambda view: view.active is not None and view.active.number == 2)
    assert view.state is EndpointState.READY
    assert not set(await replicas(served)) & set(old)
    await served.platform.until_ended(first.target.workload_id)
    ended = await served.workload(first.target.workload_id)
    assert ended.state == WorkloadState.CANCELLED


async def test_a_revision_that_fails_leaves_the_old_one_in_place(served: Served) -> None:
    first = await served.deploy()
    await served.make_ready(first)
    await served.until_state(EndpointState.READY)
    second = await served.deploy("digits/2")
    await fail(served, second)
    view = await served.until_state(EndpointState.DEGRADED)
    assert view.message == (
        "revision 2 failed: failed with exit code 1; its log says why; "
        "revision 1 answers meanwhile"
    )
    assert len(await replicas(served)) == 1
    third = await served.deploy("digits/2")
    assert third.target.number == 3, "what failed can be tried again"


async def test_a_first_revision_that_fails_says_why(served: Served) -> None:
    view = await served.deploy()
    await fail(served, view)
    view = await served.until_state(EndpointState.FAILED)
    assert view.message == "failed: failed with exit code 1; its log says why"
    (route,) = (await route_table(served.context)).endpoints
    assert (route.replicas, route.message) == ((), view.message)


async def fail(served: Served, view: EndpointView) -> None:
    """End its replica, as often as it is started again."""
    agent = served.platform.agents["one"]
    async for task_id in served.replicas_as_they_start(view.target.workload_id):
        agent.end(task_id, "exit_code", 1, {"exit_code": 1})


async def test_a_replica_that_dies_is_replaced(served: Served) -> None:
    view = await served.deploy()
    await served.make_ready(view)
    await served.until_state(EndpointState.READY)
    (died,) = await replicas(served)
    served.platform.agents["one"].end(died, "signal", 137, {"signal": "SIGKILL"})
    await served.until_state(EndpointState.STARTING)
    assert await replicas(served) == []
    served.platform.people.context.clock.advance(5)  # type: ignore[attr-defined]
    await served.make_ready(view)
    await served.until_state(EndpointState.READY)
    assert await replicas(served) not in ([], [died])


async def test_the_same_again_changes_nothing(served: Served) -> None:
    first = await served.deploy()
    again = await served.deploy()
    assert (again.row.id, again.target.id) == (first.row.id, first.target.id)
    assert (await served.deploy(replicas=2)).target.number == 2


async def test_deleted_and_forgotten(served: Served) -> None:
    view = await served.deploy()
    await served.make_ready(view)
    await served.until_state(EndpointState.READY)
    await service.delete(served.context, served.member, "digits", "vision")
    with pytest.raises(NotFound):
        await served.get()
    assert (await route_table(served.context)).endpoints == ()
    again = await served.deploy()
    assert again.row.id != view.row.id, "the name is free at once"
    await served.platform.until_ended(view.target.workload_id)


async def test_the_environment_of_the_training_job_is_the_default(served: Served) -> None:
    context, member = served.context, served.member
    with pytest.raises(InvalidInput, match="no environment is known"):
        await served.deploy(environment="")
    job_id = await served.platform.submit("sleep", environment="vision@1")
    await served.platform.until_state(job_id, WorkloadState.RUNNING)
    (task,) = await served.platform.tasks(job_id)
    as_task = replace(member, project_id=served.people.project_id, task_id=task.id)
    run = await runs.create_run(context, as_task, "0", name="trained")
    await models.create_model(context, member, "letters")
    await versions.create_version(context, member, "letters", f"runs:/{run.row.id}/m")
    view = await served.deploy("letters/1", name="letters", environment="")
    assert view.target.environment == "vision@1"


async def test_what_can_not_be_deployed(served: Served) -> None:
    for changes, error in (
        ({"model": "digits/9"}, NotFound),
        ({"model": "letters"}, NotFound),
        ({"environment": "vision@7"}, NotFound),
        ({"name": "Bad Name"}, InvalidInput),
        ({"name": "a" * 60}, InvalidInput),
        ({"resources": {"cpus": 1}}, InvalidInput),
    ):
        with pytest.raises(error):
            await served.deploy(**changes)
    with pytest.raises(NotFound):
        await served.get()


async def test_roles(served: Served) -> None:
    view = await served.deploy()
    people: People = served.people
    for name, error in (("viewer", Forbidden), ("outsider", NotFound)):
        principal = await people.principal(name)
        with pytest.raises(error):
            await service.delete(served.context, principal, view.row.id)
    viewer = await people.principal("viewer")
    assert (await service.get(served.context, viewer, "digits", "vision")).row.id == view.row.id
    outsider = await people.principal("outsider")
    listed = await service.list_endpoints(served.context, outsider, limit=10, cursor=None)
    assert listed == []


async def test_stopped_with_the_platform_is_no_failure(served: Served) -> None:
    first = await served.deploy()
    await served.make_ready(first)
    await served.until_state(EndpointState.READY)
    admin = await served.people.principal("admin")
    await stop_everything(served.context, admin)
    view = await served.until_state(EndpointState.STOPPED)
    assert view.message.startswith("was stopped with the platform by admin; deploy it again")
