"""Where packages come from: what is configured for pip and uv on this machine holds for the
builder too.

uv reads its own variables (`UV_*`); pip's variables and files are put into uv's words here, as
administrators have set them for their mirror already.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

_PASSED_ON = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
)
_NOT_PASSED_ON = (
    "UV_CACHE_DIR",
    "UV_LINK_MODE",
    "UV_PYTHON",
    "UV_PROJECT_ENVIRONMENT",
    "UV_SYSTEM_PYTHON",
)
_TRUE = ("1", "true", "yes", "on")
_FILES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_CONFIG_FILE")


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """`variables` and `options` for uv, and the local `paths` that they point to, which a sandbox
    must show."""

    variables: dict[str, str]
    options: tuple[str, ...]
    paths: tuple[Path, ...]


def index_settings(
    environment: Mapping[str, str],
    *,
    find_links: Sequence[str] = (),
    pip_files: Sequence[Path] | None = None,
) -> IndexSettings:
    """What uv needs to know; `find_links` come first. uv's own variables win over pip's."""
    pip = _pip_options(environment, _pip_files(environment) if pip_files is None else pip_files)
    variables = {
        name: value
        for name, value in environment.items()
        if (name.startswith("UV_") and name not in _NOT_PASSED_ON) or name in _PASSED_ON
    }
    for uv_name, option in (("UV_DEFAULT_INDEX", "index-url"), ("UV_INDEX", "extra-index-url")):
        if option in pip and uv_name not in variables:
            variables[uv_name] = " ".join(pip[option])
    if "SSL_CERT_FILE" not in variables and "cert" in pip:
        variables["SSL_CERT_FILE"] = pip["cert"][0]
    folders = [*find_links, *variables.get("UV_FIND_LINKS", "").split(",")]
    if "UV_FIND_LINKS" not in variables:
        folders += pip.get("find-links", [])
    if folders := list(dict.fromkeys(folder for folder in folders if folder)):
        variables["UV_FIND_LINKS"] = ",".join(folders)
    # uv has no variable for this one.
    options = ("--no-index",) if pip.get("no-index", ["0"])[0].lower() in _TRUE else ()
    return IndexSettings(variables, options, tuple(_local_paths(variables, folders)))


def _pip_options(environment: Mapping[str, str], files: Sequence[Path]) -> dict[str, list[str]]:
    """pip's options by name, the environment over the files, later files over earlier ones."""
    options: dict[str, list[str]] = {}
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text())
        except (OSError, configparser.Error):
            continue  # pip itself says so when it is used; a build goes on without
        for section in ("global", "install"):
            for name, value in parser.items(section) if parser.has_section(section) else ():
                options[name.replace("_", "-")] = value.split()
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            options[name.removeprefix("PIP_").replace("_", "-").lower()] = value.split()
    return options


def _pip_files(environment: Mapping[str, str]) -> list[Path]:
    if named := environment.get("PIP_CONFIG_FILE"):
        return [Path(named)]
    home = Path(environment.get("HOME") or os.path.expanduser("~"))
    config_home = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    return [Path("/etc/pip.conf"), home / ".pip/pip.conf", config_home / "pip/pip.conf"]


def _local_paths(variables: Mapping[str, str], folders: Sequence[str]) -> list[Path]:
    found = [variables[name] for name in _FILES if name in variables]
    found += [_path_of(folder) for folder in folders]
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        for address in variables.get(name, "").split():
            path = _path_of(address.rpartition("=")[2] if "=" in address else address)
            # The pages of an index point to files beside it: show the folder that holds both.
            found.append(os.path.dirname(path.rstrip("/")) if path else "")
    return [path for path in dict.fromkeys(map(Path, filter(None, found))) if path.exists()]


def _path_of(address: str) -> str:
    """The local path of a folder or `file:` address; empty for what lies on the network."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return unquote(parts.path)
    return address if address.startswith("/") else ""
