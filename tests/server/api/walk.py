"""What the walk over all routes (test_permissions.py) needs to know of each resource.

A route is called with the values of its path parameters from `PATH_VALUES` and with what
`REQUESTS` says, both made afresh for each route, in the project `vision`. A new resource adds its
lines here: a maker is a function of `People` that returns the value, async or not; it is called
again and again on one database and makes a new object each time (`random_word()` for names).
"""

from __future__ import annotations

import inspect
import io
import tarfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from madang.core.ids import random_word
from madang.schemas.jobs import JobCreate
from madang.schemas.queues import QueueCreate
from madang.schemas.reservations import ReservationCreate
from madang.server.cluster import service as cluster
from madang.server.cluster.protocol import PROTOCOL_VERSION, NodeInventory, NodeReport
from madang.server.environments import service as environments
from madang.server.identity import api_tokens
from madang.server.tracking import experiments, logged_models, models, runs, versions
from madang.server.workloads import jobs, queues, reservations
from tests.conftest import People
from tests.server.api import walk_data

Maker = Callable[[People], Any]

SMALL: dict[str, Any] = {"cpu": 0.01, "memory": "1MiB"}

PUBLIC = frozenset(
    {
        "POST /api/v1/auth/login",
        "POST /api/v1/auth/link",
        "POST /api/v1/auth/token",
        "GET /api/v1/health",
        "GET /internal/v1/healthz",
    }
)
"""Routes that nobody in particular may call."""


async def _token(people: People) -> str:
    admin = await people.principal("admin")
    token, _ = await api_tokens.create_token(people.context, admin, random_word())
    return token.row.id


async def _job(people: People) -> str:
    member = await people.principal("member")
    row = await jobs.create_job(people.context, member, JobCreate(["true"], project="vision"))
    return row.id


async def _queue(people: People) -> str:
    admin = await people.principal("admin")
    parent = await _parent_queue(people)
    made = await queues.create_queue(
        people.context, admin, QueueCreate(random_word(), project="vision", parent=parent)
    )
    return made.queue.id


async def _parent_queue(people: People) -> str:
    admin = await people.principal("admin")
    made = await queues.create_queue(
        people.context, admin, QueueCreate(random_word(), project="vision")
    )
    return made.queue.id


async def _new_queue(people: People) -> dict[str, Any]:
    parent = await _parent_queue(people)
    return {"json": {"name": random_word(), "project": "vision", "parent": parent}}


async def _move(people: People) -> dict[str, Any]:
    return {"json": {"queue": await _parent_queue(people)}}


async def _reservation(people: People) -> str:
    maintainer = await people.principal("maintainer")
    start = people.context.clock.now() + timedelta(days=1)
    request = ReservationCreate(
        random_word(), start, project="vision", duration_s=3600.0, resources=SMALL
    )
    await _node(people)
    made = await reservations.create_reservation(people.context, maintainer, request)
    return made.row.id


async def _new_reservation(people: People) -> dict[str, Any]:
    await _node(people)
    start = people.context.clock.now() + timedelta(days=2)
    body = {
        "name": random_word(),
        "start": start.isoformat(),
        "duration_s": 3600,
        "resources": SMALL,
    }
    return {"json": {**body, "project": "vision"}}


async def _node(people: People) -> str:
    inventory = NodeInventory("localhost", 4000, 8 * 2**30)
    report = NodeReport(PROTOCOL_VERSION, "boot", "agent", inventory, (), 0)
    await cluster.sync(people.context, "walked", report)
    return "walked"


async def _environment(people: People) -> str:
    member = await people.principal("member")
    name = f"walked-{random_word()}"
    row, _ = await environments.create_environment(
        people.context, member, name, [], project="vision"
    )
    return row.id


def _tar(people: People) -> dict[str, Any]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty.py"))
    return {"content": buffer.getvalue(), "params": {"project": "vision"}}


async def _model(people: People) -> str:
    member = await people.principal("member")
    run_id = await _run(people)
    name = random_word()
    await models.create_model(people.context, member, name, project="vision")
    source = f"runs:/{run_id}/model"
    await versions.create_version(people.context, member, name, source, project="vision")
    return name


async def _run(people: People) -> str:
    member = await people.principal("member")
    return (await runs.create_run(people.context, member, "0")).row.id


