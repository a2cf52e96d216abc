"""`madang environment …`"""

from __future__ import annotations

import sys
from pathlib import Path
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
    from madang.schemas.environments import Environment

app = typer.Typer(help="Sets of packages that tasks run in.", no_args_is_help=True)

EnvironmentArgument = Annotated[
    str, typer.Argument(help="Environment: name (its newest version), name@version or id.")
]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is built.")]


@app.command("create")
def create_environment(
    name: Annotated[str, typer.Argument(help="Its name.")],
    packages: Annotated[
        list[str] | None,
        typer.Option(
            help="Packages, by commas: torch==2.13.0,pillow. Quote those with several conditions: "
            "give the option more than once."
        ),
    ] = None,
    requirements: Annotated[
        Path | None, typer.Option(help="File of packages, one a line.", dir_okay=False)
    ] = None,
    python: Annotated[
        str | None, typer.Option(help="Version of Python, e.g. 3.11; the platform's own if not.")
    ] = None,
    wait: WaitOption = True,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have an environment built; the same content again is the same version."""
    wanted = [spec for text in packages or [] for spec in split_packages(text)]
    if packages and not wanted:
        from madang.core.errors import InvalidInput

        raise InvalidInput(
            "--packages names no package",
            field="packages",
            hint="Leave it out for the platform's own libraries alone.",
        )
    if requirements:
        wanted += read_requirements(requirements)
    with connect(project) as client:
        environment = client.environments.create(name, wanted, python=python)
        if wait and environment.state == "building":
            environment = client.environments.wait(environment.id, on_output=_show_progress)
    _print(environment, as_json=as_json)


@app.command("list")
def list_environments(
    name: Annotated[str | None, typer.Option(help="Only versions of this name.")] = None,
    state: Annotated[str | None, typer.Option(help="building, ready or failed.")] = None,
    project: ProjectOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Show environments, newest first."""
    with connect(project) as client:
        page = client.environments.list(name=name, state=state, limit=limit)
    print_list(
        page.items,
        {
            "ENVIRONMENT": lambda item: item.ref,
            "STATE": lambda item: item.state,
            "PYTHON": lambda item: item.python,
            "PACKAGES": lambda item: len(item.lock) or "-",
            "SIZE": lambda item: _size(item.size_bytes),
            "CREATED": lambda item: ago(item.created_at),
            "ASKED FOR": lambda item: _shortened(item.packages),
        },
        as_json=as_json,
        empty="No environments yet. Make one: madang environment create NAME --packages numpy",
    )


@app.command("show")
def show_environment(
    environment: EnvironmentArgument, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Show one, with everything that is in it."""
    with connect(project) as client:
        found = client.environments.get(environment)
    _print(found, as_json=as_json)
    if not as_json and found.lock:
        print("contents")
        for line in found.lock:
            print(f"  {line}")


@app.command("log")
def show_log(
    environment: EnvironmentArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until it is built.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what its build said."""
    text, offset = "", 0
    with connect(project) as client:
        while True:
            wait_s = 20 if follow and offset else 0
            part = client.environments.log(environment, offset=offset, wait_s=wait_s)
            text += part.text
            if not as_json:
                print(part.text, end="", flush=True)
            if part.complete or (not follow and not part.text):
                break
            offset = part.next_offset
    if as_json:
        print_item({"text": text}, as_json=True, lines=[])


@app.command("retry")
def retry_environment(
    environment: EnvironmentArgument,
    wait: WaitOption = True,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build one again that failed."""
    with connect(project) as client:
        found = client.environments.retry(environment)
        if wait:
            found = client.environments.wait(found.id, on_output=_show_progress)
    _print(found, as_json=as_json)


@app.command("remove")
def remove_environment(environment: EnvironmentArgument, project: ProjectOption = None) -> None:
    """Remove a version that nothing uses."""
    with connect(project) as client:
        client.environments.remove(environment)
    print(f"{environment} is removed.")


def split_packages(text: str) -> list[str]:
    """`torch==2.13.0,numpy>=1.26,<3` → two packages: what begins with an operator goes on."""
    packages: list[str] = []
    depth = 0
    for part in text.split(","):
        if packages and (depth > 0 or part.strip().startswith(("<", ">", "=", "!", "~"))):
            packages[-1] += f",{part.strip()}"
        elif part.strip():
            packages.append(part.strip())
        depth += part.count("[") - part.count("]")
    return packages


def read_requirements(path: Path) -> list[str]:
    """The packages of a requirements file. Raises InvalidInput when it can't be read; options in
    it (`-r`, `--hash`) go to the server as they are, which says that it takes none."""
    from madang.core.errors import InvalidInput

    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} can't be read: {error}", field="requirements") from None
    lines = (line.split(" #")[0].strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _show_progress(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def _print(environment: Environment, *, as_json: bool) -> None:
    seconds = environment.build_seconds
    print_item(
        environment,
        as_json=as_json,
        lines=[
            ("environment", environment.ref),
            ("state", environment.state),
            ("error", environment.error),
            ("python", environment.python),
            ("asked for", ", ".join(environment.packages)),
            ("packages", len(environment.lock) or None),
            ("size", _size(environment.size_bytes) if environment.size_bytes else None),
            ("built in", f"{seconds:.1f} s" if seconds is not None else None),
            ("created", environment.created_at),
            ("id", environment.id),
        ],
    )


def _shortened(packages: list[str], width: int = 60) -> str:
    text = ", ".join(packages)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _size(size_bytes: int | None) -> str:
    from madang.core.resources import format_bytes

    return "-" if size_bytes is None else format_bytes(size_bytes)
