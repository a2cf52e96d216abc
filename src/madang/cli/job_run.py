"""`madang job run`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from madang.cli._output import JsonOption, ProjectOption, connect, print_item, print_json

if TYPE_CHECKING:
    from madang.client import Client
    from madang.schemas.jobs import Job


def run_job(
    command: Annotated[list[str], typer.Argument(help="The command: -- python train.py")],
    name: Annotated[str, typer.Option(help="Its name; made from the command if empty.")] = "",
    cpu: Annotated[str, typer.Option(help="CPUs of each process, e.g. 2 or 0.5.")] = "",
    memory: Annotated[str, typer.Option(help="Memory of each process, e.g. 4GiB.")] = "",
    gpu: Annotated[str, typer.Option(help="GPUs: 1, 2, … or a share such as 0.5.")] = "",
    gpu_memory: Annotated[str, typer.Option(help="GPU memory, e.g. 10GiB.")] = "",
    gpu_model: Annotated[str, typer.Option(help="GPU models that will do: 'H100|A100'.")] = "",
    gpu_profile: Annotated[str, typer.Option(help="Slices of GPUs instead: 1g.10gb.")] = "",
    accelerator: Annotated[str, typer.Option(help="Another one: tpu-v5e:4.")] = "",
    resource: Annotated[
        list[str] | None, typer.Option(help="Something else that nodes have: matlab=2.")
    ] = None,
    environment: Annotated[
        str, typer.Option("--environment", "-e", help="Environment: NAME or NAME@VERSION.")
    ] = "",
    code: Annotated[
        str, typer.Option(help="Send this folder's files; they are the working directory.")
    ] = "",
    upload: Annotated[
        str, typer.Option(help="Send only these files and folders of it: train.py,lib")
    ] = "",
    mount: Annotated[
        list[str] | None, typer.Option(help="Mount a folder: FOLDER[:/target][:ro].")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Give it a dataset: NAME[@VERSION][:VIEW].")
    ] = None,
    env: Annotated[list[str] | None, typer.Option(help="Set a variable: NAME=VALUE.")] = None,
    workdir: Annotated[str, typer.Option(help="Working directory inside the job.")] = "",
    replicas: Annotated[
        str, typer.Option(help="Processes that start together: 2, or 2..4 for as many as fit.")
    ] = "1",
    resizable: Annotated[
        bool, typer.Option("--resizable", help="Processes may come and go in that range.")
    ] = False,
    pool: Annotated[str, typer.Option(help="Only on nodes of this pool.")] = "",
    node_label: Annotated[
        list[str] | None, typer.Option(help="Only on nodes with this label: NAME=VALUE.")
    ] = None,
    together: Annotated[str, typer.Option(help="All processes on one: node or rack.")] = "",
    apart: Annotated[str, typer.Option(help="Each process on its own: node or rack.")] = "",
    role: Annotated[
        list[str] | None,
        typer.Option(help="Further processes that start with it: JSON with name and command."),
    ] = None,
    retries: Annotated[int, typer.Option(help="Try again so often when it was killed.")] = 0,
    retry_exit_codes: Annotated[
        str, typer.Option(help="Exit codes worth a retry: 128-255, or 1-255, or 75,128-255.")
    ] = "128-255",
    time_limit: Annotated[str, typer.Option(help="End it after: 90s, 30m, 2h, 1d.")] = "",
    expected: Annotated[str, typer.Option(help="How long it will run, if you know: 2h.")] = "",
    grace: Annotated[str, typer.Option(help="From SIGTERM to SIGKILL, e.g. 30s.")] = "",
    queue: Annotated[str, typer.Option(help="Queue; the project's default if empty.")] = "",
    priority: Annotated[
        str, typer.Option(help="low, normal, high, urgent, or a number: more goes first.")
    ] = "0",
    preemptible: Annotated[
        bool | None,
        typer.Option("--preemptible/--not-preemptible", help="May it be stopped for others? Yes."),
    ] = None,
    reservation: Annotated[str, typer.Option(help="Use what this reservation holds.")] = "",
    wait_for_nodes: Annotated[
        bool, typer.Option("--wait-for-nodes", help="Wait even if no node could ever hold it.")
    ] = False,
    on_node_lost: Annotated[
        str, typer.Option(help="When its node is lost: keep (wait for it) or restart.")
    ] = "keep",
    label: Annotated[list[str] | None, typer.Option(help="A label: KEY=VALUE.")] = None,
    detach: Annotated[
        bool, typer.Option("--detach/--follow", "-d", help="Return at once; or show its log.")
    ] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a command, show its log, and leave with its exit code.

    Ctrl-C leaves it running.
    """
    from madang.cli import _job_options as options
    from madang.core.priorities import parse_priority
    from madang.schemas.jobs import JobCreate

    low, high = options.parse_replicas(replicas)
    resources = {
        "cpu": cpu, "memory": memory, "gpu": gpu, "gpu_memory": gpu_memory,
        "gpu_model": gpu_model, "gpu_profile": gpu_profile, "accelerator": accelerator,
        "counted": options.parse_counts(resource or ()),
    }  # fmt: skip
    request: dict[str, Any] = {
        "name": name,
        "project": project,
        "queue": queue,
        "priority": parse_priority(priority),
        "resources": {key: value for key, value in resources.items() if value},
        "replicas": low,
        "replicas_max": high,
        "resizable": resizable,
        "pool": pool,
        "node_labels": options.parse_pairs(node_label or (), "node-label"),
        "together": together,
        "apart": apart,
        "roles": [options.parse_role(text) for text in role or ()],
        "environment": environment,
        "mounts": [options.parse_mount(text) for text in mount or ()],
        "datasets": dataset or [],
        "environment_variables": options.parse_pairs(env or (), "env"),
        "working_directory": workdir,
        "retries": retries,
        "retry_exit_codes": options.parse_ranges(retry_exit_codes),
        "time_limit_s": options.parse_time_limit(time_limit),
        "expected_s": options.parse_duration(expected, "expected") if expected else 0.0,
        "grace_s": options.parse_duration(grace, "grace") if grace else None,
        "on_node_lost": on_node_lost,
        "labels": options.parse_pairs(label or (), "label"),
        "preemptible": preemptible,
        "reservation": reservation,
        "wait_for_nodes": wait_for_nodes,
    }
    with connect(project) as client:
        if code or upload:
            names = [part for part in upload.split(",") if part]
            bundle = client.jobs.upload_code(code or ".", names, project=project)
            request["code"] = bundle.digest
        elif forgotten := options.local_file(command):
            print(
                f"Note: {forgotten} is here, but not where the job runs; --code . sends it.",
                file=sys.stderr,
            )
        job = client.jobs.create(JobCreate(command, **request))
        if detach:
            print_item(job, as_json=as_json, lines=created_lines(job))
            return
        exit_code = follow_new(client, job, as_json)
    raise typer.Exit(exit_code)


def follow_new(client: Client, job: Job, as_json: bool) -> int:
    """Show a job from its beginning; the exit code to leave with."""
    from madang.cli._follow import follow_job

    print(f"{job.name} ({job.id})", file=sys.stderr, flush=True)
    exit_code = follow_job(client, job, log=sys.stderr if as_json else None)
    if as_json:
        print_json(client.jobs.get(job.id).job)
    return exit_code


def created_lines(job: Job) -> list[tuple[str, object]]:
    return [
        ("job", job.id),
        ("name", job.name),
        ("state", job.state.value),
        ("log", f"madang job logs -f {job.id}"),
    ]