async def _experiment(people: People) -> str:
    member = await people.principal("member")
    row = await experiments.create_experiment(people.context, member, random_word())
    return row.id


async def _logged_model(people: People) -> str:
    member = await people.principal("member")
    made = await logged_models.create_logged_model(people.context, member, "0")
    return made.row.id


async def _lineage(people: People) -> dict[str, Any]:
    return {"params": {"run": await _run(people)}}


PATH_VALUES: dict[str, Maker] = {
    "environments.environment": _environment,
    "models.model": _model,
    "models.version": lambda people: 1,
    "models.alias": lambda people: "champion",
    "runs.run": _run,
    "runs.metric": lambda people: "loss",
    "experiments.experiment": _experiment,
    "model_id": _logged_model,
    "tag_key": lambda people: "key",
    "api.path": lambda people: "none/of/these",
    "projects.path": lambda people: "none/of/these",
    "jobs.job": _job,
    "queues.queue": _queue,
    "reservations.reservation": _reservation,
    "nodes.node": _node,
    "internal.node": lambda people: "walked",
    "internal.task": lambda people: "task-of-nobody",
    "project": lambda people: "vision",
    "user": lambda people: "viewer",
    "tokens.token": _token,
}
"""By parameter, by `resource.parameter` where a name means different things, or by
`path parameter` where one route needs a thing in a special state."""

REQUESTS: dict[str, Maker] = {
    "POST /api/v1/environments": lambda people: {
        "json": {"name": f"walked-{random_word()}", "project": "vision"}
    },
    "PATCH /api/v1/models/{model}": lambda people: {"json": {"description": "walked"}},
    "PUT /api/v1/models/{model}/aliases/{alias}": lambda people: {"json": {"version": 1}},
    "GET /api/v1/lineage": _lineage,
    "POST /api/v1/jobs": lambda people: {"json": {"command": ["true"], "project": "vision"}},
    "POST /api/v1/code": _tar,
    "POST /internal/v1/tasks/{task}/reports": lambda people: {
        "json": {"attempt": 1, "offset": 0, "lines": []}
    },
    "POST /api/v1/queues": _new_queue,
    "PATCH /api/v1/queues/{queue}": lambda people: {"json": {"weight": 2}},
    "POST /api/v1/jobs/{job}/move": _move,
    "POST /api/v1/jobs/preview": lambda people: {
        "json": {"command": ["true"], "project": "vision"}
    },
    "POST /api/v1/jobs/{job}/priority": lambda people: {"json": {"priority": "high"}},
    "POST /api/v1/reservations": _new_reservation,
    "PUT /api/v1/limits": lambda people: {"json": {"subject": "user:*", "running": 9}},
    "PUT /api/v1/scheduling/policy": lambda people: {"json": {"placement": "default"}},
    "PATCH /api/v1/nodes/{node}": lambda people: {"json": {"pool": "training"}},
    "POST /api/v1/projects": lambda people: {"json": {"name": "walked"}},
    "PATCH /api/v1/projects/{project}": lambda people: {"json": {"description": "walked"}},
    "PUT /api/v1/projects/{project}/members/{user}": lambda people: {"json": {"role": "viewer"}},
    "POST /api/v1/users": lambda people: {"json": {"name": "walked"}},
    "PATCH /api/v1/users/{user}": lambda people: {"json": {"is_admin": False}},
    "POST /api/v1/tokens": lambda people: {"json": {"name": "one"}},
    "PUT /api/v1/auth/password": lambda people: {"json": {"new": "a new password"}},
}
"""`METHOD path` → arguments for httpx (json, params, content…). `project=vision` is in the query
unless `params` is given."""


async def made(maker: Maker, people: People) -> Any:
    value = maker(people)
    return await value if inspect.isawaitable(value) else value


def path_maker(path: str, parameter: str) -> Maker | None:
    """The maker for a parameter of a path such as `/api/v1/tokens/{token}`."""
    resource = path.removeprefix("/api/v1/").strip("/").split("/")[0]
    values = walk_data.PATH_VALUES | PATH_VALUES
    keys = (f"{path} {parameter}", f"{resource}.{parameter}", parameter)
    return next((values[key] for key in keys if key in values), None)


def request_maker(method: str, path: str) -> Maker | None:
    return REQUESTS.get(f"{method} {path}") or walk_data.request_for(method, path)
