"""The `madang` command: which nouns there are, and how errors reach people."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from madang.cli._output import fail

app = typer.Typer(
    name="madang",
    help="Share GPUs and data; take a model from notebook to watched service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help in plain text: loading rich would take half of its time
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

NOUNS = {
    "dataset": "madang.cli.datasets",
    "endpoint": "madang.cli.endpoints",
    "environment": "madang.cli.environments",
    "event": "madang.cli.events",
    "experiment": "madang.cli.experiments",
    "files": "madang.cli.files",
    "folder": "madang.cli.folder_files",
    "job": "madang.cli.jobs",
    "limit": "madang.cli.limits",
    "lineage": "madang.cli.lineage",
    "model": "madang.cli.models",
    "node": "madang.cli.nodes",
    "project": "madang.cli.projects",
    "queue": "madang.cli.queues",
    "reservation": "madang.cli.reservations",
    "run": "madang.cli.runs",
    "scheduling": "madang.cli.scheduling",
    "token": "madang.cli.tokens",
    "user": "madang.cli.users",
    "volume": "madang.cli.volumes",
}
"""Command groups and where they live. Each module has an `app` and imports the client only when a
command runs, so that `madang --help` stays quick."""

COMMANDS: dict[str, str] = {
    "down": "madang.cli.down:down",
    "login": "madang.cli.login:login",
    "logout": "madang.cli.login:logout",
    "simulate": "madang.cli.simulate:simulate",
    "up": "madang.cli.up:up",
    "whoami": "madang.cli.login:whoami",
}
"""Single commands: name → "module:function"."""


def _register() -> None:
    for noun, module in NOUNS.items():
        app.add_typer(import_module(module).app, name=noun)
    app.add_typer(import_module("madang.cli.files").app, name="fs", hidden=True)  # shorter to type
    for name, target in COMMANDS.items():
        module, _, function = target.partition(":")
        app.command(name)(getattr(import_module(module), function))


_register()


def main() -> None:
    """Entry point: errors become one line with a way out and an exit code, never a traceback."""
    from madang.core.errors import MadangError

    try:
        # Without standalone mode `typer.Exit` may come back as the code that it carries.
        result = app(standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except MadangError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)  # the reader of our output went away, e.g. `| head`
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.Abort:
        print("Not confirmed: nothing was done. Answer y, or use --yes.", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # click's usage errors
            error.show()
            sys.exit(error.exit_code)
        raise
