"""Where the platform is and who you are: arguments > `MADANG_*` variables > the login file.

The login file is written by `madang login` (`~/.config/madang/client.toml`, readable by you
alone). On the machine where the platform runs, whoever may read its state folder needs no login.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from madang.core.errors import InvalidInput, Unauthenticated


@dataclass(frozen=True, slots=True)
class ClientConfig:
    url: str
    token: str
    gateway_url: str = ""
    project: str = ""
    ca_file: str = ""
    """Certificate to trust besides the machine's own ones, for a self-signed installation."""


def login_file() -> Path:
    """`MADANG_CONFIG`, else `~/.config/madang/client.toml`."""
    if named := os.environ.get("MADANG_CONFIG"):
        return Path(named)
    config_home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config_home) / "madang" / "client.toml"


def load_config(
    url: str | None = None, token: str | None = None, project: str | None = None
) -> ClientConfig:
    """Put the configuration together.

    Inside a task only `MADANG_API_URL` is set: its relay adds the token. Raises Unauthenticated
    with the way out when nothing says where the platform is.
    """
    task_url = os.environ.get("MADANG_API_URL")
    url = url or os.environ.get("MADANG_URL")
    token = token or os.environ.get("MADANG_TOKEN")
    project = project or os.environ.get("MADANG_PROJECT") or ""
    if url and token:
        return ClientConfig(url.rstrip("/"), token, project=project)
    if not url and task_url:
        return ClientConfig(task_url, token or "", project=project)
    for path in (login_file(), *_local_installations()):
        stored = read_login_file(path)
        if stored and (not url or stored.url == url.rstrip("/")):
            return replace(stored, token=token or stored.token, project=project or stored.project)
    raise Unauthenticated(
        f"you are not logged in to {url}" if url else "it is not known where the platform is",
        hint="Start one with `madang up`, or `madang login URL`, or set MADANG_URL and "
        "MADANG_TOKEN.",
    )


def save_config(path: Path, config: ClientConfig) -> None:
    """Write a login file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.new")
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in _entries(config) if value]
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(lines)
    temporary.replace(path)


def _entries(config: ClientConfig) -> list[tuple[str, str]]:
    return [
        ("url", config.url),
        ("token", config.token),
        ("gateway_url", config.gateway_url),
        ("project", config.project),
        ("ca_file", config.ca_file),
    ]


def _local_installations() -> list[Path]:
    folders = [os.environ.get("MADANG_STATE_DIR"), "/var/lib/madang"]
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    return [Path(folder) / "client.toml" for folder in [*folders, f"{data_home}/madang"] if folder]


def read_login_file(path: Path) -> ClientConfig | None:
    """What the file says; None without one. Raises InvalidInput for what is no login file."""
    try:
        stored = tomllib.loads(path.read_text())
        return ClientConfig(**stored)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise InvalidInput(
            f"{path} is not a login file: {error}", hint="`madang login` writes it anew."
        ) from None
