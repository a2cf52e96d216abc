"""kill -9 at random moments, on a whole platform, while programs count.

Each round kills one of control, gateway, agent and the shim of a counting job. Then every job's
file, exit code, log and ledger must tell the same story: it counted once, to its end.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil

from bench.figures import Figure
from bench.installation import SERVERS, Platform
from madang.client import Client
from madang.core.errors import Unavailable
from madang.schemas.jobs import JobMount

Answer = TypeVar("Answer")

KILLS = int(os.environ.get("BENCH_KILLS", "200"))
SEED = int(os.environ.get("BENCH_SEED", "1"))
AT_ONCE = 6
"""Counting jobs at any time."""

COUNT = """
import sys, time
name, numbers, code = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(f"/mnt/counts/{name}", "a", buffering=1) as file:
    print("start", file=file)
    for number in range(numbers):
        print(number, file=file)
        print(name, number, flush=True)
        time.sleep(0.01)
sys.exit(code)
"""


@dataclass(frozen=True, slots=True)
class Counting:
    job_id: str
    name: str
    numbers: int
    code: int


def kills() -> Sequence[Figure]:
    chance = random.Random(SEED)
    killed: Counter[str] = Counter()
    wrong: list[str] = []
    with Platform.started() as platform, platform.client() as client:
        folder = client.folders.create("counts")
        assert folder.location is not None
        counts = Path(folder.location)
        running: list[Counting] = []
        ended = 0
        while sum(killed.values()) < KILLS:
            while len(running) < AT_ONCE:
                running.append(_begin(client, chance, ended + len(running)))
            time.sleep(chance.uniform(0, 0.3))
            if kind := _kill_one(platform, chance):
                killed[kind] += 1
            still = []
            for one in running:
                if _patient(partial(client.jobs.get, one.job_id)).job.state.ended:
                    wrong += _disagreements(client, counts, one)
                    ended += 1
                else:
                    still.append(one)
            running = still
        for one in running:
            _patient(partial(client.jobs.wait, one.job_id))
            wrong += _disagreements(client, counts, one)
        held = sum(node.cpu_used for node in _patient(lambda: client.nodes.list()).items)
    for line in wrong:
        print(line)
    note = f"seed {SEED}: {dict(killed)}, {ended + len(running)} jobs"
    return [
        Figure(f"{KILLS} kills: jobs whose file, exit, log, ledger differ", len(wrong), "jobs",
               at_most=0, note=note),
        Figure(f"{KILLS} kills: CPUs still held at the end", held, "CPUs", at_most=0),
    ]  # fmt: skip


def _begin(client: Client, chance: random.Random, number: int) -> Counting:
    name, numbers, code = f"count-{number:04d}", chance.randint(20, 300), chance.choice([0, 3, 77])
    job_id = _patient(lambda: _submit_once(client, name, numbers, code))
    return Counting(job_id, name, numbers, code)


def _submit_once(client: Client, name: str, numbers: int, code: int) -> str:
    """The job of this name; made unless an earlier try, whose answer was lost, has made it."""
    if made := client.jobs.list(name=name).items:
        return made[0].id
    return client.jobs.run(
        ["python3", "-c", COUNT, name, str(numbers), str(code)],
        name=name,
        resources={"cpu": 0.1, "memory": "128MiB"},
        mounts=[JobMount("counts")],
    ).id


def _kill_one(platform: Platform, chance: random.Random) -> str:
    """Kill -9 one process of a kind chosen by chance; the kind that it was, empty when there is
    none: it is being started again, or all jobs have ended."""
    kind = chance.choice([*SERVERS, "shim"])
    if kind == "shim":
        candidates = platform.shims()
    else:
        candidates = [p for name, p in platform.processes().items() if name == kind]
    if not candidates:
        return ""
    try:
        chance.choice(candidates).send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return ""
    return kind


def _disagreements(client: Client, counts: Path, one: Counting) -> list[str]:
    detail = _patient(lambda: client.jobs.get(one.job_id))
    job = detail.job
    path = counts / one.name
    lines = path.read_text().split() if path.exists() else []
    log = _patient(lambda: client.jobs.log(one.job_id).text).split("\n")[:-1]
    told = []
    if lines != ["start", *map(str, range(one.numbers))]:
        told.append(f"file has {len(lines)} lines, {lines.count('start')} starts")
    if log != [f"{one.name} {number}" for number in range(one.numbers)]:
        told.append(f"log has {len(log)} lines")
    if job.exit_code != one.code:
        told.append(f"exit code {job.exit_code}")
    if not told:
        return []
    reason = job.reason.message if job.reason else ""
    return [f"{one}: {job.state} ({reason}), attempt {job.attempt}: {'; '.join(told)}"]


def _patient(call: Callable[[], Answer]) -> Answer:
    """The answer, however often control is killed while it is asked."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return call()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
