"""The agent's loop: report what is, learn what should be, act."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from madang.core.errors import Conflict, Unavailable
from madang.core.ids import new_id
from madang.core.settings import Settings
from madang.server.cluster.agent.commands import install_commands
from madang.server.cluster.agent.control import ControlClient
from madang.server.cluster.agent.networks import Networks
from madang.server.cluster.agent.prepare import Preparer
from madang.server.cluster.agent.server import AgentServer
from madang.server.cluster.agent.tasks import Tasks
from madang.server.cluster.devices import device_plugins
from madang.server.cluster.inventory import take_inventory
from madang.server.cluster.protocol import PROTOCOL_VERSION, NodeOrders, NodeReport
from madang.server.cluster.sandbox import Sandbox, all_sandboxes
from madang.server.cluster.shim import cgroups, records
from madang.server.paths import StatePaths

_LONGEST_WAIT_S = 20.0
_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)
_GATHER_S = 0.003

logger = logging.getLogger("madang.agent")


class Agent:
    """One node. `sandboxes` is for tests that take protections away.

    Tasks neither begin nor end with the agent: stopping it, by any signal, leaves them running,
    and the next one takes them over from their folders.
    """

    def __init__(
        self,
        settings: Settings,
        paths: StatePaths,
        *,
        sandboxes: Mapping[str, Sandbox] | None = None,
    ) -> None:
        self.node = settings.node_name or socket.gethostname()
        self._paths = paths
        self._agent_id = new_id("agent")
        self._boot_id = records.boot_id()
        self._wake_path = paths.sockets / "agent-wake.sock"
        # Beside the sockets, in memory as a rule: a full disk must not cost the lease.
        self._lease_file = paths.sockets / "lease.json"
        plugins = device_plugins(settings.simulate_gpus)
        hierarchies = cgroups.Hierarchies(f"madang/{paths.sockets.name}")
        self._inventory = take_inventory(
            plugins, sandbox=settings.sandbox, limits=tuple(sorted(hierarchies.limits))
        )
        preparer = Preparer(
            self.node,
            paths,
            all_sandboxes() if sandboxes is None else sandboxes,
            plugins,
            hierarchies,
            self._wake_path,
            self._lease_file,
            paths.commands if install_commands(paths.commands) else None,
        )
        self._changed = asyncio.Event()
        self._tasks = Tasks(paths.tasks, preparer, Networks(), self._changed.set)
        self._server = AgentServer(settings, paths, self._tasks)
        self._control = ControlClient(paths, self.node)
        self._revision = 0
        self._lease_s = settings.node_lease_s

    async def run(self) -> None:
        """Work until cancelled. Raises Conflict when this node has an agent already."""
        lock = records.take_lock(str(self._paths.tasks), ".agent.lock", wait=False)
        if lock is None:
            raise Conflict(
                f"another agent looks after {self._paths.state_dir}",
                hint="Stop it first, or give this one a state folder of its own.",
            )
        try:
            with self._listening_for_shims():
                self._tasks.scan()
                await self._server.start()
                await self._sync_forever()
        finally:
            await self._server.close()
            await self._tasks.close()
            await self._control.close()
            os.close(lock)

    async def _sync_forever(self) -> None:
        """News is told at once; while there is none, a long poll waits for orders, and gives way
        to the next news."""
        failures = 0
        self._changed.set()
        while True:
            try:
                if self._changed.is_set():
                    await asyncio.sleep(_GATHER_S)
                    self._changed.clear()
                    await self._sync(wait_s=0.0)
                else:
                    await self._sync_until_changed()
                failures = 0
            except Unavailable as error:
                if failures == 0:
                    logger.warning("%s; tasks go on, trying again", error.message)
                self._changed.set()
                await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                failures += 1

    async def _sync_until_changed(self) -> None:
        wait_s = min(_LONGEST_WAIT_S, self._lease_s / 3)
        poll = asyncio.ensure_future(self._sync(wait_s=wait_s))
        change = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((poll, change), return_when=asyncio.FIRST_COMPLETED)
            if poll.done():
                poll.result()
        finally:
            for waiting in (poll, change):
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError, Unavailable):
                    await waiting

    async def _sync(self, *, wait_s: float) -> None:
        asked_s = records.boottime_s()
        orders = await self._control.sync(
            NodeReport(
                protocol=PROTOCOL_VERSION,
                boot_id=self._boot_id,
                agent_id=self._agent_id,
                inventory=self._inventory,
                tasks=self._tasks.reports(),
                orders_revision=self._revision,
                wait_s=wait_s,
            )
        )
        self._renew_lease(orders, asked_s)
        self._tasks.apply(orders.orders)
        self._revision = orders.revision

    def _renew_lease(self, orders: NodeOrders, asked_s: float) -> None:
        """The lease counts from when control was asked: it can't have begun to wait later."""
        self._lease_s = orders.lease_s
        lease = {
            "boot_id": self._boot_id,
            "until_boottime_s": asked_s + orders.lease_s,
            "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        try:
            records.write_json("/", str(self._lease_file), lease, durable=False)
        except OSError as error:
            logger.error("the lease could not be renewed: %s", error)

    @contextlib.contextmanager
    def _listening_for_shims(self) -> Iterator[None]:
        self._wake_path.unlink(missing_ok=True)
        wake = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        wake.bind(str(self._wake_path))
        self._wake_path.chmod(0o600)
        wake.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(wake.fileno(), self._woken, wake)
        try:
            yield
        finally:
            loop.remove_reader(wake.fileno())
            wake.close()

    def _woken(self, wake: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._tasks.refresh(wake.recv(256).decode(errors="replace"))
