"""`madang folder upload|download|ls|rm|mv|mkdir`: the files in folders."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from madang.cli._output import JsonOption, LimitOption, ProjectOption, connect, print_json
from madang.cli.folders import FolderArgument, app

if TYPE_CHECKING:
    from madang.client._local_files import Progress, Transferred
    from madang.schemas.files import Entry

PathArgument = Annotated[str, typer.Argument(help="Path in the folder.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]


@app.command("upload")
def upload_files(
    folder: FolderArgument,
    local: Annotated[str, typer.Argument(help="A local file or directory.")],
    remote: Annotated[str, typer.Argument(help="Where in the folder; its top if not.")] = "",
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Requests at once.")] = 4,
    quiet: QuietOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a file, or everything below a directory; what is there already is passed over.

    When it was broken off, the same command goes on where it was.
    """
    with connect(project) as client, _resumable("upload"), _bar(quiet or as_json) as progress:
        done = client.folders.upload(folder, local, remote, progress=progress, parallel=parallel)
    _print_done("uploaded", done, as_json=as_json)


@app.command("download")
def download_files(
    folder: FolderArgument,
    remote: Annotated[str, typer.Argument(help="What in the folder; all of it if not.")] = "",
    local: Annotated[str, typer.Argument(help="Where to; the current directory if not.")] = ".",
    quiet: QuietOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a file, or everything below a directory."""
    with connect(project) as client, _resumable("download"), _bar(quiet or as_json) as progress:
        done = client.folders.download(folder, remote, local, progress=progress)
    _print_done("downloaded", done, as_json=as_json)


@app.command("ls")
def list_files(
    folder: FolderArgument,
    path: PathArgument = "",
    sort: Annotated[str, typer.Option(help="name, size or modified.")] = "name",
    reverse: Annotated[bool, typer.Option("--reverse", "-r", help="Largest first.")] = False,
    limit: LimitOption = 1000,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is in a directory: size, time and name."""
    with connect(project) as client:
        entries: list[Entry] = []
        cursor = None
        while len(entries) < limit:
            page = client.folders.entries(
                folder,
                path,
                sort=sort,
                descending=reverse,
                limit=min(1000, limit - len(entries)),
                cursor=cursor,
            )
            entries += page.items
            if (cursor := page.next_cursor) is None:
                break
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        print(_line(entry))
    if cursor:
        print(f"… and more: --limit {limit * 10}", file=sys.stderr)


@app.command("rm")
def remove_files(
    folder: FolderArgument,
    path: PathArgument,
    permanent: Annotated[
        bool, typer.Option("--permanent", help="For good, not into the folder's trash.")
    ] = False,
    project: ProjectOption = None,
) -> None:
    """Put a file or directory into the folder's trash."""
    with connect(project) as client:
        client.folders.remove(folder, path, permanent=permanent)
    where = "removed for good" if permanent else "in the folder's trash"
    print(f"{path} is {where}.")


@app.command("mv")
def move_files(
    folder: FolderArgument,
    source: Annotated[str, typer.Argument(help="What.")],
    target: Annotated[str, typer.Argument(help="Its new path.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move or rename something within a folder."""
    with connect(project) as client:
        entry = client.folders.move(folder, source, target, overwrite=overwrite)
    print_json(entry) if as_json else print(_line(entry))


@app.command("mkdir")
def make_directory(
    folder: FolderArgument,
    path: PathArgument,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a directory, with those above it."""
    with connect(project) as client:
        entry = client.folders.make_directory(folder, path)
    print_json(entry) if as_json else print(_line(entry))


@app.command("trashed")
def list_trashed(
    folder: FolderArgument, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Show what was removed inside a folder."""
    from madang.cli._output import ago, print_list

    with connect(project) as client:
        page = client.folders.trashed_entries(folder)
    print_list(
        page.items,
        {
            "ID": lambda entry: entry.id,
            "PATH": lambda entry: _shown(entry.path),
            "REMOVED": lambda entry: ago(entry.removed_at),
            "BY": lambda entry: entry.removed_by,
        },
        as_json=as_json,
        empty="The folder's trash is empty.",
    )


@app.command("untrash")
def restore_file(
    folder: FolderArgument,
    entry: Annotated[str, typer.Argument(help="Its id, as `madang folder trashed` shows it.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put back something that was removed inside a folder."""
    with connect(project) as client:
        found = client.folders.restore_entry(folder, entry)
    print_json(found) if as_json else print(_line(found))


def _line(entry: Entry) -> str:
    from madang.core.resources import format_bytes

    size = "-" if entry.kind.value == "directory" else format_bytes(entry.size)
    time = entry.modified_at.astimezone().strftime("%Y-%m-%d %H:%M")
    suffix = {"directory": "/", "symlink": f" -> {_shown(entry.link_target or '')}"}
    return f"{size:>9}  {time}  {_shown(entry.path)}{suffix.get(entry.kind.value, '')}"


def _shown(wire_path: str) -> str:
    """A path for a terminal: one line, nothing that it would obey."""
    import os

    from madang.schemas.files import from_wire

    text = os.fsdecode(from_wire(wire_path))
    return text if text.isprintable() else repr(text)[1:-1]


def _print_done(verb: str, done: Transferred, *, as_json: bool) -> None:
    from madang.core.resources import format_bytes

    if as_json:
        print_json(done)
        return
    files = f"{done.files:,} file{'s' * (done.files != 1)}"
    print(f"{verb} {files}, {format_bytes(done.num_bytes)}", end="")
    print(f"; {done.skipped:,} were there already" if done.skipped else "", end="")
    print(f"; {done.left_out:,} left out (links elsewhere, pipes)" if done.left_out else "")


@contextmanager
def _resumable(what: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print(f"\nStopped. The same command goes on with the {what}.", file=sys.stderr)
        raise


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(progress: Progress) -> None:
            files = f"{progress.done_files:,}/{progress.total_files:,} files"
            bar.update(
                task,
                completed=progress.done_bytes,
                total=progress.total_bytes or None,
                description=files if progress.total_files else "",
            )

        yield show
