"""`madang files ls|find|du|cp|rm|chmod|chown|tar|unpack|sync|stat`: many files at once.

Here, each is its native command, which says itself what it takes (`madang files cp --help`). On
the platform's folders (`folder:NAME/path`) it runs as a job where the folder is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import typer

from madang.files.commands import NAMES, command_path

app = typer.Typer(
    help="Work on many files at once, on any file system: list, find, copy, remove, archive…",
    no_args_is_help=True,
)

_CONTEXT = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "allow_interspersed_args": False,
    "help_option_names": [],
}


def _command(name: str) -> Callable[[typer.Context], None]:
    def command(context: typer.Context) -> None:
        path = command_path(name)
        sys.stdout.flush()
        os.execv(path, [path.name, *context.args])

    return command


for _name, _help in NAMES.items():
    app.command(_name, help=_help, context_settings=_CONTEXT)(_command(_name))
