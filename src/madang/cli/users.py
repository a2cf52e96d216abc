"""`madang user …`"""

from __future__ import annotations

from typing import Annotated

import typer

from madang.cli._output import (
    JsonOption,
    LimitOption,
    ago,
    ask_secret,
    connect,
    print_item,
    print_list,
)

app = typer.Typer(help="Who has an account.", no_args_is_help=True)

UserArgument = Annotated[str, typer.Argument(help="User, by name or id.")]


@app.command("list")
def list_users(limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """Show who has an account."""
    with connect() as client:
        page = client.users.list(limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda user: user.name,
            "ADMINISTRATOR": lambda user: "yes" if user.is_admin else "",
            "STATE": lambda user: "disabled" if user.disabled else "active",
            "UID": lambda user: user.uid,
            "CREATED": lambda user: ago(user.created_at),
        },
        as_json=as_json,
        empty="Nobody has an account.",
    )


@app.command("create")
def create_user(
    name: Annotated[str, typer.Argument(help="Her name: a-z, 0-9, '.', '_' and '-'.")],
    admin: Annotated[bool, typer.Option("--admin", help="Administrator of the platform.")] = False,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Make her a member of this project.")
    ] = None,
    role: Annotated[str, typer.Option(help="Her role there.")] = "member",
    as_json: JsonOption = False,
) -> None:
    """Make an account (administrators), and a link with which she logs in once.

    She sets her password with `madang user passwd`, or in the portal.
    """
    from madang.core.permissions import Role

    given = Role.parse(role)  # before anything is made
    with connect() as client:
        if project:
            client.projects.get(project)
        user = client.users.create(name, is_admin=admin)
        if project:
            client.projects.set_member(project, user.name, given)
        link = client.users.login_link(user.id)
    if as_json:
        print_item({"user": user, "login_link": link}, as_json=True, lines=[])
        return
    print(f"{user.name} has an account. She logs in (once, within 15 minutes) at:\n{link.url}")


@app.command("link")
def make_login_link(user: UserArgument, as_json: JsonOption = False) -> None:
    """Make a link that logs a person in once, e.g. when she forgot her password."""
    with connect() as client:
        link = client.users.login_link(user)
    print_item(link, as_json=as_json, lines=[("link", link.url), ("until", link.expires_at)])


@app.command("disable")
def disable_user(user: UserArgument, as_json: JsonOption = False) -> None:
    """Shut a person out at once: her logins and tokens stop working. Her tasks go on."""
    with connect() as client:
        changed = client.users.change(user, disabled=True)
    print_item(changed, as_json=as_json, lines=[(changed.name, "disabled")])


@app.command("enable")
def enable_user(user: UserArgument, as_json: JsonOption = False) -> None:
    """Let a person in again."""
    with connect() as client:
        changed = client.users.change(user, disabled=False)
    print_item(changed, as_json=as_json, lines=[(changed.name, "enabled")])


@app.command("set-admin")
def set_admin(
    user: UserArgument,
    admin: Annotated[bool, typer.Option("--yes/--no", help="One, or not any more.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Make a person an administrator of the platform, or not any more."""
    with connect() as client:
        changed = client.users.change(user, is_admin=admin)
    state = "administrator" if changed.is_admin else "not an administrator"
    print_item(changed, as_json=as_json, lines=[(changed.name, state)])


@app.command("passwd")
def set_password(
    user: Annotated[
        str | None, typer.Argument(help="Whose (administrators); your own if missing.")
    ] = None,
) -> None:
    """Set a password; it is asked for, or read from standard input, a line each."""
    with connect() as client:
        me = client.auth.session().user
        if user and user not in (me.name, me.id):
            client.users.change(user, password=ask_secret("New password", confirm=True))
        else:
            current = ask_secret("Current password (empty when there is none)", empty=True)
            client.auth.change_password(ask_secret("New password", confirm=True), current=current)
    print("The password is set.")
