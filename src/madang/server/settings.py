"""Loading the settings: flags > environment > madang.toml > defaults."""

from __future__ import annotations

import os
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from madang.core.errors import InvalidInput
from madang.core.settings import COMMAND_LINE, ENVIRONMENT, ENVIRONMENT_PREFIX, Settings

CLIENT_VARIABLES = frozenset(
    {"url", "token", "project", "config"}
    | {"api_url", "datasets", "environment_lock", "task_id", "workload_id", "attempt", "role"}
    | {"checkpoint_dir", "report_socket", "simulated_devices"}
)
"""`MADANG_*` variables that speak to the client (client/config.py) or to code in a task: a server
that is started inside a task passes over them."""

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY_HOSTS = frozenset({"0.0.0.0", "::"})


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
        (COMMAND_LINE, flags),
        (ENVIRONMENT, {k: v for k, v in variables.items() if k not in CLIENT_VARIABLES}),
        *_file_layer(config_file or Path("madang.toml"), required=config_file is not None),
        ("the defaults", {"state_dir": default_state_dir()}),
    )
    return settings


def check_exposure(settings: Settings) -> None:
    """Raises InvalidInput for an address beyond this machine without TLS or a proxy before it."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise InvalidInput(
            "tls_cert and tls_key go together, one of them is missing",
            field="tls_cert",
            hint="Give both, or --tls self-signed.",
        )
    if settings.host in _LOOPBACK_HOSTS or settings.tls_cert or settings.behind_proxy:
        return
    if settings.tls == "self-signed":
        return
    raise InvalidInput(
        f"host {settings.host!r} is beyond this machine, and passwords would cross the network "
        "unencrypted",
        field="host",
        hint="Add --tls-cert FILE --tls-key FILE, or --tls self-signed, or --behind-proxy when a "
        "proxy in front ends TLS.",
    )


def check_start(settings: Settings) -> None:
    """Raises InvalidInput for what nothing should be started with: an exposed address, files and
    folders that are not there."""
    check_exposure(settings)
    for setting in ("tls_cert", "tls_key"):
        file = getattr(settings, setting)
        if file and not os.access(file, os.R_OK):
            raise InvalidInput(
                f"{setting} {file!r} is no file that can be read",
                field=setting,
                hint="It takes a PEM file; --tls self-signed makes a certificate.",
            )
    if settings.find_links and not Path(settings.find_links).is_dir():
        raise InvalidInput(
            f"find_links {settings.find_links!r} is not a folder",
            field="find_links",
            hint="It takes a folder of wheels on this machine.",
        )


def portal_url(settings: Settings) -> str:
    """The address of the portal and the API as people use it, without a slash at the end."""
    return settings.public_url.rstrip("/") or _url(settings, settings.port)


def gateway_url(settings: Settings) -> str:
    """The address of the gateway as people use it, without a slash at the end."""
    return settings.gateway_url.rstrip("/") or _url(settings, settings.gateway_port)


def to_environment(settings: Settings) -> dict[str, str]:
    """The variables from which `load_settings` in another process reads the same settings."""
    return {
        f"{ENVIRONMENT_PREFIX}{entry.name.upper()}": str(getattr(settings, entry.name))
        for entry in fields(settings)
    }


def _url(settings: Settings, port: int) -> str:
    scheme = "https" if settings.tls_cert or settings.tls == "self-signed" else "http"
    host = socket.gethostname() if settings.host in _ANY_HOSTS else settings.host
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


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
