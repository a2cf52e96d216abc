"""`madang endpoint …`"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from madang.cli._output import (
    JsonOption,
    LimitOption,
    ProjectOption,
    ago,
    connect,
    print_item,
    print_json,
    print_list,
)

if TYPE_CHECKING:
    from madang.schemas.endpoints import Endpoint

app = typer.Typer(help="Models that answer requests.", no_args_is_help=True)

EndpointArgument = Annotated[str, typer.Argument(help="Endpoint, by name or id.")]


@app.command("deploy")
def deploy_endpoint(
    name: Annotated[str, typer.Argument(help="Its name; an existing one is updated.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Model version: NAME, NAME/VERSION, NAME@ALIAS.")
    ],
    environment: Annotated[
        str,
        typer.Option("--environment", "-e", help="Environment; that of the training job if none."),
    ] = "",
    replicas: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
    cpu: Annotated[str, typer.Option(help="CPUs of each replica, e.g. 2 or 0.5.")] = "",
    memory: Annotated[str, typer.Option(help="Memory of each replica, e.g. 4GiB.")] = "",
    gpu: Annotated[str, typer.Option(help="GPUs of each replica, e.g. 1 or 0.25.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it answers.")] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait with --wait.")
    ] = 600.0,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have an endpoint answer with a model version.

    An endpoint that exists goes on with what it has until the new revision is ready.
    """
    asked = {"cpu": cpu, "memory": memory, "gpu": gpu}
    resources: dict[str, str | int | float] = {key: value for key, value in asked.items() if value}
    with connect(project) as client:
        endpoint = client.endpoints.deploy(
            name, model, environment=environment, resources=resources, replicas=replicas
        )
        if wait:
            endpoint = client.endpoints.wait(
                endpoint.id, timeout_s=timeout_s, on_change=_tell_on_stderr
            )
    _print(endpoint, as_json=as_json)


@app.command("list")
def list_endpoints(
    project: ProjectOption = None, limit: LimitOption = 50, as_json: JsonOption = False
) -> None:
    """Show the endpoints that you see, newest first."""
    with connect(project) as client:
        page = client.endpoints.list(limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda endpoint: endpoint.name,
            "PROJECT": lambda endpoint: endpoint.project,
            "MODEL": lambda endpoint: endpoint.revision.model,
            "STATE": lambda endpoint: endpoint.message,
            "CREATED": lambda endpoint: ago(endpoint.created_at),
            "URL": lambda endpoint: endpoint.url,
        },
        as_json=as_json,
        empty="There is no endpoint yet. `madang endpoint deploy NAME --model MODEL` makes one.",
    )


@app.command("show")
def show_endpoint(
    endpoint: EndpointArgument, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Show one endpoint."""
    with connect(project) as client:
        found = client.endpoints.get(endpoint)
    _print(found, as_json=as_json)


@app.command("logs")
def show_logs(
    endpoint: EndpointArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it writes.")] = False,
    replica: Annotated[int, typer.Option(min=0, help="Which replica.")] = 0,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a replica has written."""
    with connect(project) as client:
        found = client.endpoints.get(endpoint)
        if as_json:
            print_json(client.endpoints.log(found.id, replica=replica))
            return
        workload = found.revision.workload_id
        with client.jobs.stream_log(workload, rank=replica, follow=follow) as texts:
            for text in texts:
                sys.stdout.write(text)
                sys.stdout.flush()


@app.command("invoke")
def invoke_endpoint(
    endpoint: EndpointArgument,
    data: Annotated[
        str,
        typer.Option("--data", "-d", help="Request as JSON, or @FILE, or @- for standard input."),
    ],
    project: ProjectOption = None,
) -> None:
    """Send a request of the Open Inference Protocol, print the answer."""
    request = _read_request(data)
    with connect(project) as client:
        print_json(client.endpoints.invoke(endpoint, request))


@app.command("delete")
def delete_endpoint(
    endpoint: EndpointArgument,
    project: ProjectOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop an endpoint and forget it."""
    if not yes:
        typer.confirm(f"Delete endpoint {endpoint}? Requests to it will fail", abort=True)
    with connect(project) as client:
        client.endpoints.delete(endpoint)
    print(f"{endpoint} is being deleted.")


def _tell_on_stderr(endpoint: Endpoint) -> None:
    print(f"{endpoint.name} {endpoint.message}", file=sys.stderr, flush=True)


def _read_request(data: str) -> dict[str, Any]:
    from madang.core.errors import InvalidInput

    text = data
    try:
        if data == "@-":
            text = sys.stdin.read()
        elif data.startswith("@"):
            text = Path(data[1:]).read_text()
        request = json.loads(text)
    except OSError as error:
        raise InvalidInput(f"{data[1:]} can't be read: {error.strerror}", field="data") from None
    except ValueError as error:
        raise InvalidInput(f"the request is not valid JSON: {error}", field="data") from None
    if not isinstance(request, dict):
        raise InvalidInput(
            "the request must be a JSON object",
            field="data",
            hint='Write {"inputs": [{"name": …, "shape": …, "datatype": …, "data": …}]}.',
        )
    return request


def _print(endpoint: Endpoint, *, as_json: bool) -> None:
    revision = endpoint.revision
    print_item(
        endpoint,
        as_json=as_json,
        lines=[
            ("name", endpoint.name),
            ("id", endpoint.id),
            ("project", endpoint.project),
            ("state", endpoint.message),
            ("url", endpoint.url),
            ("model", revision.model),
            ("environment", revision.environment),
            ("resources", " ".join(f"{key}={value}" for key, value in revision.resources.items())),
            ("revision", revision.number),
            ("service", revision.workload_id),
            ("created", endpoint.created_at),
        ],
    )
