"""MLflow's protocol, request by request: errors, limits, roles, tenancy."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any

import httpx
import pytest

from madang.server.db.engine import Database
from tests.conftest import People

API = "/api/2.0/mlflow"


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(f"{API}/{path}", json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.json()["error_code"] == code
    message: str = answer.json()["message"]
    return message


async def new_run(client: httpx.AsyncClient) -> str:
    run_id: str = (await post(client, "runs/create", experiment_id="0"))["run"]["info"]["run_id"]
    return run_id


async def test_errors_are_mlflows(sqlite_people: People) -> None:
    async with sqlite_people.client("member") as member:
        unknown = await member.get(f"{API}/runs/get", params={"run_id": "f" * 32})
        await refused(unknown, 404, "RESOURCE_DOES_NOT_EXIST")
        missing = await member.get(f"{API}/runs/get")
        assert "run_id" in await refused(missing, 400, "INVALID_PARAMETER_VALUE")
        broken = await member.post(f"{API}/runs/create", content=b"{")
        await refused(broken, 400, "INVALID_PARAMETER_VALUE")
        wrong = await member.post(f"{API}/runs/create", json={"experiment_id": 3})
        await refused(wrong, 400, "INVALID_PARAMETER_VALUE")
    async with sqlite_people.client(None) as nobody:
        await refused(await nobody.get(f"{API}/runs/get"), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{API}/traces/abc/info"),
        ("POST", "/api/3.0/mlflow/traces/search"),
        ("POST", "/api/3.0/mlflow/gateway/secrets/create"),
        ("POST", f"{API}/artifacts/presigned-upload-url"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/1/2/artifacts"),
        ("GET", "/projects/vision/api/2.0/mlflow/webhooks"),
        ("DELETE", f"{API}/runs/get"),
    ],
)
async def test_the_rest_is_not_implemented(sqlite_people: People, method: str, path: str) -> None:
    async with sqlite_people.client("member") as member:
        await refused(await member.request(method, path), 501, "NOT_IMPLEMENTED")
    async with sqlite_people.client(None) as nobody:
        await refused(await nobody.request(method, path), 401, "UNAUTHENTICATED")


async def test_experiments_of_one_millisecond_have_ids_of_their_own(
    sqlite_people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    chances = iter([7, 7, 7, 8])  # the clock stands still, and chance repeats itself
    monkeypatch.setattr(secrets, "randbelow", lambda below: next(chances))
    async with sqlite_people.client("member") as member:
        first = await post(member, "experiments/create", name="first")
        second = await post(member, "experiments/create", name="second")
    assert first["experiment_id"].endswith("00007")
    assert second["experiment_id"].endswith("00008")


async def test_viewers_read_and_do_not_write(sqlite_people: People) -> None:
    async with sqlite_people.client("member") as member:
        run_id = await new_run(member)
    async with sqlite_people.client("viewer") as viewer:
        assert (await viewer.get(f"{API}/runs/get", params={"run_id": run_id})).status_code == 200
        for path, body in (
            ("runs/create", {"experiment_id": "0"}),
            ("runs/log-metric", {"run_id": run_id, "key": "k", "value": 1, "timestamp": 1}),
            ("runs/delete", {"run_id": run_id}),
            ("experiments/create", {"name": "x"}),
            ("registered-models/create", {"name": "x"}),
        ):
            answer = await viewer.post(f"{API}/{path}", json=body)
            await refused(answer, 403, "PERMISSION_DENIED")


async def test_nothing_of_another_project_is_seen_by_its_id(people: People) -> None:
    async with people.client("member") as member:
        run_id = await new_run(member)
        run = (await member.get(f"{API}/runs/get", params={"run_id": run_id})).json()["run"]
        experiment_id = run["info"]["experiment_id"]
        path = f"{experiment_id}/{run_id}/artifacts/secret.txt"
        stored = await member.put(f"/api/2.0/mlflow-artifacts/artifacts/{path}", content=b"s")
        assert stored.status_code == 200, stored.text
        model = await post(member, "logged-models", experiment_id=experiment_id, name="m")
        model_id = model["model"]["info"]["model_id"]
        await post(member, "registered-models/create", name="secret")
        source = f"runs:/{run_id}/model"
        await post(member, "model-versions/create", name="secret", source=source)
    metric = {"run_id": run_id, "key": "k", "value": 1, "timestamp": 1}
    files = f"/api/2.0/mlflow-artifacts/artifacts/{path}"
    listing = f"/api/2.0/mlflow-artifacts/artifacts?path={experiment_id}/{run_id}/artifacts"
    attacks: list[tuple[str, str, dict[str, Any] | None]] = [
        ("GET", f"{API}/runs/get?run_id={run_id}", None),
        ("POST", f"{API}/runs/update", {"run_id": run_id, "status": "FAILED"}),
        ("POST", f"{API}/runs/delete", {"run_id": run_id}),
        ("POST", f"{API}/runs/log-metric", metric),
        ("POST", f"{API}/runs/set-tag", {"run_id": run_id, "key": "k", "value": "v"}),
        ("POST", f"{API}/runs/create", {"experiment_id": experiment_id}),
        ("GET", f"{API}/metrics/get-history?run_id={run_id}&metric_key=k", None),
        ("GET", f"{API}/metrics/get-history-bulk-interval?run_ids={run_id}&metric_key=k", None),
        ("GET", f"{API}/artifacts/list?run_id={run_id}", None),
        ("GET", f"{API}/experiments/get?experiment_id={experiment_id}", None),
        ("POST", f"{API}/experiments/delete", {"experiment_id": experiment_id}),
        ("GET", f"{API}/logged-models/{model_id}", None),
        ("DELETE", f"{API}/logged-models/{model_id}", None),
        ("GET", files, None),
        ("PUT", files, {}),
        ("DELETE", files, None),
        ("GET", listing, None),
        ("GET", f"{API}/registered-models/get?name=secret", None),
        ("GET", f"{API}/model-versions/get-download-uri?name=secret&version=1", None),
        ("GET", "/projects/vision/api/2.0/mlflow/registered-models/get?name=secret", None),
        ("POST", "/projects/vision/api/2.0/mlflow/runs/create", {"experiment_id": "0"}),
        ("GET", f"/api/v1/runs/{run_id}", None),
        ("GET", f"/api/v1/runs/{run_id}/metrics/k", None),
        ("GET", f"/api/v1/experiments/{experiment_id}", None),
        ("GET", "/api/v1/models/secret?project=vision", None),
        ("GET", f"/api/v1/lineage?run={run_id}", None),
    ]
    async with people.client("outsider") as outsider:
        for method, url, body in attacks:
            answer = await outsider.request(method, url, json=body)
            assert answer.status_code == 404, (method, url, answer.text)
        found = await post(outsider, "runs/search", experiment_ids=[experiment_id])
        assert found == {}
        found = await post(outsider, "logged-models/search", experiment_ids=[experiment_id])
        assert found == {}
        assert (await outsider.get("/api/v1/runs")).json()["items"] == []
        # Her own model must not be made of somebody else's files.
        await post(outsider, "registered-models/create", name="mine")
        for stolen in (
            source,
            f"models:/{model_id}",
            f"mlflow-artifacts:/{experiment_id}/{run_id}/artifacts",
            f"mlflow-artifacts:/{experiment_id}/models/{model_id}/artifacts",
            "models:/secret/1",
            "file:///etc",
            "mlflow-artifacts:/../../etc",
            "mlflow-artifacts://elsewhere/1/2/artifacts",
        ):
            answer = await outsider.post(
                f"{API}/model-versions/create", json={"name": "mine", "source": stolen}
            )
            assert answer.status_code in (400, 404), (stolen, answer.text)
        own = await new_run(outsider)
        for body in (
            {"run_id": own, "models": [{"model_id": model_id, "step": 0}]},
            {"run_id": run_id, "models": []},
        ):
            answer = await outsider.post(f"{API}/runs/outputs", json=body)
            await refused(answer, 404, "RESOURCE_DOES_NOT_EXIST")


async def test_a_token_for_one_project_stays_in_it(sqlite_people: People) -> None:
    from madang.server.identity.tokens import issue_token

    context = sqlite_people.context
    async with context.db.transaction() as session:
        _, token = await issue_token(
            session,
            user_id=sqlite_people.user_ids["admin"],
            name="other-only",
            now=context.clock.now(),
            project_id=sqlite_people.other_project_id,
        )
    async with sqlite_people.client("member") as member:
        run_id = await new_run(member)
    headers = {"Authorization": f"Bearer {token}"}
    async with sqlite_people.client(None) as client:
        client.headers.update(headers)
        hidden = await client.get(f"{API}/runs/get", params={"run_id": run_id})
        await refused(hidden, 404, "RESOURCE_DOES_NOT_EXIST")
        assert await new_run(client)
        elsewhere = await client.post(
            f"/projects/vision{API}/runs/create", json={"experiment_id": "0"}
        )
        await refused(elsewhere, 404, "RESOURCE_DOES_NOT_EXIST")


async def test_limits(sqlite_people: People) -> None:
    async with sqlite_people.client("member") as member:
        run_id = await new_run(member)

        async def log(**body: Any) -> httpx.Response:
            content = json.dumps({"run_id": run_id, **body})
            return await member.post(f"{API}/runs/log-batch", content=content)

        def metrics(count: int) -> list[dict[str, Any]]:
            return [{"key": f"m{i}", "value": i, "timestamp": 1} for i in range(count)]

        def pairs(count: int) -> list[dict[str, Any]]:
            return [{"key": f"k{i}", "value": "v"} for i in range(count)]

        assert (await log(metrics=metrics(1000))).status_code == 200
        assert (await log(params=pairs(100), tags=pairs(100))).status_code == 200
        for body in (
            {"metrics": metrics(1001)},
            {"params": pairs(101)},
            {"tags": pairs(101)},
            {"metrics": metrics(950), "params": pairs(51)},
            {"metrics": [{"key": "k" * 251, "value": 1, "timestamp": 1}]},
            {"metrics": [{"key": "../k", "value": 1, "timestamp": 1}]},
            {"metrics": [{"key": "k", "value": "many", "timestamp": 1}]},
            {"metrics": [{"key": "k", "timestamp": 1}]},
            {"metrics": [{"key": "k", "value": 1, "timestamp": -1}]},
            {"metrics": [{"key": "k", "value": 1, "timestamp": 2**63}]},
            {"metrics": [{"key": "k", "value": 1}]},
            {"params": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]},
            {"params": [{"key": "a\0", "value": "1"}]},
            {"params": [{"key": "a", "value": "\ud800"}]},
            {"tags": "none"},
        ):
            await refused(await log(**body), 400, "INVALID_PARAMETER_VALUE")
        long = {"params": [{"key": "long", "value": "v" * 7000}]}
        assert (await log(**long)).status_code == 200
        run = (await member.get(f"{API}/runs/get", params={"run_id": run_id})).json()["run"]
        params = {item["key"]: item["value"] for item in run["data"]["params"]}
        assert len(params["long"]) == 6000
        assert "a" not in params


async def test_a_refused_batch_leaves_nothing(people: People) -> None:
    async with people.client("member") as member:
        run_id = await new_run(member)
        await post(member, "runs/log-parameter", run_id=run_id, key="lr", value="1")
        answer = await member.post(
            f"{API}/runs/log-batch",
            json={
                "run_id": run_id,
                "metrics": [{"key": "m", "value": 1, "timestamp": 1}],
                "tags": [{"key": "t", "value": "v"}],
                "params": [{"key": "new", "value": "1"}, {"key": "lr", "value": "2"}],
            },
        )
        await refused(answer, 400, "INVALID_PARAMETER_VALUE")
        run = (await member.get(f"{API}/runs/get", params={"run_id": run_id})).json()["run"]
        assert run["data"]["params"] == [{"key": "lr", "value": "1"}]
        assert run["data"]["metrics"] == []
        history = await member.get(
            f"{API}/metrics/get-history", params={"run_id": run_id, "metric_key": "m"}
        )
        assert history.json() == {}


async def test_the_same_name_at_once_from_twenty(people: People) -> None:
    async with people.client("member") as member:
        made = await asyncio.gather(
            *(member.post(f"{API}/experiments/create", json={"name": "race"}) for _ in range(20))
        )
        assert sorted(answer.status_code for answer in made) == [200, *[400] * 19]
        models = await asyncio.gather(
            *(
                member.post(f"{API}/registered-models/create", json={"name": "race"})
                for _ in range(20)
            )
        )
        assert sorted(answer.status_code for answer in models) == [200, *[400] * 19]


async def test_the_default_experiment_is_made_once_by_twenty(people: People) -> None:
    async with people.client("member") as member:
        runs = await asyncio.gather(
            *(post(member, "runs/create", experiment_id="0") for _ in range(20))
        )
    assert len({run["run"]["info"]["experiment_id"] for run in runs}) == 1


async def test_versions_are_numbered_without_gaps(people: People) -> None:
    async with people.client("member") as member:
        run_id = await new_run(member)
        await post(member, "registered-models/create", name="digits")
        body = {"name": "digits", "source": f"runs:/{run_id}/model"}
        wrong = {"name": "digits", "source": "s3://elsewhere/model"}
        answers = await asyncio.gather(
            *(
                member.post(f"{API}/model-versions/create", json=body if index % 3 else wrong)
                for index in range(30)
            )
        )
    numbers = [
        int(answer.json()["model_version"]["version"])
        for answer in answers
        if answer.status_code == 200
    ]
    assert sorted(numbers) == list(range(1, 21))


async def test_a_batch_is_one_transaction_on_each_database(
    sqlite_people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Database] = []
    transaction = Database.transaction

    def counted(self: Database) -> Any:
        opened.append(self)
        return transaction(self)

    async with sqlite_people.client("member") as member:
        run_id = await new_run(member)
        metrics = [
            {"key": f"m{index % 10}", "value": index, "timestamp": index, "step": index}
            for index in range(1000)
        ]
        monkeypatch.setattr(Database, "transaction", counted)
        begin = time.perf_counter()
        await post(member, "runs/log-batch", run_id=run_id, metrics=metrics)
        assert time.perf_counter() - begin < 5  # a sanity bound; the benchmark has the figure
    assert opened == [sqlite_people.context.db, sqlite_people.context.telemetry]


async def test_history_interval_keeps_the_ends(sqlite_people: People) -> None:
    async with sqlite_people.client("member") as member:
        run_id = await new_run(member)
        points = [{"key": "m", "value": i, "timestamp": i, "step": i} for i in range(500)]
        await post(member, "runs/log-batch", run_id=run_id, metrics=points)
        answer = await member.get(
            f"{API}/metrics/get-history-bulk-interval",
            params={"run_ids": [run_id], "metric_key": "m", "max_results": 10, "start_step": 100},
        )
    steps = [point["step"] for point in answer.json()["metrics"]]
    assert (steps[0], steps[-1], len(steps)) == (100, 499, 10)
