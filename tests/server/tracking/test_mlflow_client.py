"""The ordinary MLflow client against our server."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.server.tracking.conftest import TrackingServer

pytestmark = pytest.mark.filterwarnings("ignore")  # what the client does is not ours to mend


def test_experiments(mlflow: Any, unique: str) -> None:
    client = mlflow.MlflowClient()
    experiment_id = client.create_experiment(unique, tags={"team": "vision"})
    assert client.get_experiment_by_name(unique).experiment_id == experiment_id
    assert client.get_experiment(experiment_id).tags == {"team": "vision"}
    assert client.get_experiment_by_name(unique + "-none") is None
    with pytest.raises(mlflow.MlflowException) as taken:
        client.create_experiment(unique)
    assert taken.value.error_code == "RESOURCE_ALREADY_EXISTS"

    client.set_experiment_tag(experiment_id, "stage", "a/b = c")
    client.rename_experiment(experiment_id, unique + "-2")
    found = client.search_experiments(filter_string=f"name LIKE '{unique}%'")
    assert [item.name for item in found] == [unique + "-2"]
    assert found[0].tags["stage"] == "a/b = c"

    client.delete_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "deleted"
    assert client.search_experiments(filter_string=f"name = '{unique}-2'") == []
    client.restore_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "active"


def test_the_default_experiment_is_the_projects_own(
    mlflow: Any, tracking_server: TrackingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = mlflow.MlflowClient()
    mine = client.get_experiment("0")
    assert mine.name == "Default"
    assert client.create_run("0").info.experiment_id == mine.experiment_id
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", tracking_server.people.tokens["outsider"])
    theirs = client.get_experiment("0")
    assert theirs.name == "Default"
    assert theirs.experiment_id != mine.experiment_id


def test_a_run_with_everything(mlflow: Any, unique: str, tmp_path: Path) -> None:
    mlflow.set_experiment(unique)
    with mlflow.start_run(run_name="first", tags={"a": "b"}) as active:
        mlflow.log_params({"lr": 0.1, "layers": "3"})
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_metric("loss", math.nan, step=2)
        mlflow.log_metric("loss", math.inf, step=3)
        mlflow.log_metrics({"val/acc": 0.9, "count": 7})
        mlflow.log_dict({"deep": [1, 2]}, "cfg/여 러/설정.json")
        (tmp_path / "empty.txt").write_text("")
        mlflow.log_artifact(str(tmp_path / "empty.txt"))
    client = mlflow.MlflowClient()
    run = client.get_run(active.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert run.info.user_id == "member"
    assert run.data.params == {"lr": "0.1", "layers": "3"}
    assert run.data.metrics == {"loss": math.inf, "val/acc": 0.9, "count": 7.0}
    assert run.data.tags["a"] == "b"
    assert run.data.tags["mlflow.user"] == "member"
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [str(point.value) for point in history] == ["0.5", "nan", "inf"]

    assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["cfg", "empty.txt"]
    inner = client.list_artifacts(run.info.run_id, "cfg/여 러")
    assert [(item.path, item.is_dir) for item in inner] == [("cfg/여 러/설정.json", False)]
    assert mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/cfg/여 러/설정.json") == {
        "deep": [1, 2]
    }
    fetched = mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, dst_path=str(tmp_path / "fetched")
    )
    assert (Path(fetched) / "empty.txt").read_bytes() == b""


def test_params_do_not_change(mlflow: Any, unique: str) -> None:
    mlflow.set_experiment(unique)
    with mlflow.start_run() as active:
        mlflow.log_param("lr", 0.1)
        mlflow.log_param("lr", 0.1)
        with pytest.raises(mlflow.MlflowException, match="changing param values"):
            mlflow.log_param("lr", 0.2)
    assert mlflow.get_run(active.info.run_id).data.params == {"lr": "0.1"}


def test_delete_and_restore_a_run_and_its_tags(mlflow: Any, unique: str) -> None:
    client = mlflow.MlflowClient()
    experiment_id = client.create_experiment(unique)
    run_id = client.create_run(experiment_id).info.run_id
    client.set_tag(run_id, "k", "v")
    client.delete_tag(run_id, "k")
    with pytest.raises(mlflow.MlflowException) as gone:
        client.delete_tag(run_id, "k")
    assert gone.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    client.delete_run(run_id)
    assert client.search_runs([experiment_id]) == []
    with pytest.raises(mlflow.MlflowException):
        client.log_metric(run_id, "loss", 1.0)
    client.restore_run(run_id)
    client.update_run(run_id, status="KILLED", name="renamed")
    (found,) = client.search_runs([experiment_id], filter_string="run_name = 'renamed'")
    assert (found.info.status, found.data.tags["mlflow.runName"]) == ("KILLED", "renamed")


def test_search_pages_through_all_runs(mlflow: Any, unique: str) -> None:
    client = mlflow.MlflowClient()
    experiment_id = client.create_experiment(unique)
    for index in range(7):
        run = client.create_run(experiment_id, start_time=1000 + index)
        client.log_metric(run.info.run_id, "m", float(index % 3))
        client.log_param(run.info.run_id, "p", str(index))
    seen, token = [], None
    while True:
        page = client.search_runs(
            [experiment_id], order_by=["metrics.m DESC"], max_results=2, page_token=token
        )
        seen += [run.data.params["p"] for run in page]
        token = page.token
        if not token:
            break
    assert seen == ["5", "2", "4", "1", "6", "3", "0"]
    found = client.search_runs([experiment_id], "metrics.m >= 1 and params.p != '5'")
    assert {run.data.params["p"] for run in found} == {"1", "2", "4"}


def test_inputs(mlflow: Any, unique: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    mlflow.set_experiment(unique)
    with mlflow.start_run() as active:
        pass
    client = mlflow.MlflowClient()
    dataset = Dataset("digits", "abc", "local", "{}", schema="{}", profile="{}")
    used = DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])
    client.log_inputs(active.info.run_id, [used])
    (stored,) = client.get_run(active.info.run_id).inputs.dataset_inputs
    assert (stored.dataset.name, stored.dataset.digest) == ("digits", "abc")
    experiment_id = active.info.experiment_id
    assert len(client.search_runs([experiment_id], "dataset.context = 'train'")) == 1
    assert client.search_runs([experiment_id], "dataset.name = 'other'") == []


def test_log_register_and_load_a_model(mlflow: Any, unique: str) -> None:
    pytest.importorskip("pandas", reason="mlflow.pyfunc needs it")

    class Double(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any) -> Any:
            return [2 * item for item in model_input]

    mlflow.set_experiment(unique)
    with mlflow.start_run() as active:
        logged = mlflow.pyfunc.log_model(
            name="double",
            python_model=Double(),
            registered_model_name=unique,
            pip_requirements=["numpy"],
        )
    client = mlflow.MlflowClient()
    version = client.get_model_version(unique, 1)
    assert version.run_id == active.info.run_id
    assert version.source == logged.model_uri
    client.set_registered_model_alias(unique, "champion", 1)
    assert client.get_model_version_by_alias(unique, "champion").version == "1"
    for uri in (f"models:/{unique}@champion", f"models:/{unique}/1", logged.model_uri):
        assert mlflow.pyfunc.load_model(uri).predict([1, 2]) == [2, 4]

    model = client.get_logged_model(logged.model_id)
    assert (model.status, model.source_run_id) == ("READY", active.info.run_id)
    found = mlflow.search_logged_models(
        experiment_ids=[active.info.experiment_id],
        filter_string="name = 'double'",
        output_format="list",
    )
    assert [item.model_id for item in found] == [logged.model_id]
    run = client.get_run(active.info.run_id)
    assert [output.model_id for output in run.outputs.model_outputs] == [logged.model_id]

    again = mlflow.register_model(f"runs:/{active.info.run_id}/double", unique)
    assert again.version == "2"
    copied = client.copy_model_version(f"models:/{unique}@champion", unique + "-copy")
    assert copied.version == "1"
    assert mlflow.pyfunc.load_model(f"models:/{unique}-copy/1").predict([3]) == [6]


def test_the_registry(mlflow: Any, unique: str) -> None:
    client = mlflow.MlflowClient()
    run_id = client.create_run("0").info.run_id
    client.create_registered_model(unique, tags={"t": "1"}, description="first")
    with pytest.raises(mlflow.MlflowException) as taken:
        client.create_registered_model(unique)
    assert taken.value.error_code == "RESOURCE_ALREADY_EXISTS"
    for _ in range(3):
        client.create_model_version(unique, f"runs:/{run_id}/model", run_id, tags={"x": "y"})
    client.set_model_version_tag(unique, "2", "checked", "yes")
    client.update_model_version(unique, "2", "the second")
    client.set_registered_model_tag(unique, "u", "2")
    client.delete_registered_model_tag(unique, "t")
    found = client.search_model_versions(f"name = '{unique}' and tags.checked = 'yes'")
    assert [(item.version, item.description) for item in found] == [("2", "the second")]
    assert client.get_registered_model(unique).tags == {"u": "2"}

    client.set_registered_model_alias(unique, "champion", "2")
    client.set_registered_model_alias(unique, "champion", "3")
    assert client.get_registered_model(unique).aliases == {"champion": "3"}
    client.transition_model_version_stage(unique, "1", "Production")
    client.transition_model_version_stage(unique, "2", "production", True)
    assert client.get_model_version(unique, "1").current_stage == "Archived"
    latest = client.get_latest_versions(unique, ["Production"])
    assert [item.version for item in latest] == ["2"]

    client.delete_model_version(unique, "3")
    assert client.get_registered_model(unique).aliases == {}
    fourth = client.create_model_version(unique, f"runs:/{run_id}/model")
    assert fourth.version == "4"
    client.rename_registered_model(unique, unique + "-new")
    assert client.get_model_version(unique + "-new", "4").name == unique + "-new"
    (model,) = client.search_registered_models(f"name ILIKE '{unique.upper()}%'")
    assert model.tags == {"u": "2"}
    client.delete_registered_model(unique + "-new")
    with pytest.raises(mlflow.MlflowException) as gone:
        client.get_registered_model(unique + "-new")
    assert gone.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_project_in_the_address(
    mlflow: Any, tracking_server: TrackingServer, monkeypatch: pytest.MonkeyPatch, unique: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", tracking_server.people.tokens["admin"])
    client = mlflow.MlflowClient()
    with pytest.raises(mlflow.MlflowException, match="not clear which project"):
        client.create_experiment(unique)
    mlflow.set_tracking_uri(f"{tracking_server.url}/projects/other")
    mlflow.set_experiment(unique)
    with mlflow.start_run() as active:
        mlflow.log_text("hello", "greeting.txt")
    assert mlflow.artifacts.load_text(f"{active.info.artifact_uri}/greeting.txt") == "hello"
    elsewhere = mlflow.MlflowClient(f"{tracking_server.url}/projects/vision")
    with pytest.raises(mlflow.MlflowException) as hidden:
        elsewhere.get_run(active.info.run_id)
    assert hidden.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_what_is_not_spoken_is_said_so(mlflow: Any) -> None:
    with pytest.raises(mlflow.MlflowException) as unknown:
        mlflow.MlflowClient().search_traces(experiment_ids=["0"])
    assert unknown.value.error_code == "NOT_IMPLEMENTED"
