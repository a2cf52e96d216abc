"""`madang reservation …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from madang.cli._output import (
    JsonOption,
    LimitOption,
    ProjectOption,
    connect,
    print_item,
    print_list,
)

if TYPE_CHECKING:
    from datetime import datetime

    from madang.schemas.reservations import Reservation

app = typer.Typer(
    help="Reservations: resources held for a project in a window of time.", no_args_is_help=True
)

ReservationArgument = Annotated[str, typer.Argument(help="Reservation, by name or id.")]


@app.command("create")
def create_reservation(
    name: Annotated[str, typer.Argument(help="Its name; jobs use it with --reservation.")],
    start: Annotated[str, typer.Option(help="From when: 2026-11-23T09:00, local time.")],
    end: Annotated[str, typer.Option(help="Until when; or give --for.")] = "",
    lasts: Annotated[str, typer.Option("--for", help="For how long: 90m, 8h, 2d.")] = "",
    gpu: Annotated[str, typer.Option(help="GPUs of each replica: 1, 2, … or 0.5.")] = "",
    gpu_model: Annotated[str, typer.Option(help="GPU models that will do: 'H100|A100'.")] = "",
    cpu: Annotated[str, typer.Option(help="CPUs of each replica.")] = "",
    memory: Annotated[str, typer.Option(help="Memory of each replica, e.g. 64GiB.")] = "",
    replicas: Annotated[int, typer.Option(min=1, help="How many times that.")] = 1,
    pool: Annotated[str, typer.Option(help="Only on nodes of this pool.")] = "",
    repeat: Annotated[str, typer.Option(help="once, daily, weekdays or weekly.")] = "once",
    until: Annotated[str, typer.Option(help="The last day of a recurring one.")] = "",
    timezone: Annotated[
        str, typer.Option(help="By whose clock it comes again: Asia/Seoul.")
    ] = "UTC",
    return_after: Annotated[
        str, typer.Option(help="Given back when unused for so long; 0 keeps it.")
    ] = "15m",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold resources in a window, once or again and again (maintainers).

    What does not fit is refused with the nearest windows that do.
    """
    from madang.cli._job_options import parse_duration

    resources = {"gpu": gpu, "gpu_model": gpu_model, "cpu": cpu, "memory": memory}
    with connect(project) as client:
        found = client.reservations.create(
            name,
            _moment(start, "start"),
            end=_moment(end, "end") if end else None,
            duration_s=parse_duration(lasts, "for") if lasts else None,
            resources={key: value for key, value in resources.items() if value},
            replicas=replicas,
            pool=pool,
            recurrence=repeat,
            until=_moment(until, "until") if until else None,
            timezone=timezone,
            return_after_s=parse_duration(return_after, "return-after"),
            description=description,
        )
    print_item(found, as_json=as_json, lines=_lines(found))


@app.command("list")
def list_reservations(
    project: ProjectOption = None, limit: LimitOption = 50, as_json: JsonOption = False
) -> None:
    """Show reservations, newest first."""
    with connect(project) as client:
        page = client.reservations.list(limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda one: one.name,
            "PROJECT": lambda one: one.project,
            "STATE": lambda one: one.state.value,
            "HOLDS": _holds,
            "NEXT": _next_window,
            "AGAIN": lambda one: one.recurrence.value,
            "BY": lambda one: one.user,
        },
        as_json=as_json,
        empty="No reservations. `madang reservation create NAME --start … --for 8h --gpu 8`.",
    )


@app.command("show")
def show_reservation(
    reservation: ReservationArgument, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Show a reservation and its windows."""
    with connect(project) as client:
        found = client.reservations.get(reservation)
    print_item(found, as_json=as_json, lines=_lines(found))
    if not as_json and len(found.windows) > 1:
        print()
        print_list(
            found.windows,
            {
                "FROM": lambda window: window.start,
                "UNTIL": lambda window: window.end,
                "STATE": lambda window: window.state.value,
            },
            as_json=False,
            empty="",
        )


@app.command("cancel")
def cancel_reservation(reservation: ReservationArgument, project: ProjectOption = None) -> None:
    """Give back what it holds, now and later; what runs goes on."""
    with connect(project) as client:
        client.reservations.cancel(reservation)
    print(f"{reservation} is cancelled")


def _moment(text: str, option: str) -> datetime:
    """A time with its zone: this machine's, when none is given."""
    from datetime import datetime

    from madang.core.errors import InvalidInput

    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{text!r} is no time", field=option, hint="Write 2026-11-23T09:00."
        ) from None


def _lines(found: Reservation) -> list[tuple[str, object]]:
    return [
        ("name", found.name),
        ("id", found.id),
        ("project", found.project),
        ("by", found.user),
        ("state", found.state.value),
        ("holds", _holds(found)),
        ("pool", found.pool),
        ("from", found.start),
        ("until", found.end),
        ("again", f"{found.recurrence.value}, {found.timezone}" if found.until else ""),
        ("last", found.until),
        ("windows", len(found.windows)),
        ("description", found.description),
    ]


def _holds(found: Reservation) -> str:
    each = " ".join(f"{key}={value}" for key, value in found.resources.items())
    return f"{found.replicas} × {each}" if found.replicas > 1 else each


def _next_window(found: Reservation) -> str:
    coming = [window for window in found.windows if window.state.value in ("active", "planned")]
    if not coming:
        return "-"
    start, end = coming[0].start.astimezone(), coming[0].end.astimezone()
    last = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{start:%Y-%m-%d %H:%M} to {last}"
