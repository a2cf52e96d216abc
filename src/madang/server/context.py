"""What every use case is handed: the parts of a running server, and nothing global."""

from __future__ import annotations

from dataclasses import dataclass, field

from madang.core.clock import Clock, SystemClock
from madang.core.settings import Settings
from madang.server.bus import Bus
from madang.server.db.engine import Database
from madang.server.paths import StatePaths


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

    def __post_init__(self) -> None:
        self.db.on_commit = self.bus.publish
        self.telemetry.on_commit = self.bus.publish

    @classmethod
    def from_settings(cls, settings: Settings, clock: Clock | None = None) -> ServerContext:
        paths = StatePaths(settings.state_dir)
        db = Database.from_setting(settings.database, paths.database)
        telemetry = Database.from_setting(settings.database, paths.telemetry, durable=False)
        return cls(settings, paths, db, telemetry, clock=clock or SystemClock())

    async def close(self) -> None:
        await self.db.close()
        await self.telemetry.close()
