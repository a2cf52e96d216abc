"""`madang volume …`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from madang.cli._output import JsonOption, LimitOption, connect, print_list

if TYPE_CHECKING:
    from madang.schemas.folders import Volume

app = typer.Typer(help="Volumes: what folders live on.", no_args_is_help=True)


@app.callback()
def _volumes() -> None:
    """Volumes: what folders live on."""


@app.command("list")
def list_volumes(limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """Show the volumes, how full they are and what they can do."""
    with connect() as client:
        page = client.volumes.list(limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda volume: volume.name,
            "KIND": lambda volume: volume.kind,
            "QUOTAS": lambda volume: "enforced" if "quota" in volume.abilities else "measured",
            "IDENTITY": lambda volume: volume.identity,
            "FREE": _free,
            "AT": lambda volume: volume.location,
        },
        as_json=as_json,
        empty="No volumes yet.",
    )


def _free(volume: Volume) -> str:
    from madang.core.resources import format_bytes

    if volume.free_bytes is None or volume.total_bytes is None:
        return "does not answer"
    return f"{format_bytes(volume.free_bytes)} of {format_bytes(volume.total_bytes)}"
