"""`madang up`: every setting is a flag."""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any

import typer

from madang.core.settings import Settings

_FILES = ("state_dir", "tls_cert", "tls_key", "find_links")


def up(**flags: Any) -> None:
    """Start the platform on this machine and stay until Ctrl-C, which leaves running tasks be.

    A setting is looked up in flags, then in MADANG_* variables, then in madang.toml in this
    folder, then in the defaults.
    """
    from madang.server.settings import check_start, load_settings, to_environment

    detach = flags.pop("detach")
    config = flags.pop("config")
    settings = load_settings(
        {name: _absolute(name, value) for name, value in flags.items() if value is not None},
        config_file=config,
    )
    check_start(settings)
    # The supervisor takes this process's place: it is there all day and should weigh little.
    arguments = [sys.executable, "-m", "madang.server.supervisor"]
    if detach:
        arguments.append("--detach")
    os.execve(sys.executable, arguments, {**os.environ, **to_environment(settings)})


def _absolute(name: str, value: Any) -> Any:
    return str(Path(value).absolute()) if name in _FILES and value else value


def _signature() -> Signature:
    """One option a setting, made from the table of settings, and the two that are none."""
    options = [
        _option("detach", bool, False, "Return once it is up; `madang down` stops it."),
        _option("config", Path | None, None, "Settings file to use instead of ./madang.toml."),
    ]
    for entry in fields(Settings):
        kind: Any = bool if entry.type in (bool, "bool") else str
        options.append(_option(entry.name, kind | None, None, _sentence(entry.metadata["help"])))
    return Signature(options)


def _option(name: str, kind: Any, default: Any, text: str) -> Parameter:
    flag = f"--{name.replace('_', '-')}"
    declared = f"{flag}/--no-{flag[2:]}" if kind == bool | None else flag
    annotation = Annotated[kind, typer.Option(declared, help=text, show_default=False)]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


up.__signature__ = _signature()  # type: ignore[attr-defined]
up.__annotations__ = {
    name: parameter.annotation
    for name, parameter in up.__signature__.parameters.items()  # type: ignore[attr-defined]
}
