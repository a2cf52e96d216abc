"""`madang folder …`: making, sharing, limiting and trashing folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from madang.cli._output import (
    JsonOption,
    LimitOption,
    ProjectOption,
    ago,
    connect,
    print_item,
    print_list,
)

if TYPE_CHECKING:
    from madang.schemas.folders import Folder

app = typer.Typer(help="Folders: data that people and jobs share.", no_args_is_help=True)

FolderArgument = Annotated[str, typer.Argument(help="Folder: name, PROJECT/NAME or id.")]
ShareOption = Annotated[
    str, typer.Option(help="What the project's members may do: none, read-only or read-write.")
]


@app.command("create")
def create_folder(
    name: Annotated[str, typer.Argument(help="Its name.")],
    description: Annotated[str, typer.Option(help="What is in it.")] = "",
    share: ShareOption = "read-write",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a folder."""
    with connect(project) as client:
        folder = client.folders.create(name, description=description, share=share)
    _print(folder, as_json=as_json)


@app.command("register")
def register_folder(
    path: Annotated[str, typer.Argument(help="The directory, as it is called on the nodes.")],
    name: Annotated[str | None, typer.Option(help="Its name; the directory's if not.")] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only/--read-write", help="Whether anybody may write.")
    ] = True,
    identity: Annotated[
        str,
        typer.Option(
            help="mapped: files belong to their writer. single: everything is one user's, as on "
            "a NAS that squashes user ids."
        ),
    ] = "mapped",
    share: ShareOption = "read-only",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Use a directory that exists, where it is (administrators)."""
    with connect(project) as client:
        folder = client.folders.register(
            path, name=name, read_only=read_only, identity=identity, share=share
        )
    _print(folder, as_json=as_json)


@app.command("list")
def list_folders(
    trash: Annotated[bool, typer.Option("--trash", help="Those in the trash.")] = False,
    limit: LimitOption = 50,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the folders that you see."""
    with connect(project) as client:
        page = client.folders.list(trashed=trash, limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda folder: folder.name,
            "PROJECT": lambda folder: folder.project,
            "OWNER": lambda folder: folder.owner,
            "YOU MAY": lambda folder: folder.access.value,
            "SIZE": _size,
            "QUOTA": _quota,
            "TRASHED" if trash else "CREATED": lambda folder: ago(
                folder.trashed_at if trash else folder.created_at
            ),
        },
        as_json=as_json,
        empty="The trash is empty." if trash else "No folders yet: `madang folder create NAME`.",
    )


@app.command("show")
def show_folder(
    folder: FolderArgument,
    measure: Annotated[bool, typer.Option("--measure", help="Count its files now.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one folder, and whom it is shared with."""
    with connect(project) as client:
        found = client.folders.measure(folder) if measure else client.folders.get(folder)
        may_look = found.trashed_at is None and found.access.value != "none"
        grants = client.folders.grants(found.id).items if may_look and not as_json else []
    shared = ", ".join(f"{grant.kind} {grant.name}: {grant.access}" for grant in grants)
    _print(found, as_json=as_json, shared=shared)


@app.command("rename")
def rename_folder(
    folder: FolderArgument,
    name: Annotated[str, typer.Argument(help="The new name.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a folder another name; running jobs keep it mounted."""
    with connect(project) as client:
        found = client.folders.change(folder, name=name)
    _print(found, as_json=as_json)


@app.command("share")
def share_folder(
    folder: FolderArgument,
    user: Annotated[str | None, typer.Option(help="Share it with this person.")] = None,
    with_project: Annotated[
        str | None, typer.Option("--with-project", help="Share it with a project's members.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Read-write, not read-only.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop sharing it with them.")] = False,
    project: ProjectOption = None,
) -> None:
    """Share a folder with a person or with a project."""
    if (user is None) == (with_project is None):
        raise typer.BadParameter("name a person with --user or a project with --with-project")
    access = None if stop else ("read-write" if write else "read-only")
    with connect(project) as client:
        client.folders.share(folder, user=user, with_project=with_project, access=access)
    whom = f"user {user}" if user else f"project {with_project}"
    print(f"{folder}: {whom} has {access or 'no'} access through sharing.")


@app.command("quota")
def set_quota(
    folder: FolderArgument,
    limit: Annotated[str, typer.Argument(help="How much it may hold, e.g. 50GiB, or 'none'.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Limit how much a folder may hold (administrators)."""
    with connect(project) as client:
        found = client.folders.set_quota(folder, None if limit == "none" else limit)
    _print(found, as_json=as_json)


@app.command("trash")
def trash_folder(
    folder: FolderArgument, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Put a folder into the trash, from where it can be restored."""
    with connect(project) as client:
        found = client.folders.trash(folder)
    if not as_json:
        print(f"{found.name} is in the trash: `madang folder restore {found.name}`.")
        return
    _print(found, as_json=True)


@app.command("restore")
def restore_folder(
    folder: FolderArgument,
    name: Annotated[str | None, typer.Option(help="Under another name.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a folder out of the trash."""
    with connect(project) as client:
        found = client.folders.restore(folder, name=name)
    _print(found, as_json=as_json)


@app.command("purge")
def purge_folder(
    folder: FolderArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    project: ProjectOption = None,
) -> None:
    """Remove a folder that is in the trash for good, with all its files."""
    if not yes:
        typer.confirm(f"Remove {folder} with all its files for good?", abort=True)
    with connect(project) as client:
        client.folders.purge(folder)
    print(f"{folder} is gone.")


def _print(folder: Folder, *, as_json: bool, shared: str = "") -> None:
    print_item(
        folder,
        as_json=as_json,
        lines=[
            ("name", f"{folder.project}/{folder.name}"),
            ("id", folder.id),
            ("owner", folder.owner),
            ("you may", folder.access.value + (", it is read-only" * folder.read_only)),
            ("shared with", shared),
            ("volume", folder.volume),
            ("in place at", folder.location if folder.in_place else None),
            ("size", _size(folder)),
            ("quota", _quota(folder)),
            ("created", folder.created_at),
            ("in the trash since", folder.trashed_at),
            ("description", folder.description),
        ],
    )


def _size(folder: Folder) -> str | None:
    from madang.core.resources import format_bytes

    if folder.usage is None:
        return None
    files = folder.usage.num_files
    return f"{format_bytes(folder.usage.num_bytes)} in {files:,} file{'s' * (files != 1)}"


def _quota(folder: Folder) -> str | None:
    from madang.core.resources import format_bytes

    if folder.quota is None:
        return None
    return f"{format_bytes(folder.quota.limit_bytes)}, {folder.quota.mode}"
