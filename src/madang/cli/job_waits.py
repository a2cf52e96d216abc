"""`madang job why|move|priority`"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from madang.cli._output import (
    JsonOption,
    ProjectOption,
    about,
    connect,
    print_item,
    print_json,
    print_list,
)
from madang.schemas.job_waits import NodeGroup

JobArgument = Annotated[str, typer.Argument(help="Job, by id or name (the newest of that name).")]


def explain_job(
    job: JobArgument, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Show why a job waits, when it may start, and the arithmetic for each group of nodes."""
    with connect(project) as client:
        why = client.jobs.why(job, project=project)
    if as_json:
        print_json(why)
        return
    lines: list[tuple[str, object]] = [
        ("job", f"{why.name} ({why.id})"),
        ("state", why.state.value),
        ("why", why.sentence if why.reason else ""),
    ]
    if why.position is not None:
        starts = about(why.expected_start) if why.expected_start else "nobody knows yet"
        lines += [
            ("starts", starts),
            ("queue", f"{why.queue}, {why.position} of {why.queued} that wait"),
            ("needs", why.needs),
        ]
    print_item(why, as_json=False, lines=lines)
    for line in why.lines:
        print(line)
    if why.groups:
        print()
        _print_groups(why.groups)


def move_job(
    job: JobArgument,
    queue: Annotated[str, typer.Argument(help="Queue of its project or of the platform.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a job wait in another queue."""
    with connect(project) as client:
        found = client.jobs.move(job, queue, project=project)
    print_item(found, as_json=as_json, lines=[(found.name, f"is in queue {found.queue}")])


def set_priority(
    job: JobArgument,
    priority: Annotated[str, typer.Argument(help="low, normal, high, urgent, or -1000 to 1000.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a job's priority: more goes first."""
    with connect(project) as client:
        found = client.jobs.set_priority(job, priority, project=project)
    print_item(found, as_json=as_json, lines=[(found.name, f"has priority {found.priority}")])


def _print_groups(groups: list[NodeGroup]) -> None:
    columns: dict[str, Callable[[NodeGroup], object]] = {
        "NODES": lambda group: _nodes(group.nodes, group.count),
        "EACH": lambda group: group.shape,
        "FREE": lambda group: group.free,
        "FIT NOW": lambda group: group.room,
        "FIT EMPTY": lambda group: group.room_empty,
        "MISSING": lambda group: group.short_of,
    }
    if any(group.pool for group in groups):
        columns = {"POOL": lambda group: group.pool, **columns}
    if len({group.role for group in groups}) > 1:
        columns = {"ROLE": lambda group: group.role, **columns}
    print_list(groups, columns, as_json=False, empty="")


def _nodes(names: list[str], count: int) -> str:
    shown = ", ".join(names[:3])
    return f"{shown}, … ({count})" if count > 3 else shown
