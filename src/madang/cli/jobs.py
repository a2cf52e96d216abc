"""`madang job …`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from madang.cli._output import (
    JsonOption,
    LimitOption,
    ProjectOption,
    about,
    ago,
    connect,
    print_item,
    print_json,
    print_list,
)
from madang.cli.job_run import created_lines, follow_new, run_job
from madang.cli.job_waits import explain_job, move_job, set_priority

if TYPE_CHECKING:
    from madang.schemas.jobs import JobCreate, JobDetail, JobRole, ResourceRequest

app = typer.Typer(help="Run things, watch them, end them.", no_args_is_help=True)

JobArgument = Annotated[str, typer.Argument(help="Job, by id or name (the newest of that name).")]

_TAIL_BYTES_A_LINE = 400
_MOST_TAIL_BYTES = 4 << 20

app.command("run", context_settings={"allow_interspersed_args": False})(run_job)
app.command("why")(explain_job)
app.command("move")(move_job)
app.command("priority", context_settings={"ignore_unknown_options": True})(set_priority)


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
            "STARTS": lambda job: about(job.expected_start),
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
    """Stop jobs: SIGTERM, then SIGKILL after their grace. One that can't be is told at the end."""
    from madang.core.errors import MadangError

    cancelled, refused = [], None
    with connect(project) as client:
        for job in jobs:
            try:
                cancelled.append(client.jobs.cancel(job, project=project))
            except MadangError as error:
                refused = refused or error
    if as_json:
        print_json(cancelled)
    else:
        for stopped in cancelled:
            print(f"{stopped.name} ({stopped.id}) is {stopped.state.value}")
    if refused is not None:
        raise refused


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
            print_item(copy, as_json=as_json, lines=created_lines(copy))
            return
        exit_code = follow_new(client, copy, as_json)
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


def _detail_lines(detail: JobDetail) -> list[tuple[str, object]]:
    job = detail.job
    replicas = f"{job.replicas}..{job.replicas_max}" if job.replicas_max > job.replicas else ""
    resources = _in_words(job.resources)
    inputs = ", ".join(f"{item.kind} {item.ref or item.id}" for item in detail.inputs)
    return [
        ("id", job.id),
        ("name", job.name),
        ("state", job.state.value),
        ("why", job.reason.message if job.reason else None),
        ("starts", about(job.expected_start) if job.expected_start else None),
        ("exit code", job.exit_code),
        ("attempt", job.attempt),
        ("project", job.project),
        ("user", job.user),
        ("queue", job.queue),
        ("priority", job.priority or None),
        ("command", " ".join(job.command)),
        ("resources", resources),
        ("replicas", replicas or job.replicas),
        ("where", _where(detail.request)),
        *((f"role {one.name}", _role(one)) for one in detail.request.roles),
        ("environment", job.environment),
        ("inputs", inputs),
        ("asked", job.created_at),
        ("started", job.started_at),
        ("ended", job.ended_at),
    ]


def _in_words(resources: ResourceRequest) -> str:
    named = {key: value for key, value in resources.items() if not isinstance(value, dict)}
    counted = [(k, v) for value in resources.values() if isinstance(value, dict)
               for k, v in value.items()]  # fmt: skip
    return " ".join(f"{key}={value}" for key, value in [*named.items(), *counted])


def _where(asked: JobCreate | JobRole) -> str:
    """Which nodes it may have, as it was asked for; empty for any."""
    said = {"pool": asked.pool, **asked.node_labels, "together": asked.together,
            "apart": asked.apart}  # fmt: skip
    return " ".join(f"{key}={value}" for key, value in said.items() if value)


def _role(role: JobRole) -> str:
    most = f"..{role.replicas_max}" if role.replicas_max else ""
    parts = [f"{role.replicas}{most} ×", _in_words(role.resources), _where(role)]
    return " ".join([*filter(None, parts), "--", *role.command])
