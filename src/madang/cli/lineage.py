"""`madang lineage …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from madang.cli._output import JsonOption, ProjectOption, connect, print_json

if TYPE_CHECKING:
    from madang.schemas.lineage import LineageChain, LineageNode

app = typer.Typer(help="Lineage: what was made from what.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """Lineage: dataset version, job, run, model version, endpoint."""


@app.command("show")
def show_lineage(
    endpoint: Annotated[str | None, typer.Option(help="Of this endpoint.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Of this model version: digits/3 or digits@champion.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="Of this run (id).")] = None,
    job: Annotated[str | None, typer.Option(help="Of this job.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Of this dataset version: digits@1.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a thing was made from, and what was made from it."""
    given = [value for value in (endpoint, model, run, job, dataset) if value]
    if len(given) != 1:
        raise typer.BadParameter(
            "name exactly one of --endpoint, --model, --run, --job and --dataset"
        )
    with connect(project) as client:
        found = client.lineage.get(
            endpoint=endpoint, model_version=model, run=run, job=job, dataset_version=dataset
        )
    if as_json:
        print_json(found)
    else:
        _print_chain(found)


def _print_chain(lineage: LineageChain) -> None:
    """One line a link, in the order of the chain; what it was made from is named with it."""
    by_id = {node.id: node for node in lineage.nodes}
    for node in lineage.nodes:
        mark = "→" if node.id == lineage.subject else " "
        sources = [
            by_id[edge.source].name
            for edge in lineage.edges
            if edge.target == node.id and edge.source in by_id
        ]
        made_from = f"   from {', '.join(sources)}" if sources else ""
        kind = node.kind.value.replace("_", " ")
        print(f"{mark} {kind:<16}{_described(node)}{made_from}")
    if lineage.truncated:
        print("  … and more than can be shown.")


def _described(node: LineageNode) -> str:
    when = node.at.astimezone().strftime("%Y-%m-%d %H:%M")
    facts = [node.state, f"environment {node.environment}" if node.environment else ""]
    shown = ", ".join(fact for fact in (*facts, f"by {node.user}", when) if fact)
    return f"{node.name} [{node.id}] ({shown})"
