"""The loop of environments: has what is asked for built, and clears away what nobody asks for."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict

import httpx
import structlog
from sqlalchemy import select, update

from madang.core.errors import MadangError
from madang.server.cluster.codec import from_json
from madang.server.cluster.protocol import EnvironmentBuild, EnvironmentBuilt
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.db.leases import Lease, LeaseLost, acquire
from madang.server.environments.builder import log_path
from madang.server.environments.service import TOPIC, environment_path
from madang.server.environments.tables import EnvironmentRow

log = structlog.get_logger()

LEASE_S = 20.0
_RENEW_S = 5.0
_RECHECK_S = 2.0
_IDLE_S = 60.0
_BUILDS_AT_ONCE = 2
_DIGEST = re.compile(r"[0-9a-f]{32}")

Build = Callable[[ServerContext, EnvironmentBuild], Awaitable[EnvironmentBuilt]]


async def run(context: ServerContext) -> None:
    """Build and clear away until cancelled."""
    await Controller(context, build_on_node).run()


async def build_on_node(context: ServerContext, order: EnvironmentBuild) -> EnvironmentBuilt:
    """Have this machine's agent build it. Raises httpx.HTTPError when it does not answer."""
    transport = httpx.AsyncHTTPTransport(uds=str(context.paths.agent_socket))
    timeout = httpx.Timeout(10.0, read=None)  # a build takes as long as it takes
    async with httpx.AsyncClient(transport=transport, timeout=timeout) as agent:
        answer = await agent.post("http://agent/v1/environments", json=asdict(order))
        answer.raise_for_status()
    return from_json(EnvironmentBuilt, answer.json())


class Controller:
    """Safe to run more than once at a time: a lease for each digest says whose turn it is."""

    def __init__(self, context: ServerContext, build: Build) -> None:
        self.context = context
        self._build = build
        self._building: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(_BUILDS_AT_ONCE)

    async def run(self) -> None:
        with self.context.bus.subscribe(TOPIC) as subscription:
            try:
                while True:
                    waiting = await self._step()
                    await subscription.wait(_RECHECK_S if waiting else _IDLE_S)
            finally:
                for task in self._building.values():
                    task.cancel()
                await asyncio.gather(*self._building.values(), return_exceptions=True)

    async def _step(self) -> bool:
        """Start what is to be built; whether something is still to be built."""
        try:
            wanted = await self._wanted()
            for digest in wanted:
                if digest not in self._building:
                    task = asyncio.create_task(self._build_when_free(digest))
                    self._building[digest] = task
            await self.clear_away()
        except (MadangError, OSError) as error:
            log.warning("environments could not be looked after", error=str(error))
            return True
        # Not only what is being built: an attempt may have failed since `wanted` was read.
        return bool(wanted or self._building)

    async def _wanted(self) -> list[str]:
        query = (
            select(EnvironmentRow.digest)
            .distinct()
            .where(EnvironmentRow.state == "building", EnvironmentRow.removed_at.is_(None))
        )
        async with self.context.db.read() as session:
            return list(await session.scalars(query))

    async def _build_when_free(self, digest: str) -> None:
        try:
            async with self._turn, self._lease(digest) as lease:
                if lease:
                    await self.build(digest, lease)
        except (LeaseLost, httpx.HTTPError, MadangError) as error:
            # Still wanted: the next round tries again.
            log.warning("an environment could not be built yet", digest=digest, error=str(error))
            await asyncio.sleep(_RECHECK_S)
        except Exception:
            log.exception("building an environment failed; it is a bug", digest=digest)
            await asyncio.sleep(_IDLE_S)
        finally:
            del self._building[digest]

    async def build(self, digest: str, lease: Lease) -> None:
        """Build a digest, and write down how it ended for all that share it."""
        async with self.context.db.read() as session:
            row = await session.scalar(
                select(EnvironmentRow).where(EnvironmentRow.digest == digest).limit(1)
            )
        assert row is not None
        order = EnvironmentBuild(
            digest=digest,
            packages=(*row.packages, *row.base),
            python=row.python,
            path=str(environment_path(self.context, row)),
        )
        built = await self._build(self.context, order)
        log.info(
            "built an environment", name=row.ref, ok=built.ok, seconds=round(built.seconds, 1)
        )
        async with self.context.db.transaction() as session:
            await lease.check(session)
            rows = await session.execute(
                update(EnvironmentRow)
                .where(EnvironmentRow.digest == digest, EnvironmentRow.state == "building")
                .values(
                    state="ready" if built.ok else "failed",
                    lock=list(built.lock),
                    error=None if built.ok else built.error,
                    ended_at=self.context.clock.now(),
                    build_seconds=built.seconds,
                    size_bytes=built.size_bytes if built.ok else None,
                )
                .returning(EnvironmentRow.id, EnvironmentRow.project_id)
            )
            for environment_id, project_id in rows:
                announce(session, f"{TOPIC}{environment_id}", f"project:{project_id}:environments")

    async def clear_away(self) -> None:
        """Delete the folders of digests that no version has any more."""
        unwanted = await asyncio.to_thread(self._digests_on_disk)
        unwanted -= await self._digests_in_use()
        for digest in unwanted:
            async with self._lease(digest) as lease:
                if lease and digest not in await self._digests_in_use():
                    await asyncio.to_thread(self._delete, digest)

    @asynccontextmanager
    async def _lease(self, digest: str) -> AsyncIterator[Lease | None]:
        """The lease on a digest, renewed for the length of the block; None if another has it."""
        lease = await acquire(self.context.db, f"environment:{digest}", LEASE_S)
        if lease is None:
            yield None
            return
        renewing = asyncio.create_task(self._renew(lease))
        try:
            yield lease
        finally:
            renewing.cancel()
            with suppress(MadangError):
                await lease.release(self.context.db)

    async def _renew(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                await lease.renew(self.context.db, LEASE_S)
            except LeaseLost:
                return  # what is written in the end checks for it
            except MadangError as error:
                log.warning("a lease could not be renewed", error=str(error))

    async def _digests_in_use(self) -> set[str]:
        query = select(EnvironmentRow.digest).distinct()
        async with self.context.db.read() as session:
            return set(await session.scalars(query.where(EnvironmentRow.removed_at.is_(None))))

    def _digests_on_disk(self) -> set[str]:
        names = (
            path.name.removesuffix(".log") for path in self.context.paths.environments.iterdir()
        )
        return {name for name in names if _DIGEST.fullmatch(name)}

    def _delete(self, digest: str) -> None:
        path = self.context.paths.environments / digest
        going = path.with_name(f".removing-{digest}")
        shutil.rmtree(going, ignore_errors=True)
        with suppress(FileNotFoundError):
            path.rename(going)  # gone at once, or not at all
        shutil.rmtree(going, ignore_errors=True)
        log_path(path).unlink(missing_ok=True)
