"""What every use case is handed: the parts of a running server, and nothing global."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.clock import Clock, SystemClock
from madang.core.settings import Settings
from madang.server.bus import Bus
from madang.server.db.engine import Database
from madang.server.passwords import Passwords
from madang.server.paths import StatePaths
from madang.server.rate_limit import AttemptLimiter


async def _every_task_is_live(session: AsyncSession, task_id: str) -> bool:
    return True


async def _no_folder_users(session: AsyncSession, folder_id: str) -> list[str]:
    return []


EnvironmentUsers: TypeAlias = Callable[[AsyncSession, str], Awaitable[list[str]]]
"""Names of what runs, or waits to run, in the environment with this id: `job train`."""


async def _no_environment_users(session: AsyncSession, environment_id: str) -> list[str]:
    return []


@dataclass(slots=True)
class ServerContext:
    """Use cases take it as their first argument; tests build one with a manual clock."""

    settings: Settings
    paths: StatePaths
    db: Database
    telemetry: Database
    """Metric history and node statistics (tables on `TelemetryBase`)."""
    bus: Bus = field(default_factory=Bus)
    clock: Clock = field(default_factory=SystemClock)
    task_is_live: Callable[[AsyncSession, str], Awaitable[bool]] = _every_task_is_live
    """Whether a task still runs, and so whether its token is good; control sets it."""
    folder_users: Callable[[AsyncSession, str], Awaitable[list[str]]] = _no_folder_users
    """Names of the live workloads that have a folder (by id) mounted; control sets it."""
    environment_users: EnvironmentUsers = _no_environment_users
    """What keeps an environment from being removed; control sets it."""
    parts: dict[str, Any] = field(default_factory=dict)
    """What a domain keeps in this process only, under its own name: caches, writers, connections.
    What has an `aclose` is closed with the context."""
    draining: bool = False
    """Set when everything is being stopped: no new work is taken."""
    passwords: Passwords = field(default_factory=Passwords)
    logins: AttemptLimiter = field(init=False)
    """Failed logins of the last minute, by name and by address."""
    token_uses: dict[str, datetime] = field(default_factory=dict)
    """When tokens were last used, until it is written down (identity/controller.py)."""

    def __post_init__(self) -> None:
        self.logins = AttemptLimiter(self.settings.login_attempts, self.clock)
        self.db.on_commit = self.bus.publish
        self.telemetry.on_commit = self.bus.publish

    @classmethod
    def from_settings(cls, settings: Settings, clock: Clock | None = None) -> ServerContext:
        paths = StatePaths(settings.state_dir)
        db = Database.from_setting(settings.database, paths.database)
        telemetry = Database.from_setting(settings.database, paths.telemetry, durable=False)
        return cls(settings, paths, db, telemetry, clock=clock or SystemClock())

    async def close(self) -> None:
        for part in self.parts.values():
            if hasattr(part, "aclose"):
                await part.aclose()
        await self.db.close()
        await self.telemetry.close()
