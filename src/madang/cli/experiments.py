"""`madang experiment …`"""

from __future__ import annotations

import typer

from madang.cli._output import (
    JsonOption,
    LimitOption,
    ProjectOption,
    ago,
    connect,
    print_list,
)

app = typer.Typer(help="Experiments: collections of runs.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """Experiments: collections of runs. MLflow's client makes them."""


@app.command("list")
def list_experiments(
    project: ProjectOption = None, limit: LimitOption = 50, as_json: JsonOption = False
) -> None:
    """Show the experiments that you see, newest first."""
    with connect(project) as client:
        page = client.experiments.list(limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda experiment: experiment.name,
            "ID": lambda experiment: experiment.id,
            "PROJECT": lambda experiment: experiment.project,
            "CREATED": lambda experiment: ago(experiment.created_at),
        },
        as_json=as_json,
        empty="There is no experiment yet. `mlflow.set_experiment` makes one.",
    )
