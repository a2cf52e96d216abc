"""`madang login`, `madang logout`, `madang whoami`"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from madang.cli._output import JsonOption, ask_secret, connect, print_item


def login(
    url: Annotated[str, typer.Argument(help="Address of the platform, as in the browser.")],
    token: Annotated[
        str | None,
        typer.Option(help="A token instead of name and password; '-' reads standard input."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Your name there; asked for if missing.")
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Project that later commands mean.")
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(help="Certificate to trust, for a platform with a self-signed one."),
    ] = None,
) -> None:
    """Log in to a platform; later commands use it until `madang logout`."""
    from madang.client import Client
    from madang.client.config import login_file, save_config
    from madang.client.login import log_in, log_in_by_token

    if "://" not in url:
        url = f"https://{url}"
    trusted = str(ca_file.absolute()) if ca_file else ""
    if token:
        word = sys.stdin.readline().strip() if token == "-" else token
        config = log_in_by_token(url, word, ca_file=trusted)
    else:
        name = name or typer.prompt("Name")
        password = ask_secret("Password")
        config = log_in(url, name, password, ca_file=trusted)
    if project:
        with Client.from_config(config) as client:
            config = replace(config, project=client.projects.get(project).name)
    save_config(login_file(), config)
    print(f"Logged in to {config.url}. `madang whoami` shows as whom.")


def logout() -> None:
    """Forget the login and revoke its token."""
    from madang.client import Client
    from madang.client.config import login_file, read_login_file
    from madang.core.errors import MadangError

    path = login_file()
    stored = read_login_file(path)
    if stored is None:
        print("You are not logged in.")
        return
    path.unlink()
    try:
        with Client.from_config(stored) as client:
            client.auth.logout()
    except MadangError as error:
        print(f"Forgotten here, but {stored.url} could not revoke the token: {error}")
        return
    print(f"Logged out of {stored.url}; the token is revoked.")


def whoami(as_json: JsonOption = False) -> None:
    """Show who you are to the platform, and what you may do where."""
    with connect() as client:
        session = client.auth.session()
        url = client.transport.config.url
    projects = ", ".join(f"{p.name} ({p.role or 'administrator'})" for p in session.projects)
    lines = [
        ("name", session.user.name),
        ("platform", url),
        ("administrator", "yes" if session.user.is_admin else "no"),
        ("projects", projects or "none yet"),
        ("scopes", "" if session.scopes == ["*"] else ", ".join(session.scopes)),
        ("until", session.expires_at),
    ]
    print_item(session, as_json=as_json, lines=lines)
