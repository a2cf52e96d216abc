"""A PostgreSQL server of the test run's own, thrown away at its end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def find_postgres() -> Path | None:
    """The folder with `initdb` and `postgres`: on the PATH, or where Debian keeps it."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


@dataclass(frozen=True)
class PostgresServer:
    binaries: Path
    port: int
    as_postgres: tuple[str, ...]

    @classmethod
    @contextmanager
    def started(cls, binaries: Path, folder: Path) -> Iterator[PostgresServer]:
        """Start a server on a free port with fsync off; stop it at the end of the block."""
        as_postgres: tuple[str, ...] = ()
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            as_postgres = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
            for parent in [folder, *folder.parents][:3]:
                if str(parent) != "/tmp":
                    parent.chmod(0o755)
            shutil.chown(folder, "postgres", "postgres")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        cluster = folder / "cluster"
        _run(
            *as_postgres,
            str(binaries / "initdb"),
            "-D",
            str(cluster),
            "-A",
            "trust",
            "-U",
            "madang",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        )
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
            "-c fsync=off -c full_page_writes=off -c max_connections=200"
        )
        control = (*as_postgres, str(binaries / "pg_ctl"), "-D", str(cluster), "-w")
        _run(*control, "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield cls(binaries, port, as_postgres)
        finally:
            _run(*control, "-m", "immediate", "stop")

    def create_database(self) -> str:
        """The address of a new, empty database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        address = f"postgresql://madang@127.0.0.1:{self.port}"
        _run(str(self.binaries / "createdb"), "--maintenance-db", f"{address}/postgres", name)
        return f"{address}/{name}"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd="/")
