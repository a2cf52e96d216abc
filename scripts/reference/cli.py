"""The command line's reference, from the tree of its commands."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import typer

from madang.cli.main import app
from madang.core.errors import Unsupported
from madang.files.commands import command_path
from scripts.reference.markdown import code, one_line, page, prose, table


def command_tree() -> Any:
    """The command `madang` as the library below Typer has it."""
    return typer.main.get_command(app)


def all_commands(command: Any, path: tuple[str, ...] = ("madang",)) -> Iterator[tuple[str, Any]]:
    """Every command that is shown in help, groups before what is in them."""
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from all_commands(child, (*path, name))


def cli_page() -> str:
    parts = [
        "# Command line",
        "`madang NOUN VERB`. Every command that shows something takes `--json`; every one "
        "explains itself with `--help`.",
        "Flags, environment and files: see [settings](settings.md). Exit codes: see "
        "[errors](errors.md).",
    ]
    for path, command in all_commands(command_tree()):
        parts.extend(_section(path, command))
    return page(*parts)


def _section(path: str, command: Any) -> Iterator[str]:
    depth = min(path.count(" ") + 2, 4)
    yield f"{'#' * depth} {path}"
    yield prose(command.help or "")
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    if not getattr(command, "commands", None):
        words = [path, *_usage(arguments), *(["[OPTIONS]"] if options else [])]
        yield f"```\n{' '.join(words)}\n```"
    if command.context_settings.get("ignore_unknown_options"):
        yield f"```\n{native_help(command.name)}```"
    if arguments:
        rows = [(code(_metavar(p)), one_line(getattr(p, "help", None) or "")) for p in arguments]
        yield table(("argument", "what it is"), rows)
    if options:
        yield table(("option", "what it does"), [_option_row(p) for p in options])


def native_help(name: str) -> str:
    """What a native command says of itself; "" where it is not installed."""
    try:
        path = command_path(name)
    except Unsupported:
        return ""
    return subprocess.run([path, "--help"], capture_output=True, text=True, check=True).stdout


def _usage(arguments: list[Any]) -> list[str]:
    words = [_metavar(p) + ("..." if p.nargs == -1 else "") for p in arguments]
    return [word if p.required else f"[{word}]" for p, word in zip(arguments, words, strict=True)]


def _metavar(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _value(option: Any) -> str:
    """What stands for an option's value: NUMBER, PATH or TEXT."""
    name = str(getattr(option.type, "name", "text"))
    numbers = ("integer", "float")
    return "NUMBER" if name.startswith(numbers) else "PATH" if name == "path" else "TEXT"


def _option_row(option: Any) -> tuple[str, str]:
    names = "/".join([*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else f" {option.metavar or _value(option)}"
    text = one_line(option.help or "")
    default = option.default
    if option.required:
        text += " Required."
    elif default not in (None, "", False, (), []) and not callable(default) and not option.is_flag:
        text += f" Default: {code(default)}."
    if option.multiple:
        text += " May be given several times."
    return code(names + value), text.strip()
