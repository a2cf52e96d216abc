"""`madang files ls|find|du|cp|rm|chmod|chown|tar|unpack|sync|stat`: many files at once.

Here, each is its native command, which says itself what it takes (`madang files cp --help`). On
the platform's folders (`folder:NAME/path`) it runs as a job where the folder is, with `--project`
and `--detach` as other jobs have them.
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

_LONG = frozenset({"-R", "-l", "-lR", "-Rl", "-a", "-la"})
"""What `ls` is told as a rule; a Parquet file has all of it anyway."""

_CONTEXT = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "allow_interspersed_args": False,
    "help_option_names": [],
}


def _command(name: str) -> Callable[[typer.Context], None]:
    def command(context: typer.Context) -> None:
        if any(word.startswith("folder:") for word in context.args):
            raise typer.Exit(_run_on_folders([name, *context.args]))
        if "--parquet" in context.args:
            raise typer.Exit(_write_parquet(name, context.args))
        path = command_path(name)
        sys.stdout.flush()
        os.execv(path, [path.name, *context.args])

    return command


def _run_on_folders(words: list[str]) -> int:
    """As a job; its log here, and its exit code. `--project` and `--detach` are for the job."""
    from madang.cli._output import connect, print_item
    from madang.cli.job_run import created_lines, follow_new

    project, words = _take_project(words)
    detach = "--detach" in words
    with connect(project) as client:
        job = client.files.run([word for word in words if word != "--detach"], project=project)
        if detach:
            print_item(job, as_json=False, lines=created_lines(job))
            return 0
        return follow_new(client, job, as_json=False)


def _write_parquet(name: str, words: list[str]) -> int:
    """`ls|find DIRECTORY --parquet FILE`: all that is below, a row each with all columns."""
    import secrets
    from pathlib import Path

    from madang.core.errors import InvalidInput, Unsupported
    from madang.files import batches

    position = words.index("--parquet")
    target = words[position + 1] if position + 1 < len(words) else ""
    others = [word for word in words[:position] + words[position + 2 :] if word not in _LONG]
    flags = [word for word in others if word.startswith("-")]
    if name not in ("find", "ls") or not target or flags or len(others) > 1:
        raise InvalidInput(
            f"{' '.join(words)!r} can't be written as Parquet",
            field="parquet",
            hint=f"`madang files {name if name in ('find', 'ls') else 'ls'} DIRECTORY --parquet "
            "FILE` has a row for all that is below; choose among them with SQL.",
        )
    try:
        from pyarrow import parquet
    except ImportError:
        raise Unsupported(
            "Parquet needs pyarrow, which is not installed", hint="pip install 'madang[arrow]'"
        ) from None
    growing = Path(f"{target}.{secrets.token_hex(6)}.part")
    writer = None
    try:
        with batches(others[0] if others else ".") as found:
            for batch in found:
                rows = batch.to_arrow()
                writer = writer or parquet.ParquetWriter(growing, rows.schema)
                writer.write_batch(rows)
        if writer is None:
            raise InvalidInput("nothing is in there: no file was written", field="parquet")
        writer.close()
        growing.rename(target)
    except OSError as error:
        print(f"madang-{name}: {error.filename!r}: {error.strerror}", file=sys.stderr)
        return 1
    finally:
        growing.unlink(missing_ok=True)
    for unread in found.errors:
        print(f"madang-{name}: {unread}", file=sys.stderr)
    return 1 if found.errors else 0


def _take_project(words: list[str]) -> tuple[str | None, list[str]]:
    for position, word in enumerate(words):
        if word == "--project" and position + 1 < len(words):
            return words[position + 1], words[:position] + words[position + 2 :]
        if word.startswith("--project="):
            return word.partition("=")[2], words[:position] + words[position + 1 :]
    return None, words


for _name, _help in NAMES.items():
    app.command(_name, help=_help, context_settings=_CONTEXT)(_command(_name))
