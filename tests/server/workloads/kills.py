"""Control killed with -9 at random points while it schedules; nodes and their tasks live on.

Control's part (database, scheduling, leases) runs in a process of its own that is killed and
forked again; the nodes are agents that run nothing, in this process, with simulated devices. After
each kill the database is looked at as it was left: whoever is killed at whatever point leaves no
allocation without a task, no task without an allocation, and no device given to two.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from madang.core.settings import Settings
from madang.core.states import WorkloadKind
from madang.server.cluster import controller as cluster_controller
from madang.server.cluster import service as cluster
from madang.server.cluster.codec import from_json, to_json
from madang.server.cluster.protocol import NodeOrders, NodeReport
from madang.server.context import ServerContext
from madang.server.logs import configure_logs
from madang.server.workloads import controller, service, upkeep
from madang.server.workloads.spec import RetryPolicy, WorkloadSpec
from madang.testing.agents import FakeAgent
from tests.server.workloads.platform import GIB, inventory

CPUS, GPUS = 8, 4
NODES = ("a", "b", "c")
_IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where a write costs nothing, so that more happens between two kills: what a kill leaves behind
does not depend on the disk."""
AT_ONCE = 16
"""Jobs that live at any time."""

_ENDS_PER_STEP = 0.01
"""How likely a task is to end between two reports: most live for longer than it takes until they
may be stopped for others."""
_ENDS_AT_LAST = 0.2
"""The same when nothing is submitted any more."""

_SCHEDULER_STOPS = ("preempted", "resized", "migrated")

_ENDS: tuple[tuple[str, int | None, dict[str, Any]], ...] = (
    ("completed", 0, {}),
    ("completed", 0, {}),
    ("exit_code", 1, {"exit_code": 1}),
    ("signal", 137, {"signal": "SIGKILL"}),
)


@dataclass
class Soak:
    """What was done, for the message of a failure."""

    seed: int
    kills: int = 0
    submitted: int = 0
    ended: int = 0
    stopped: Counter[str] = field(default_factory=Counter)
    """Tasks that were stopped by the scheduler, by the code of the reason."""
    struck: Counter[str] = field(default_factory=Counter)
    """Kills that found such a stop under way."""
    faults: list[str] = field(default_factory=list)


# -- the process that is killed ---------------------------------------------------------------


def serve(state_dir: str, socket: str) -> None:
    """Schedule, and answer on the socket, until killed."""
    configure_logs()
    asyncio.run(_serve(Path(state_dir), socket))


async def _serve(state_dir: Path, socket: str) -> None:
    settings = Settings(state_dir=state_dir, sandbox="none", node_lease_s=600.0)
    context = ServerContext.from_settings(settings)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                result = await _do(context, json.loads(line))
                writer.write(json.dumps(result).encode() + b"\n")
                await writer.drain()

    Path(socket).unlink(missing_ok=True)
    await asyncio.start_unix_server(answer, socket, limit=2**24)
    await asyncio.gather(
        controller.run(context), cluster_controller.run(context), upkeep.run(context)
    )


async def _do(context: ServerContext, order: dict[str, Any]) -> Any:
    match order["do"]:
        case "ready":
            while not controller.begun(context):
                await asyncio.sleep(0.005)
        case "sync":
            report = from_json(NodeReport, order["report"])
            return to_json(await cluster.sync(context, order["node"], report))
        case "submit":
            from madang.server.identity.tokens import load_principal

            async with context.db.read() as session:
                principal = await load_principal(session, order["user"])
            spec = WorkloadSpec.from_json(order["spec"])
            return (await service.submit(context, principal, spec)).id
        case "cancel":
            await service.cancel(context, "member", order["job"])
    return None


