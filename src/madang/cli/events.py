"""`madang event …`"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from madang.cli._output import (
    JsonOption,
    LimitOption,
    ProjectOption,
    connect,
    print_list,
    to_plain,
)

if TYPE_CHECKING:
    from madang.schemas.events import Event

app = typer.Typer(help="What happened, by whom and why.", no_args_is_help=True)


@app.command("list")
def list_events(
    project: ProjectOption = None,
    subject: Annotated[str | None, typer.Option(help="Of this job, task or node (id).")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it happens.")] = False,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Show events, newest first; with -f as they happen."""
    with connect(project) as client:
        if follow:
            for event in client.events.stream():
                print_event_line(event, as_json=as_json)
            return
        page = client.events.list(subject=subject, limit=limit)
    print_events(page.items, as_json=as_json)


def print_events(events: Sequence[Event], *, as_json: bool) -> None:
    print_list(
        events,
        {
            "WHEN": lambda event: event.at,
            "WHAT": lambda event: event.subject,
            "CHANGE": describe,
            "BY": lambda event: event.actor,
            "WHY": lambda event: event.reason.message if event.reason else "",
        },
        as_json=as_json,
        empty="Nothing has happened yet.",
    )


def print_event_line(event: Event, *, as_json: bool) -> None:
    import json

    if as_json:
        print(json.dumps(to_plain(event), ensure_ascii=False), flush=True)
        return
    why = f": {event.reason.message}" if event.reason else ""
    moment = event.at.astimezone().strftime("%H:%M:%S")
    print(f"{moment}  {event.subject}  {describe(event)}{why}  ({event.actor})", flush=True)


def describe(event: Event) -> str:
    if event.action == "state":
        return f"{event.old} → {event.new}"
    return f"{event.action} {event.new}" if event.new else event.action
