"""`madang job …`"""

from __future__ import annotations

import sys
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
    from madang.client import Client
    from madang.schemas.jobs import Job, JobDetail

app = typer.Typer(help="Run things, watch them, end them.", no_args_is_help=True)

JobArgument = Annotated[str, typer.Argument(help="Job, by id or name (the newest of that name).")]

_TAIL_BYTES_A_LINE = 400
_MOST_TAIL_BYTES = 4 << 20


@app.command("run", context_settings={"allow_interspersed_args": False})
def run_job(
    command: Annotated[list[str], typer.Argument(help="The command: -- python train.py")],
    name: Annotated[str, typer.Option(help="Its name; made from the command if empty.")] = "",
    cpu: Annotated[str, typer.Option(help="CPUs of each process, e.g. 2 or 0.5.")] = "",
    memory: Annotated[str, typer.Option(help="Memory of each process, e.g. 4GiB.")] = "",
    gpu: Annotated[str, typer.Option(help="GPUs: 1, 2, … or a share such as 0.5.")] = "",
    gpu_memory: Annotated[str, typer.Option(help="GPU memory, e.g. 10GiB.")] = "",
    gpu_model: Annotated[str, typer.Option(help="GPU models that will do: 'H100|A100'.")] = "",
    accelerator: Annotated[str, typer.Option(help="Another one: tpu-v5e:4.")] = "",
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
    retries: Annotated[int, typer.Option(help="Try again so often when it was killed.")] = 0,
    retry_exit_codes: Annotated[
        str, typer.Option(help="Exit codes worth a retry: 128-255, or 1-255, or 75,128-255.")
    ] = "128-255",
    time_limit: Annotated[str, typer.Option(help="End it after: 90s, 30m, 2h, 1d.")] = "",
    grace: Annotated[str, typer.Option(help="From SIGTERM to SIGKILL, e.g. 30s.")] = "",
    queue: Annotated[str, typer.Option(help="Queue; the project's default if empty.")] = "",
    priority: Annotated[int, typer.Option(help="More goes first.")] = 0,
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
    from madang.schemas.jobs import JobCreate

    low, high = options.parse_replicas(replicas)
    resources = {
        "cpu": cpu, "memory": memory, "gpu": gpu, "gpu_memory": gpu_memory,
        "gpu_model": gpu_model, "accelerator": accelerator,
    }  # fmt: skip
    request: dict[str, Any] = {
        "name": name,
        "project": project,
        "queue": queue,
        "priority": priority,
        "resources": {key: value for key, value in resources.items() if value},
        "replicas": low,
        "replicas_max": high,
        "environment": environment,
        "mounts": [options.parse_mount(text) for text in mount or ()],
        "datasets": dataset or [],
        "environment_variables": options.parse_pairs(env or (), "env"),
        "working_directory": workdir,
        "retries": retries,
        "retry_exit_codes": options.parse_ranges(retry_exit_codes),
        "time_limit_s": options.parse_duration(time_limit, "time-limit") if time_limit else 0.0,
        "grace_s": options.parse_duration(grace, "grace") if grace else None,
        "on_node_lost": on_node_lost,
        "labels": options.parse_pairs(label or (), "label"),
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
            print_item(job, as_json=as_json, lines=_created_lines(job))
            return
        exit_code = _follow_new(client, job, as_json)
    raise typer.Exit(exit_code)


@app.command("list")
def list_jobs(
    project: ProjectOption = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Only in this state; may be repeated.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Only this user's; 'me' for yours.")] = None,
    name: Annotated[str | None, typer.Option(help="Only with this in the name.")] = None,
    kind: Annotated[str, typer.Option(help="job, session or service.")] = "job",
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Show jobs, newest first."""
    with connect(project) as client:
        page = client.jobs.list(state=state, user=user, name=name, kind=kind, limit=limit)
    print_list(
        page.items,
        {
            "ID": lambda job: job.id,
            "NAME": lambda job: job.name,
            "STATE": lambda job: job.state.value,
            "PROJECT": lambda job: job.project,
            "USER": lambda job: job.user,
            "ASKED": lambda job: ago(job.created_at),
            "WHY": lambda job: job.reason.message if job.reason else "",
        },
        as_json=as_json,
        empty="No jobs. `madang job run -- python train.py` runs one.",
    )


@app.command("show")
def show_job(job: JobArgument, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show a job, its tasks and its inputs."""
    with connect(project) as client:
        detail = client.jobs.get(job, project=project)
    print_item(detail, as_json=as_json, lines=_detail_lines(detail))
    if as_json or not detail.tasks:
        return
    print()
    print_list(
        detail.tasks,
        {
            "TASK": lambda task: task.id,
            "ATTEMPT": lambda task: task.attempt,
            "RANK": lambda task: task.rank,
            "STATE": lambda task: task.state.value,
            "NODE": lambda task: task.node,
            "EXIT": lambda task: task.exit_code,
            "GOT": lambda task: ", ".join(f"{k}={v}" for k, v in task.isolation.items()),
        },
        as_json=False,
        empty="",
    )


@app.command("logs")
def show_logs(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it writes.")] = False,
    rank: Annotated[
        int | None, typer.Option(min=0, help="Of this process; with -f all, else the first.")
    ] = None,
    attempt: Annotated[int | None, typer.Option(min=1, help="Of this attempt.")] = None,
    tail: Annotated[
        int | None, typer.Option(min=1, help="Only the last lines (with -f: about).")
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Print a job's log."""
    size = None if tail is None else min(tail * _TAIL_BYTES_A_LINE, _MOST_TAIL_BYTES)
    with connect(project) as client:
        found = client.jobs.get(job, project=project).job
        if follow:
            from madang.cli._follow import follow_job

            exit_code = follow_job(
                client, found, quiet=True, rank=rank, attempt=attempt, tail_bytes=size
            )
            raise typer.Exit(exit_code)
        if tail is not None:
            part = client.jobs.log(found.id, rank=rank or 0, attempt=attempt, tail_bytes=size)
            sys.stdout.write("".join(part.text.splitlines(keepends=True)[-tail:]))
            return
        offset = 0
        while True:
            part = client.jobs.log(found.id, rank=rank or 0, attempt=attempt, offset=offset)
            sys.stdout.write(part.text)
            if part.next_offset == offset or part.ended:
                return
            offset = part.next_offset


@app.command("cancel")
def cancel_jobs(
    jobs: Annotated[list[str], typer.Argument(help="Jobs, by id or name.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop jobs: SIGTERM, then SIGKILL after their grace."""
    with connect(project) as client:
        cancelled = [client.jobs.cancel(job, project=project) for job in jobs]
    if as_json:
        print_json(cancelled)
        return
    for job in cancelled:
        print(f"{job.name} ({job.id}) is {job.state.value}")


@app.command("clone")
def clone_job(
    job: JobArgument,
    detach: Annotated[
        bool, typer.Option("--detach/--follow", "-d", help="Return at once; or show its log.")
    ] = True,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the same again, as a job of yours."""
    with connect(project) as client:
        copy = client.jobs.clone(job, project=project)
        if detach:
            print_item(copy, as_json=as_json, lines=_created_lines(copy))
            return
        exit_code = _follow_new(client, copy, as_json)
    raise typer.Exit(exit_code)


@app.command("wait")
def wait_for_job(
    job: JobArgument, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Wait until a job has ended; leaves with its exit code."""
    with connect(project) as client:
        ended = client.jobs.wait(client.jobs.get(job, project=project).job.id)
    why = ended.reason.message if ended.reason else ""
    print_item(ended, as_json=as_json, lines=[(ended.name, ended.state.value), ("why", why)])
    if ended.exit_code is None:
        raise typer.Exit(0 if ended.state == "succeeded" else 1)
    raise typer.Exit(ended.exit_code)


@app.command("events")
def list_job_events(
    job: JobArgument,
    limit: LimitOption = 100,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what happened to a job and its tasks, newest first."""
    from madang.cli.events import print_events

    with connect(project) as client:
        page = client.jobs.events(job, project=project, limit=limit)
    print_events(page.items, as_json=as_json)


@app.command("metrics")
def show_metrics(
    job: JobArgument,
    key: Annotated[list[str] | None, typer.Option(help="Only this; may be repeated.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the numbers that a job has reported: the newest of each."""
    with connect(project) as client:
        series = client.jobs.metrics(job, project=project, keys=key)
    print_list(
        list(series),
        {
            "METRIC": lambda one: one.key,
            "RANK": lambda one: one.rank,
            "ATTEMPT": lambda one: one.attempt,
            "STEP": lambda one: one.points[-1].step,
            "VALUE": lambda one: f"{one.points[-1].value:.6g}",
            "BEST": lambda one: (
                f"{min(point.value for point in one.points):.6g} to "
                f"{max(point.value for point in one.points):.6g}"
            ),
        },
        as_json=as_json,
        empty="No numbers yet. In the code: from madang import train; train.report(1, loss=0.5).",
    )


def _follow_new(client: Client, job: Job, as_json: bool) -> int:
    """Show a job from its beginning; the exit code to leave with."""
    from madang.cli._follow import follow_job

    print(f"{job.name} ({job.id})", file=sys.stderr, flush=True)
    exit_code = follow_job(client, job, log=sys.stderr if as_json else None)
    if as_json:
        print_json(client.jobs.get(job.id).job)
    return exit_code


def _created_lines(job: Job) -> list[tuple[str, object]]:
    return [
        ("job", job.id),
        ("name", job.name),
        ("state", job.state.value),
        ("log", f"madang job logs -f {job.id}"),
    ]


def _detail_lines(detail: JobDetail) -> list[tuple[str, object]]:
    job = detail.job
    replicas = f"{job.replicas}..{job.replicas_max}" if job.replicas_max > job.replicas else ""
    resources = " ".join(f"{key}={value}" for key, value in job.resources.items())
    inputs = ", ".join(f"{item.kind} {item.ref or item.id}" for item in detail.inputs)
    return [
        ("id", job.id),
        ("name", job.name),
        ("state", job.state.value),
        ("why", job.reason.message if job.reason else None),
        ("exit code", job.exit_code),
        ("attempt", job.attempt),
        ("project", job.project),
        ("user", job.user),
        ("queue", job.queue),
        ("command", " ".join(job.command)),
        ("resources", resources),
        ("replicas", replicas or job.replicas),
        ("environment", job.environment),
        ("inputs", inputs),
        ("asked", job.created_at),
        ("started", job.started_at),
        ("ended", job.ended_at),
    ]
