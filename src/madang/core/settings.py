"""The settings of an installation: one table, from which help, checks and docs are made.

A setting is looked up in flags, then in the environment (`MADANG_PORT`), then in `madang.toml`,
then here. The server loads them in `server/settings.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from madang.core import setting_kinds as kinds
from madang.core.errors import InvalidInput

ENVIRONMENT = "the environment"
ENVIRONMENT_PREFIX = "MADANG_"
COMMAND_LINE = "the command line"


def _setting(default: Any, text: str, parse: Callable[[str], Any] = str) -> Any:
    return field(default=default, metadata={"help": text, "parse": parse})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be configured; unknown keys are refused by `from_layers`."""

    state_dir: Path = _setting(  # noqa: RUF009 - a field, made by a helper
        Path("/var/lib/madang"),
        "where everything is kept: database, volumes, environments, logs; when not root, "
        "~/.local/share/madang",
        kinds.folder,
    )
    database: str = _setting(
        "sqlite",
        "'sqlite' (a file in the state folder) or postgresql://USER:PASSWORD@HOST/NAME",
        kinds.database,
    )
    host: str = _setting(
        "127.0.0.1", "address to listen on; beyond this machine needs tls or behind_proxy"
    )
    port: int = _setting(
        8642, "port of the portal and the API; 0 takes a free one", kinds.whole(0, 65535)
    )
    gateway_port: int = _setting(
        8643,
        "port of apps, endpoints and files, which have an origin of their own",
        kinds.whole(0, 65535),
    )
    public_url: str = _setting(
        "", "address people use, when it is not http://HOST:PORT", kinds.address
    )
    gateway_url: str = _setting(
        "", "address of the gateway, when it is not http://HOST:PORT", kinds.address
    )
    tls_cert: str = _setting("", "certificate file (PEM) to serve HTTPS with")
    tls_key: str = _setting("", "key file (PEM) of tls_cert")
    tls: str = _setting(
        "",
        "'self-signed' makes a certificate of its own at first start, when there is no tls_cert",
        kinds.one_of("", "self-signed"),
    )
    behind_proxy: bool = _setting(
        False,
        "a proxy in front ends TLS: allows host beyond this machine without tls_cert",
        kinds.flag,
    )
    sandbox: str = _setting(
        "bwrap",
        "what separates tasks from the machine: 'bwrap' (bubblewrap) or 'none'; never lowered "
        "silently",
        kinds.one_of("bwrap", "none"),
    )
    node_name: str = _setting(
        "", "name of this machine as a node; the host name when empty", kinds.node
    )
    simulate_gpus: str = _setting(
        "",
        "pretend that this node has GPUs, e.g. 8xH100, or slices: 1xA100:3g.40gb+2x2g.20gb, for "
        "trying out; labelled everywhere",
    )
    node_lease_s: float = _setting(
        30.0,
        "seconds without a word after which a node counts as lost",
        kinds.number(1, 86_400, "seconds"),
    )
    task_log_bytes: int = _setting(
        64 * 2**20, "size at which a task's log is rotated, e.g. 64MiB", kinds.size(64 * 2**10)
    )
    task_log_files: int = _setting(
        4, "rotated logs kept for each task, the current one too", kinds.whole(1, 1000)
    )
    grace_s: float = _setting(
        10.0,
        "seconds between SIGTERM and SIGKILL when a task is stopped",
        kinds.number(0, 86_400, "seconds"),
    )
    find_links: str = _setting("", "folder of wheels that environments may also be built from")
    allow_source_builds: bool = _setting(
        False, "let environments build packages from source, which runs their code", kinds.flag
    )
    trash_days: float = _setting(
        30.0, "days that a trashed folder can be restored", kinds.number(0, 36_500, "days")
    )
    login_hours: float = _setting(
        24 * 14, "hours that a login in the portal lasts", kinds.number(0.01, 876_000, "hours")
    )
    login_attempts: int = _setting(
        10, "failed logins a minute, for one name or address", kinds.whole(1, 1_000_000)
    )

    @classmethod
    def from_layers(cls, *layers: tuple[str, Mapping[str, Any]]) -> Settings:
        """Merge `(origin, values)` layers, strongest first.

        Raises InvalidInput for an unknown key or a value that can't be read; it quotes both and
        names the origin.
        """
        table = {entry.name: entry for entry in fields(cls)}
        chosen: dict[str, Any] = {}
        for origin, values in layers:
            for key, value in values.items():
                if key not in table:
                    raise InvalidInput(
                        f"{origin} has {_spelled(origin, key)}, which is not a setting",
                        field=key,
                        hint=f"Settings: {', '.join(table)}.",
                    )
                if value is not None and key not in chosen:
                    chosen[key] = _parse(origin, key, value, table[key].metadata["parse"])
        return cls(**chosen)


def _parse(origin: str, key: str, value: Any, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(str(value))
    except InvalidInput as error:
        raise InvalidInput(
            f"{origin}: {_spelled(origin, key)}: {error.message}", field=key, hint=error.hint
        ) from None
    except ValueError as error:
        raise InvalidInput(
            f"{origin}: {_spelled(origin, key)} can't be {value!r}: {error}", field=key
        ) from None


def _spelled(origin: str, key: str) -> str:
    """The setting as it is written there."""
    if origin == ENVIRONMENT:
        return f"{ENVIRONMENT_PREFIX}{key.upper()}"
    return f"--{key.replace('_', '-')}" if origin == COMMAND_LINE else key
