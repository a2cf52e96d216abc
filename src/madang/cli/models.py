"""`madang model …`"""

from __future__ import annotations

from typing import Annotated

import typer

from madang.cli._output import (
    JsonOption,
    LimitOption,
    ProjectOption,
    ago,
    connect,
    print_item,
    print_json,
    print_list,
)

app = typer.Typer(help="Registered models, their versions and aliases.", no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(help="Model, by name or id.")]
AliasArgument = Annotated[str, typer.Argument(help="Alias, e.g. champion.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_models(
    project: ProjectOption = None, limit: LimitOption = 50, as_json: JsonOption = False
) -> None:
    """Show the models that you see, newest first."""
    with connect(project) as client:
        page = client.models.list(limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda model: model.name,
            "PROJECT": lambda model: model.project,
            "LATEST": lambda model: model.latest_version,
            "ALIASES": lambda model: _aliases(model.aliases),
            "UPDATED": lambda model: ago(model.updated_at),
            "BY": lambda model: model.user,
        },
        as_json=as_json,
        empty="No model is registered yet. `mlflow.register_model`, or log_model with "
        "registered_model_name, registers one.",
    )


@app.command("show")
def show_model(
    model: ModelArgument, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Show one model."""
    with connect(project) as client:
        found = client.models.get(model)
    print_item(
        found,
        as_json=as_json,
        lines=[
            ("name", found.name),
            ("id", found.id),
            ("project", found.project),
            ("description", found.description),
            ("latest version", found.latest_version),
            ("aliases", _aliases(found.aliases)),
            ("tags", ", ".join(f"{key}={value}" for key, value in found.tags.items())),
            ("by", found.user),
            ("created", found.created_at),
            ("updated", found.updated_at),
        ],
    )


@app.command("versions")
def list_versions(
    model: ModelArgument,
    project: ProjectOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Show a model's versions, newest first."""
    with connect(project) as client:
        page = client.models.versions(model, limit=limit)
    print_list(
        page.items,
        {
            "VERSION": lambda version: version.ref,
            "ALIASES": lambda version: ", ".join(version.aliases),
            "RUN": lambda version: version.run_id,
            "CREATED": lambda version: ago(version.created_at),
            "BY": lambda version: version.user,
            "DESCRIPTION": lambda version: version.description,
        },
        as_json=as_json,
        empty="It has no version yet.",
    )


@app.command("alias")
def set_alias(
    model: ModelArgument,
    alias: AliasArgument,
    version: Annotated[int | None, typer.Argument(help="Which version it means.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the alias away.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an alias mean a version: `madang model alias digits champion 3`."""
    if (version is None) is not remove:
        raise typer.BadParameter("give either a version or --remove", param_hint="VERSION")
    with connect(project) as client:
        if version is None:
            client.models.delete_alias(model, alias)
            if as_json:
                print_json({"model": model, "alias": alias, "version": None})
            else:
                print(f"{model}@{alias} is gone.")
            return
        found = client.models.set_alias(model, alias, version)
    print_item(found, as_json=as_json, lines=[(f"{found.model}@{alias}", found.ref)])


@app.command("delete")
def delete_model(
    model: ModelArgument,
    version: Annotated[
        int | None, typer.Option("--version", help="Only this version of it.")
    ] = None,
    yes: YesOption = False,
    project: ProjectOption = None,
) -> None:
    """Forget a model (or one version); the files of the runs that made it stay."""
    what = f"version {version} of model {model}" if version else f"model {model}, all versions"
    if not yes:
        typer.confirm(f"Delete {what}?", abort=True)
    with connect(project) as client:
        if version is None:
            client.models.delete(model)
        else:
            client.models.delete_version(model, version)
    print(f"Deleted {what}.")


def _aliases(aliases: dict[str, int]) -> str:
    return ", ".join(f"{alias}={version}" for alias, version in aliases.items())