class _Control:
    """The process, as the nodes and people see it."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._socket = str(state_dir / "soak.sock")
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload([__name__])
        self._process: Any = None

    def start(self) -> None:
        self._process = self._processes.Process(
            target=serve, args=(str(self._state_dir), self._socket), daemon=True
        )
        self._process.start()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    async def until_it_schedules(self) -> None:
        while True:
            with suppress(OSError):
                await self.ask(do="ready")
                return
            await asyncio.sleep(0.01)

    async def ask(self, **order: Any) -> Any:
        """The answer. Raises ConnectionError when there is none: it was killed, before or after
        it did what it was asked for."""
        reader, writer = await asyncio.open_unix_connection(self._socket, limit=2**24)
        try:
            writer.write(json.dumps(order).encode() + b"\n")
            await writer.drain()
            line = await reader.readline()
        finally:
            writer.close()
        if not line.endswith(b"\n"):  # killed while it answered
            raise ConnectionResetError
        return json.loads(line)


# -- the soak ---------------------------------------------------------------------------------


class _Nodes:
    """Agents that step all the time, and whose tasks end by chance."""

    def __init__(self, control: _Control, chance: random.Random) -> None:
        self._chance = chance
        self.ends_per_step = _ENDS_PER_STEP
        self.agents = {name: self._agent(control, name) for name in NODES}

    def _agent(self, control: _Control, name: str) -> FakeAgent:
        async def sync(report: NodeReport) -> NodeOrders:
            answer = await control.ask(do="sync", node=name, report=to_json(report))
            return from_json(NodeOrders, answer)

        return FakeAgent(sync, inventory(cpu=CPUS, gpus=GPUS))

    async def run(self) -> None:
        await asyncio.gather(*(self._run(agent) for agent in self.agents.values()))

    async def _run(self, agent: FakeAgent) -> None:
        while True:
            with suppress(OSError):
                await agent.step(wait_s=0.05)
            for task_id, task in list(agent.tasks.items()):
                if task.exit is None and self._chance.random() < self.ends_per_step:
                    agent.end(task_id, *self._chance.choice(_ENDS))
            await asyncio.sleep(0.005)


async def soak(
    prepare: Callable[[Path], Awaitable[tuple[str, str, list[str]]]], *, kills: int, seed: int
) -> Soak:
    """Kill control `kills` times. `prepare` makes the database in a folder, and tells a user, her
    project and queues to use."""
    chance = random.Random(seed)
    done = Soak(seed)
    with tempfile.TemporaryDirectory(prefix="madang-soak-", dir=_IN_MEMORY) as folder:
        state_dir = Path(folder) / "state"
        user, project, queues = await prepare(state_dir)
        control = _Control(state_dir)
        control.start()
        agents = _Nodes(control, chance)
        nodes = asyncio.ensure_future(agents.run())
        try:
            for _ in range(kills):
                await _people(control, state_dir, chance, done, user, project, queues)
                control.kill()
                assert not nodes.done(), nodes.exception()
                done.kills += 1
                _look(state_dir, done)
                control.start()
            agents.ends_per_step = _ENDS_AT_LAST
            await _settle(control, state_dir, done)
        finally:
            nodes.cancel()
            with suppress(asyncio.CancelledError):
                await nodes
            control.kill()
    return done


async def _people(
    control: _Control,
    state_dir: Path,
    chance: random.Random,
    done: Soak,
    user: str,
    project: str,
    queues: list[str],
) -> None:
    """Submit and cancel for a random while; now and then control does not live to its start. Every
    second time it ends a moment after the scheduler has begun to stop something."""
    if chance.random() < 0.8:
        await control.until_it_schedules()
    waits_for_a_stop = chance.random() < 0.5
    before = _under_way(state_dir).keys()
    until = time.monotonic() + chance.uniform(0.0, 0.6) * (3 if waits_for_a_stop else 1)
    while time.monotonic() < until:
        if waits_for_a_stop and _under_way(state_dir).keys() - before:
            await asyncio.sleep(chance.uniform(0.0, 0.03))
            return
        live = _ids(state_dir, "SELECT id FROM workloads WHERE ended_at IS NULL")
        with suppress(OSError):
            if len(live) < AT_ONCE:
                spec = _spec(chance, user, project, queues)
                await control.ask(do="submit", user=user, spec=spec.to_json())
                done.submitted += 1
            elif chance.random() < 0.08:
                await control.ask(do="cancel", job=chance.choice(live))
        await asyncio.sleep(0.01)


def _spec(chance: random.Random, user: str, project: str, queues: list[str]) -> WorkloadSpec:
    from madang.core.resources import Resources
    from madang.server.workloads.spec import RoleSpec

    low = chance.choice([1, 1, 2, 3])
    high = low + chance.choice([0, 0, 0, 3])
    gpu = chance.choice([0.25, 0.5, 1, 2, 4])
    worker = RoleSpec(
        replicas_min=low,
        replicas_max=high,
        resources=Resources.parse({"cpu": 1, "memory": f"{GIB}", "gpu": gpu}),
        command=(chance.choice(["true", "wait", "wait", "wait"]),),
    )
    return WorkloadSpec(
        kind=WorkloadKind.JOB,
        name="soak",
        project_id=project,
        user_id=user,
        roles=(worker,),
        queue=chance.choice(queues),
        priority=chance.choice([0, 0, 100, 200]),
        resizable=high > low,
        retry=RetryPolicy(count=1, backoff_s=0.1),
        grace_s=0.0,
    )


async def _settle(control: _Control, state_dir: Path, done: Soak) -> None:
    """Nothing is submitted or killed any more: all must end, and hold nothing."""
    deadline = time.monotonic() + 120
    while _ids(state_dir, "SELECT id FROM workloads WHERE ended_at IS NULL"):
        if time.monotonic() > deadline:
            columns = "id, state, attempt, reason, resize, stop"
            query = f"SELECT {columns} FROM workloads WHERE ended_at IS NULL"
            done.faults += [f"never ended: {row}" for row in _rows(state_dir, query)]
            break
        await asyncio.sleep(0.1)
    held = _ids(state_dir, "SELECT id FROM allocations WHERE until IS NULL")
    if held:
        done.faults.append(f"still held at the end: {held}")
    done.ended = len(_ids(state_dir, "SELECT id FROM workloads WHERE ended_at IS NOT NULL"))
    codes = Counter(
        reason["code"]
        for text in _ids(state_dir, "SELECT reason FROM tasks WHERE reason IS NOT NULL")
        if (reason := json.loads(text))
    )
    done.stopped = Counter({code: codes[code] for code in _SCHEDULER_STOPS})


def _look(state_dir: Path, done: Soak) -> None:
    """What a kill has left behind."""
    held = _ids(state_dir, "SELECT task_id FROM allocations WHERE until IS NULL")
    live = _ids(state_dir, "SELECT id FROM tasks WHERE ended_at IS NULL")
    specs = _ids(state_dir, "SELECT task_id FROM task_specs")
    if not sorted(held) == sorted(live) == sorted(specs):
        done.faults.append(f"kill {done.kills}: held {held}, live {live}, ordered {specs}")
    devices: Counter[tuple[str, int]] = Counter()
    cpus: Counter[str] = Counter()
    query = "SELECT node_id, cpu_milli, devices FROM allocations WHERE until IS NULL"
    for node_id, cpu_milli, shares in _rows(state_dir, query):
        cpus[node_id] += cpu_milli
        for share in json.loads(shares):
            devices[node_id, share["index"]] += share["milli"]
    for place, milli in [*devices.items(), *((n, c // CPUS) for n, c in cpus.items())]:
        if milli > 1000:
            done.faults.append(f"kill {done.kills}: {place} is given out {milli / 1000:g} times")
    done.struck.update(set(_under_way(state_dir).values()))


def _under_way(state_dir: Path) -> dict[str, str]:
    """What the scheduler is stopping or moving: by task or workload, why."""
    stopping = (
        "SELECT id, json_extract(stop_reason, '$.code') FROM tasks"
        " WHERE state = 'stopping' AND ended_at IS NULL AND stop_reason IS NOT NULL"
    )
    going_on = (
        "SELECT id, 'resized' FROM workloads"
        " WHERE ended_at IS NULL AND json_extract(resize, '$.placements') IS NOT NULL"
    )
    found = [*_rows(state_dir, stopping), *_rows(state_dir, going_on)]
    return {id: code for id, code in found if code in _SCHEDULER_STOPS}


def _ids(state_dir: Path, query: str) -> list[str]:
    return [str(row[0]) for row in _rows(state_dir, query)]


def _rows(state_dir: Path, query: str) -> list[tuple[Any, ...]]:
    path = state_dir / "madang.db"
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
