"""`madang token …`"""

from __future__ import annotations

from typing import Annotated

import typer

from madang.cli._output import JsonOption, LimitOption, ago, connect, print_item, print_list

app = typer.Typer(help="Tokens that let programs act for you.", no_args_is_help=True)


@app.command("list")
def list_tokens(limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """Show your tokens; what they are is not kept."""
    with connect() as client:
        page = client.tokens.list(limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda token: token.name,
            "SCOPES": lambda token: ", ".join(token.scopes),
            "PROJECT": lambda token: token.project,
            "EXPIRES": lambda token: token.expires_at,
            "USED": lambda token: ago(token.last_used_at),
            "STATE": lambda token: "revoked" if token.revoked_at else "",
        },
        as_json=as_json,
        empty="You have no tokens.",
    )


@app.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="Permission or pattern, e.g. 'jobs:*'; repeatable."),
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Limit it to one project.")
    ] = None,
    days: Annotated[float | None, typer.Option(help="How long it is good.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token. It is shown this once."""
    with connect() as client:
        created = client.tokens.create(name, scopes=scope or ["*"], project=project, days=days)
    lines = [("token", created.secret), ("expires", created.token.expires_at)]
    print_item(created, as_json=as_json, lines=lines)


@app.command("revoke")
def revoke_token(token: Annotated[str, typer.Argument(help="Token, by name or id.")]) -> None:
    """End a token at once."""
    with connect() as client:
        client.tokens.revoke(token)
    print(f"{token} is revoked.")
