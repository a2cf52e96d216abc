"""`madang run …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from madang.cli._output import (
    JsonOption,
    LimitOption,
    ProjectOption,
    ago,
    connect,
    print_item,
    print_list,
)

if TYPE_CHECKING:
    from madang.schemas.runs import MetricValue

app = typer.Typer(help="Runs: what was tried, and what came of it.", no_args_is_help=True)

_SHOWN_METRICS = 4


@app.command("list")
def list_runs(
    experiment: Annotated[
        str | None, typer.Option("--experiment", "-e", help="Only of this experiment.")
    ] = None,
    job: Annotated[str | None, typer.Option(help="Only those that this job (id) logged.")] = None,
    status: Annotated[
        str | None, typer.Option(help="RUNNING, SCHEDULED, FINISHED, FAILED or KILLED.")
    ] = None,
    filter: Annotated[
        str | None, typer.Option(help="E.g. \"metrics.loss < 0.5 and params.model = 'cnn'\".")
    ] = None,
    project: ProjectOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Show the runs that you see, the one that started last first."""
    with connect(project) as client:
        page = client.runs.list(
            experiment=experiment, job=job, status=status, filter=filter, limit=limit
        )
    print_list(
        page.items,
        {
            "ID": lambda run: run.id,
            "NAME": lambda run: run.name,
            "EXPERIMENT": lambda run: run.experiment,
            "STATUS": lambda run: run.status,
            "METRICS": lambda run: _metrics(run.metrics),
            "STARTED": lambda run: ago(run.started_at),
            "BY": lambda run: run.user,
        },
        as_json=as_json,
        empty="There is no run here yet. `mlflow.start_run` starts one.",
    )


@app.command("show")
def show_run(
    run: Annotated[str, typer.Argument(help="The run's id.")], as_json: JsonOption = False
) -> None:
    """Show a run with its parameters, metrics and tags."""
    with connect() as client:
        found = client.runs.get(run)
    print_item(
        found,
        as_json=as_json,
        lines=[
            ("name", found.name),
            ("id", found.id),
            ("project", found.project),
            ("experiment", found.experiment),
            ("status", found.status),
            ("job", found.job_id),
            ("by", found.user),
            ("started", found.started_at),
            ("ended", found.ended_at),
            *((f"param {key}", value) for key, value in sorted(found.params.items())),
            *((f"metric {key}", _shown(value)) for key, value in sorted(found.metrics.items())),
            *((f"tag {key}", value) for key, value in sorted(found.tags.items())),
        ],
    )


def _metrics(metrics: dict[str, MetricValue]) -> str:
    first = sorted(metrics.items())[:_SHOWN_METRICS]
    more = " …" if len(metrics) > _SHOWN_METRICS else ""
    return ", ".join(f"{key}={_number(value)}" for key, value in first) + more


def _shown(value: MetricValue) -> str:
    return f"{_number(value)} (step {value.step})"


def _number(value: MetricValue) -> str:
    return "not finite" if value.value is None else f"{value.value:.6g}"
