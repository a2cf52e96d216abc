"""`madang project …`"""

from __future__ import annotations

from typing import Annotated

import typer

from madang.cli._output import JsonOption, LimitOption, ago, connect, print_item, print_list

app = typer.Typer(help="Projects and who is in them.", no_args_is_help=True)

ProjectArgument = Annotated[str, typer.Argument(help="Project, by name or id.")]


@app.command("list")
def list_projects(limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """Show the projects that you see."""
    with connect() as client:
        page = client.projects.list(limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda project: project.name,
            "YOUR ROLE": lambda project: project.role,
            "CREATED": lambda project: ago(project.created_at),
            "DESCRIPTION": lambda project: project.description,
        },
        as_json=as_json,
        empty="You are in no project yet. An administrator can add you to one.",
    )


@app.command("create")
def create_project(
    name: Annotated[str, typer.Argument(help="Its name.")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a project (administrators)."""
    with connect() as client:
        project = client.projects.create(name, description=description)
    print_item(project, as_json=as_json, lines=[("created", project.name), ("id", project.id)])


@app.command("show")
def show_project(project: ProjectArgument, as_json: JsonOption = False) -> None:
    """Show one project."""
    with connect() as client:
        found = client.projects.get(project)
    lines = [
        ("name", found.name),
        ("id", found.id),
        ("your role", found.role),
        ("created", found.created_at),
        ("description", found.description),
    ]
    print_item(found, as_json=as_json, lines=lines)


@app.command("describe")
def describe_project(
    project: ProjectArgument,
    description: Annotated[str, typer.Argument(help="What it is for.")],
    as_json: JsonOption = False,
) -> None:
    """Change what is said of a project (maintainers)."""
    with connect() as client:
        found = client.projects.change(project, description=description)
    print_item(found, as_json=as_json, lines=[(found.name, found.description)])


@app.command("members")
def list_members(project: ProjectArgument, as_json: JsonOption = False) -> None:
    """Show who is in a project."""
    with connect() as client:
        page = client.projects.members(project)
    columns = {"USER": lambda member: member.user, "ROLE": lambda member: member.role}
    print_list(page.items, columns, as_json=as_json, empty="Nobody is in it yet.")


@app.command("add-member")
def add_member(
    project: ProjectArgument,
    user: Annotated[str, typer.Argument(help="Who.")],
    role: Annotated[str, typer.Option(help="viewer, member or maintainer.")] = "member",
    as_json: JsonOption = False,
) -> None:
    """Give a person a role in a project."""
    with connect() as client:
        member = client.projects.set_member(project, user, role)
    print_item(member, as_json=as_json, lines=[(member.user, member.role)])


@app.command("remove-member")
def remove_member(
    project: ProjectArgument, user: Annotated[str, typer.Argument(help="Who.")]
) -> None:
    """Take a person out of a project."""
    with connect() as client:
        client.projects.remove_member(project, user)
    print(f"{user} is not in {project} any more.")
