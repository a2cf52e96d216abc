"""Loading the settings: flags > environment > madang.toml > defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from madang.core.errors import InvalidInput
from madang.core.settings import Settings

ENVIRONMENT_PREFIX = "MADANG_"

CLIENT_VARIABLES = frozenset({"url", "token", "project", "config"})
"""`MADANG_*` variables that speak to the client (client/config.py), not to the server."""


def load_settings(
    flags: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    config_file: Path | None = None,
) -> Settings:
    """The settings of this start.

    `config_file` defaults to `madang.toml` in the current folder, when there is one. Raises
    InvalidInput for unknown keys and values that can't be read.
    """
    environment = os.environ if environment is None else environment
    variables = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX)
    }
    settings = Settings.from_layers(
        ("the command line", flags),
        ("the environment", {k: v for k, v in variables.items() if k not in CLIENT_VARIABLES}),
        *_file_layer(config_file or Path("madang.toml"), required=config_file is not None),
        ("the defaults", {"state_dir": default_state_dir()}),
    )
    return settings


def default_state_dir() -> Path:
    """`/var/lib/madang` for root, else `~/.local/share/madang`."""
    if os.geteuid() == 0:
        return Path("/var/lib/madang")
    data_home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(data_home) / "madang"


def _file_layer(path: Path, *, required: bool) -> list[tuple[str, dict[str, Any]]]:
    try:
        return [(str(path), tomllib.loads(path.read_text()))]
    except FileNotFoundError:
        if required:
            raise InvalidInput(f"there is no settings file {path}") from None
        return []
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}") from None
