"""`madang limit …`"""

from __future__ import annotations

from typing import Annotated

import typer

from madang.cli._output import JsonOption, connect, print_item, print_list

app = typer.Typer(help="Limits: what a user or a project may have at once.", no_args_is_help=True)


@app.command("list")
def list_limits(as_json: JsonOption = False) -> None:
    """Show all limits; without being an administrator, those that hold for you."""
    with connect() as client:
        page = client.limits.list()
    print_list(
        page.items,
        {
            "WHO": lambda limit: limit.subject,
            "RUNNING": lambda limit: limit.running,
            "WAITING": lambda limit: limit.pending,
            "AT ONCE": lambda limit: _amounts(limit.amounts),
        },
        as_json=as_json,
        empty="No limits. `madang limit set user:mina --amount gpu=4` sets one.",
    )


@app.command("set")
def set_limit(
    subject: Annotated[
        str, typer.Argument(help="user:NAME, project:NAME, user:* or project:* for all others.")
    ],
    running: Annotated[int | None, typer.Option(min=0, help="Jobs that run at once.")] = None,
    pending: Annotated[int | None, typer.Option(min=0, help="Jobs that wait at once.")] = None,
    amount: Annotated[
        list[str] | None, typer.Option(help="Resources at once: gpu=4,memory=256GiB.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Set a limit anew (administrators); without any bound it is removed."""
    from madang.core.amounts import split_amounts

    amounts = split_amounts(amount or (), "amount")
    with connect() as client:
        limit = client.limits.set(subject, running=running, pending=pending, amounts=amounts)
    bounded = limit.running is not None or limit.pending is not None or limit.amounts
    lines = [
        (limit.subject, "limited" if bounded else "has no limit"),
        ("running", limit.running),
        ("waiting", limit.pending),
        ("at once", _amounts(limit.amounts)),
    ]
    print_item(limit, as_json=as_json, lines=lines)


def _amounts(amounts: dict[str, str | int | float]) -> str:
    return " ".join(f"{name}={amount}" for name, amount in amounts.items())
