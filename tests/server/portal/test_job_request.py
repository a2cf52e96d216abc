"""The launch form, its command line and its request say the same."""

from __future__ import annotations

import shlex
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from madang.core.errors import InvalidInput
from madang.core.resources import Resources
from madang.schemas.jobs import JobCreate, JobMount, JobRole
from madang.server.portal.job_request import JobForm


class _Recorder:
    """A client whose `jobs.create` keeps what it is given."""

    def __init__(self) -> None:
        self.requests: list[JobCreate] = []
        self.jobs = self

    def __enter__(self) -> _Recorder:
        return self

    def __exit__(self, *_: object) -> None: ...

    def create(self, request: JobCreate) -> Any:
        self.requests.append(request)
        raise KeyboardInterrupt


def request_of_command_line(words: list[str]) -> JobCreate:
    """What `madang …` would send, read by the real command line."""
    from madang.cli.main import app

    recorder = _Recorder()
    with patch("madang.cli.job_run.connect", lambda project=None: recorder):
        result = CliRunner().invoke(app, words[1:])
    assert recorder.requests, result.output
    return recorder.requests[0]


def same(one: JobCreate, other: JobCreate) -> bool:
    def comparable(request: JobCreate) -> tuple[Any, ...]:
        values = {name: getattr(request, name) for name in JobCreate.__slots__}
        values["resources"] = Resources.parse(request.resources)
        values["project"] = None
        return tuple(sorted((name, str(value)) for name, value in values.items()))

    return comparable(one) == comparable(other)


FORMS = [
    JobForm(command="python train.py"),
    JobForm(command="python -c 'print(1, 2)'", name="one", cpu="0.5", memory="512MiB", gpu="0.25"),
    JobForm(command="train --lr 0.1", replicas="2..4", retries="3", time_limit="3600",
            environment="vision@2"),
    JobForm(command="true", mounts="digits:/data:ro models plain:ro", datasets="digits@1:train d",
            variables="A=1 'B=two words' C="),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_the_command_line_asks_for_the_same(form: JobForm) -> None:
    assert same(request_of_command_line(shlex.split(form.command_line())), form.to_request())


@pytest.mark.parametrize("form", FORMS)
def test_a_request_fills_the_form_that_makes_it(form: JobForm) -> None:
    request = form.to_request()
    assert same(JobForm.of(request).to_request(), request)


@pytest.mark.parametrize("form", FORMS)
def test_the_python_call_asks_for_the_same(form: JobForm) -> None:
    asked: list[JobCreate] = []

    class Jobs:
        def run(self, command: list[str], **options: Any) -> None:
            asked.append(JobCreate(command, **options))

    class Client:
        jobs = Jobs()

    code = "\n".join(line for line in form.python_call().splitlines()
                     if not line.startswith("from "))  # fmt: skip
    exec(code, {"Client": Client, "JobMount": JobMount})
    assert same(asked[0], form.to_request())


def test_what_the_form_has_no_field_for_is_kept_from_the_job_that_is_changed() -> None:
    base = JobCreate(
        ["true"], queue="urgent", priority=5,
        resources={"gpu": 1, "gpu_model": "H100", "gpu_profile": "1g.10gb", "counted": {"m": 2}},
        working_directory="/code", labels={"team": "a"}, on_node_lost="restart", grace_s=3.0,
        retry_exit_codes=[(1, 255)], replicas=2, replicas_max=8, resizable=True, pool="train",
        node_labels={"disk": "nvme"}, together="rack", apart="node", expected_s=60.0,
        preemptible=False, reservation="nightly", wait_for_nodes=True,
        roles=[JobRole("server", ["python", "a b.py"], {"cpu": 4}, replicas=2, pool="serve")],
    )  # fmt: skip
    form = JobForm.of(base)
    form.command = "false"
    assert form.to_request().queue == "urgent"
    assert same(request_of_command_line(shlex.split(form.command_line())), form.to_request())


@pytest.mark.parametrize(
    ("field", "text"),
    [("command", ""), ("command", "'open"), ("replicas", "many"), ("retries", "x"),
     ("variables", "NOVALUE"), ("time_limit", "soon")],
)  # fmt: skip
def test_an_error_names_its_field(field: str, text: str) -> None:
    form = JobForm(command="true")
    setattr(form, field, text)
    with pytest.raises(InvalidInput) as error:
        form.to_request()
    assert error.value.field == field


@given(st.text(), st.text())
def test_half_typed_text_still_has_a_command_line(command: str, variables: str) -> None:
    assert JobForm(command=command, variables=variables).command_line()
