"""What the walk needs of folders, datasets, environments, endpoints and tracking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import select

from madang.core.ids import new_id, random_word
from madang.schemas.jobs import JobCreate
from madang.server.serving.tables import EndpointRevisionRow, EndpointRow
from madang.server.tracking.tables import ModelVersionRow
from madang.server.workloads import jobs
from tests.conftest import People

VISION = {"project": "vision"}
MLFLOW = "/projects/vision/api/2.0/mlflow"


async def send(people: People, path: str, json: Any, who: str = "member") -> Any:
    async with people.client(who) as client:
        answer = await client.post(path, json=json)
    assert answer.is_success, f"{path}: {answer.text}"
    return answer.json()


async def folder(people: People) -> str:
    body = {"name": random_word(), "project": "vision"}
    return str((await send(people, "/api/v1/folders", body))["id"])


async def filled_folder(people: People) -> str:
    """A folder with one file in it."""
    found = await folder(people)
    async with people.client("admin") as admin:
        location = (await admin.get(f"/api/v1/folders/{found}")).json()["location"]
    (Path(location) / "file.txt").write_text("walked")
    return found


async def trashed_folder(people: People) -> str:
    found = await folder(people)
    async with people.client("member") as member:
        assert (await member.delete(f"/api/v1/folders/{found}")).is_success
    return found


async def dataset(people: People) -> str:
    return str((await send(people, "/api/v1/datasets", (await new_dataset(people))["json"]))["id"])


async def new_dataset(people: People) -> dict[str, Any]:
    return {"json": {"name": random_word(), "folder": await filled_folder(people), **VISION}}


async def environment(people: People) -> str:
    body = {"name": random_word(), "packages": [], **VISION}
    return str((await send(people, "/api/v1/environments", body))["id"])


async def experiment(people: People) -> str:
    body = {"name": random_word()}
    return str((await send(people, f"{MLFLOW}/experiments/create", body))["experiment_id"])


async def run(people: People) -> str:
    body = {"experiment_id": await experiment(people), "start_time": 1}
    return str((await send(people, f"{MLFLOW}/runs/create", body))["run"]["info"]["run_id"])


async def logged_model(people: People) -> str:
    body = {"experiment_id": await experiment(people), "name": "logged"}
    made = await send(people, f"{MLFLOW}/logged-models", body)
    return str(made["model"]["info"]["model_id"])


async def model(people: People) -> str:
    """A registered model with one version."""
    name = random_word()
    await send(people, f"{MLFLOW}/registered-models/create", {"name": name})
    source = f"models:/{await logged_model(people)}"
    await send(people, f"{MLFLOW}/model-versions/create", {"name": name, "source": source})
    return name


async def endpoint(people: People) -> str:
    """Its rows alone: deploying takes a built environment."""
    name, context = await model(people), people.context
    member = await people.principal("member")
    workload = await jobs.create_job(context, member, JobCreate(["true"], project="vision"))
    async with context.db.transaction() as session:
        version = await session.scalar(select(ModelVersionRow).where(ModelVersionRow.name == name))
        assert version is not None
        row = EndpointRow(
            id=new_id("endp"),
            project_id=people.project_id,
            name=random_word(),
            created_at=context.clock.now(),
            target_id=new_id("rev"),
        )
        session.add(row)
        await session.flush()
        session.add(
            EndpointRevisionRow(
                id=row.target_id,
                endpoint_id=row.id,
                number=1,
                model_version_id=version.id,
                model_name=name,
                model_version=1,
                environment="walked@1",
                resources={},
                replicas=1,
                workload_id=workload.id,
                user_name="member",
                created_at=context.clock.now(),
            )
        )
    return row.id


async def mlflow_message(people: People) -> dict[str, Any]:
    """One message with all fields that any of MLflow's calls needs; they pass over the others.
    Made once for a walk: it takes a dozen requests."""
    if "mlflow_message" not in vars(people):
        vars(people)["mlflow_message"] = await _mlflow_message(people)
    return {**vars(people)["mlflow_message"], "new_name": random_word()}


async def _mlflow_message(people: People) -> dict[str, Any]:
    name = await model(people)
    experiment_id = await experiment(people)
    return {
        "name": name,
        "experiment_id": experiment_id,
        "experiment_ids": [experiment_id],
        "experiment_name": "Default",
        "run_id": await run(people),
        "run_uuid": await run(people),
        "model_id": await logged_model(people),
        "key": "walked",
        "metric_key": "walked",
        "value": "1",
        "timestamp": 1,
        "start_time": 1,
        "version": "1",
        "alias": "walked",
        "stage": "None",
        "status": "FINISHED",
        "source": f"models:/{await logged_model(people)}",
        "description": "walked",
    }


async def mlflow_query(people: People) -> dict[str, Any]:
    return {"params": await mlflow_message(people)}


async def mlflow_body(people: People) -> dict[str, Any]:
    return {"json": await mlflow_message(people)}


async def new_mlflow_name(people: People) -> dict[str, Any]:
    return {"json": {**await mlflow_message(people), "name": random_word()}}


def directory(people: People) -> dict[str, Any]:
    """A directory that exists, to be registered."""
    path = people.context.paths.state_dir.parent / "nas" / random_word()
    path.mkdir(parents=True)
    return {"json": {"name": random_word(), "path": str(path), **VISION}}


async def lineage_query(people: People) -> dict[str, Any]:
    return {"params": {"run": await run(people), **VISION}}


PATH_VALUES: dict[str, Callable[[People], Any]] = {
    "folders.folder": folder,
    "/api/v1/folders/{folder}/restore folder": trashed_folder,
    "/api/v1/folders/{folder}/purge folder": trashed_folder,
    "folders.entry": lambda people: "nothing",
    "datasets.dataset": dataset,
    "datasets.number": lambda people: "1",
    "environments.environment": environment,
    "experiments.experiment": experiment,
    "runs.run": run,
    "runs.metric": lambda people: "loss",
    "models.model": model,
    "models.version": lambda people: "1",
    "models.alias": lambda people: "champion",
    "endpoints.endpoint": endpoint,
    "projects.model_id": logged_model,
    "projects.tag_key": lambda people: "walked",
    "projects.path": lambda people: "walked/file.txt",
}


def named(**fields: Any) -> Callable[[People], Any]:
    return lambda people: {"json": {"name": random_word(), **fields}}


def body(**fields: Any) -> Callable[[People], Any]:
    return lambda people: {"json": fields}


def at_path(path: str) -> Callable[[People], Any]:
    return lambda people: {"params": {"path": path, **VISION}}


def in_project(**fields: Any) -> Callable[[People], Any]:
    return lambda people: {"json": fields, "params": VISION}


REQUESTS: dict[str, Callable[[People], Any]] = {
    "POST /api/v1/folders": named(**VISION),
    "POST /api/v1/folders/register": directory,
    "PATCH /api/v1/folders/{folder}": body(description="walked"),
    "POST /api/v1/folders/{folder}/restore": body(),
    "PUT /api/v1/folders/{folder}/grants": body(kind="user", name="outsider", access=None),
    "PUT /api/v1/folders/{folder}/quota": body(limit_bytes=None),
    "GET /api/v1/folders/{folder}/entry": at_path("nothing"),
    "DELETE /api/v1/folders/{folder}/entries": at_path("nothing"),
    "POST /api/v1/folders/{folder}/directories": lambda _: {"json": {"path": random_word()}},
    "POST /api/v1/folders/{folder}/move": body(source="a", target="b"),
    "POST /api/v1/datasets": new_dataset,
    "POST /api/v1/datasets/{dataset}/views": lambda _: {
        "json": {"name": random_word(), "rest": random_word()}
    },
    "POST /api/v1/environments": named(packages=[], **VISION),
    "POST /api/v1/endpoints": named(model="none/1", environment="none", **VISION),
    "POST /api/v1/tickets": body(resource="folder", name="none", **VISION),
    "PATCH /api/v1/models/{model}": body(description="walked"),
    "PUT /api/v1/models/{model}/aliases/{alias}": body(version=1),
    "GET /api/v1/lineage": lineage_query,
}


def request_for(method: str, path: str) -> Callable[[People], Any] | None:
    """MLflow's calls share one message."""
    if "/mlflow-artifacts/" in path:
        return None if method in ("GET", "DELETE") else lambda people: {"content": b"walked"}
    if "/mlflow/" not in path:
        return REQUESTS.get(f"{method} {path}")
    if path.endswith("/create"):
        return new_mlflow_name if "model-versions" not in path else mlflow_body
    return mlflow_query if method == "GET" else mlflow_body
