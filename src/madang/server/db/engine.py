"""The database: one writer at a time on SQLite, a pool on PostgreSQL, the same calls for both.

async with database.transaction() as session:   # reads and writes, all or nothing
async with database.read() as session:          # reads only
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event, make_url, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import InstrumentedAttribute

from madang.core.errors import InvalidInput, Unavailable

_READERS = 4
_POOL_SIZE = 8
_BUSY_TIMEOUT_S = 20

_NUL_IN_TEXT = frozenset({"22021", "22P05"})
"""What PostgreSQL, unlike SQLite, answers to text and JSON with a NUL in it."""


class Database:
    """Connections to one database; made by `Database.sqlite` or `Database.postgresql`.

    `on_commit` is called with the topics that a transaction announced (see `announce`), after
    its commit and never otherwise.
    """

    def __init__(
        self,
        writer: AsyncEngine,
        reader: AsyncEngine,
        *,
        one_writer: bool,
        on_commit: Callable[[set[str]], None] | None = None,
    ) -> None:
        self.writer = writer
        self.reader = reader
        self.on_commit = on_commit
        self._write_turn = asyncio.Lock() if one_writer else None

    @classmethod
    def sqlite(cls, path: Path, *, durable: bool = True) -> Database:
        """A SQLite file. `durable`: a commit survives a power cut (`synchronous=FULL`)."""
        url = f"sqlite+aiosqlite:///{path}"
        writer = create_async_engine(
            url, pool_size=1, max_overflow=0, connect_args={"timeout": _BUSY_TIMEOUT_S}
        )
        reader = create_async_engine(
            url, pool_size=_READERS, max_overflow=0, connect_args={"timeout": _BUSY_TIMEOUT_S}
        )
        synchronous = "FULL" if durable else "NORMAL"
        # A deferred transaction that reads and then writes fails at once when another one wrote
        # in between, whatever the busy timeout: writers take the lock before they read.
        _configure_sqlite(writer, begin="BEGIN IMMEDIATE", pragmas=f"synchronous={synchronous}")
        _configure_sqlite(reader, begin="BEGIN", pragmas="query_only=ON")
        for engine in (writer, reader):
            event.listen(engine.sync_engine, "do_connect", lambda *_: _keep_private(path))
        return cls(writer, reader, one_writer=True)

    @classmethod
    def postgresql(cls, url: str) -> Database:
        """A PostgreSQL database, `postgresql://USER:PASSWORD@HOST/NAME`."""
        engine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_SIZE,
            pool_pre_ping=True,
        )
        reader = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        return cls(engine, reader, one_writer=False)

    @classmethod
    def from_setting(cls, setting: str, sqlite_path: Path, *, durable: bool = True) -> Database:
        """The database that the setting `database` names. Raises InvalidInput for others."""
        if setting == "sqlite":
            return cls.sqlite(sqlite_path, durable=durable)
        if setting.startswith("postgresql://"):
            return cls.postgresql(setting)
        raise InvalidInput(
            f"database can't be {setting.split('@')[-1]!r}",
            field="database",
            hint="Use 'sqlite' or postgresql://USER:PASSWORD@HOST/NAME.",
        )

    @property
    def dialect(self) -> str:
        return self.writer.dialect.name

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A transaction that commits at the end of the block and rolls back on any exception.

        On SQLite transactions run one after the other: keep them short, wait for nothing inside.
        """
        async with (
            self._write_turn or nullcontext(),
            _translated_errors(),
            AsyncSession(self.writer, expire_on_commit=False) as session,
        ):
            async with session.begin():
                yield session
            topics = session.info.get("topics")
        if topics and self.on_commit:
            self.on_commit(topics)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A consistent view for reading; nothing written in it is kept."""
        async with (
            _translated_errors(),
            AsyncSession(self.reader, expire_on_commit=False) as session,
        ):
            yield session

    async def close(self) -> None:
        await self.reader.dispose()
        await self.writer.dispose()


async def take_turn(session: AsyncSession, id_column: InstrumentedAttribute[str], id: str) -> None:
    """Wait for the row of this id, so that what is read next stays true until the commit. (On
    SQLite, where transactions that write run one after the other, it is so already.)"""
    await session.execute(select(id_column).where(id_column == id).with_for_update())


def announce(session: AsyncSession, *topics: str) -> None:
    """Tell who watches these topics, once the transaction has been committed."""
    session.info.setdefault("topics", set()).update(topics)


def _keep_private(path: Path) -> None:
    """Only the server's user may read the file, whatever becomes of the folder's own rights. What
    SQLite makes beside it (`-wal`, `-shm`) gets the rights of the file."""
    # Never open one that is there: closing it again would drop the locks that this process's
    # other connections hold on it. What can't be made, the connection will say better.
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            os.chmod(f"{path}{suffix}", 0o600)


def _configure_sqlite(engine: AsyncEngine, *, begin: str, pragmas: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # else the driver begins transactions by itself, late
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "cache_size=-8000", pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)


def _is_full(cause: object) -> bool:
    """Whether SQLite (SQLITE_FULL) or PostgreSQL (disk_full) had no space to write."""
    name = getattr(cause, "sqlite_errorname", "") or getattr(cause, "sqlstate", "")
    return name in ("SQLITE_FULL", "53100")


@asynccontextmanager
async def _translated_errors() -> AsyncIterator[None]:
    try:
        yield
    except (OperationalError, ConnectionRefusedError) as error:
        cause = getattr(error, "orig", error)
        if _is_full(cause):
            raise Unavailable(
                "the disk with the platform's database is full",
                hint="Nothing was changed and nothing is lost; make space there, and try again.",
            ) from error
        raise Unavailable(
            f"the database did not answer: {cause}",
            hint="Nothing was changed; trying again may help.",
        ) from error
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in _NUL_IN_TEXT:
            raise
        raise InvalidInput("text can't hold a NUL character", hint="Remove it.") from error
