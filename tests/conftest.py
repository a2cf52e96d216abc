"""Fixtures that all tests share: databases, an in-process server, people with roles.

`context` runs a test on SQLite and again, marked `postgres`, on PostgreSQL; `sqlite_context` is
for tests in which the database does not matter.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import settings

from madang.core.clock import Clock, ManualClock
from madang.core.ids import new_id
from madang.core.permissions import Role
from madang.core.settings import Settings
from madang.server.api.app import create_app
from madang.server.context import ServerContext
from madang.server.db import tables as _all_tables  # noqa: F401 - fills the metadata
from madang.server.db.base import Base, TelemetryBase
from madang.server.db.engine import Database
from madang.server.identity.principal import Principal
from madang.server.identity.tables import MembershipRow, ProjectRow, UserRow
from madang.server.identity.tokens import issue_token, load_principal
from tests.postgres import PostgresServer, find_postgres

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in the browser come last: Playwright keeps an event loop in the main thread, beside
    which no other test could run one of its own."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    binaries = find_postgres()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # Not in pytest's folder: each new run closes that to other users, such as postgres.
    with (
        tempfile.TemporaryDirectory(prefix="madang-postgres-") as folder,
        PostgresServer.started(binaries, Path(folder)) as server,
    ):
        yield server


async def make_context(
    state_dir: Path, database: str = "sqlite", clock: Clock | None = None
) -> ServerContext:
    """An installation with empty tables; its clock stands still unless another is given."""
    context = ServerContext.from_settings(
        Settings(state_dir=state_dir, database=database), clock=clock or ManualClock()
    )
    context.paths.create()
    for db, base in ((context.db, Base), (context.telemetry, TelemetryBase)):
        await create_tables(db, base)
    return context


async def create_tables(db: Database, base: type[Base] | type[TelemetryBase]) -> None:
    async with db.writer.begin() as connection:
        await connection.run_sync(base.metadata.create_all)


@pytest.fixture
async def sqlite_context(tmp_path: Path) -> AsyncIterator[ServerContext]:
    context = await make_context(tmp_path / "state")
    yield context
    await context.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def context(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerContext]:
    database = "sqlite"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        database = server.create_database()
    context = await make_context(tmp_path / "state", database)
    yield context
    await context.close()


@dataclass(frozen=True)
class People:
    """Users of the project `vision`, one for each role; `outsider` is in the project `other`."""

    context: ServerContext
    tokens: dict[str, str]
    user_ids: dict[str, str]
    project_id: str
    other_project_id: str

    @cached_property
    def app(self) -> FastAPI:
        return create_app(self.context)

    def client(self, name: str | None) -> httpx.AsyncClient:
        """An HTTP client to the in-process API, logged in as `name` (None: as nobody)."""
        headers = {"Authorization": f"Bearer {self.tokens[name]}"} if name else {}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(
            transport=transport, base_url="http://madang.test", headers=headers
        )

    async def principal(self, name: str) -> Principal:
        async with self.context.db.read() as session:
            return await load_principal(session, self.user_ids[name])


async def make_people(context: ServerContext) -> People:
    now = context.clock.now()
    tokens: dict[str, str] = {}
    user_ids: dict[str, str] = {}
    async with context.db.transaction() as session:
        vision = ProjectRow(id=new_id("proj"), name="vision", created_at=now)
        other = ProjectRow(id=new_id("proj"), name="other", created_at=now)
        session.add_all([vision, other])
        await session.flush()
        for name, role in (
            ("admin", None),
            ("viewer", Role.VIEWER),
            ("member", Role.MEMBER),
            ("maintainer", Role.MAINTAINER),
            ("outsider", None),
        ):
            user = UserRow(id=new_id("user"), name=name, created_at=now, is_admin=name == "admin")
            session.add(user)
            await session.flush()
            if role:
                session.add(MembershipRow(project_id=vision.id, user_id=user.id, role=role))
            if name == "outsider":
                session.add(
                    MembershipRow(project_id=other.id, user_id=user.id, role=Role.MAINTAINER)
                )
            _, tokens[name] = await issue_token(session, user_id=user.id, name="test", now=now)
            user_ids[name] = user.id
    return People(context, tokens, user_ids, vision.id, other.id)


@pytest.fixture
async def people(context: ServerContext) -> People:
    """People on each database."""
    return await make_people(context)


@pytest.fixture
async def sqlite_people(sqlite_context: ServerContext) -> People:
    """People on SQLite alone: for tests in which the database does not matter."""
    return await make_people(sqlite_context)
