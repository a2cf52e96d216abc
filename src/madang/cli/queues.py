"""`madang queue …`"""

from __future__ import annotations

from typing import Annotated

import typer

from madang.cli._output import (
    JsonOption,
    LimitOption,
    ProjectOption,
    connect,
    print_item,
    print_list,
)

app = typer.Typer(help="Queues: what a project's jobs wait in.", no_args_is_help=True)


@app.command("list")
def list_queues(
    project: ProjectOption = None, limit: LimitOption = 50, as_json: JsonOption = False
) -> None:
    """Show queues, and how much waits and runs."""
    with connect(project) as client:
        page = client.queues.list(limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda queue: queue.name,
            "PROJECT": lambda queue: queue.project,
            "WAITING": lambda queue: queue.waiting,
            "RUNNING": lambda queue: queue.running,
            "DESCRIPTION": lambda queue: queue.description,
        },
        as_json=as_json,
        empty="No queues yet: a project's first job makes its default one.",
    )


@app.command("show")
def show_queue(
    queue: Annotated[str, typer.Argument(help="Queue, by name or id.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a queue."""
    with connect(project) as client:
        found = client.queues.get(queue)
    lines = [
        ("name", found.name),
        ("id", found.id),
        ("project", found.project),
        ("waiting", found.waiting),
        ("running", found.running),
        ("description", found.description),
    ]
    print_item(found, as_json=as_json, lines=lines)


@app.command("create")
def create_queue(
    name: Annotated[str, typer.Argument(help="Its name.")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a queue in a project (administrators)."""
    with connect(project) as client:
        queue = client.queues.create(name, description=description)
    print_item(queue, as_json=as_json, lines=[("created", queue.name), ("id", queue.id)])
