"""Jobs from submission on: how soon they speak, and many at once."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.figures import Figure
from bench.installation import MADANG, Platform

RUNS = 15
CLIENTS = 20
JOBS = 200
ENDS = {0: "succeeded", 3: "failed"}


def first_line() -> Sequence[Figure]:
    """`madang job run` as typed, until the first line of the program is on the screen."""
    with Platform.started() as platform:
        took = [_until_first_line(platform) for _ in range(RUNS + 2)][2:]
    return [
        Figure("`madang job run` to the first line, median", statistics.median(took), "s",
               at_most=1, note=f"slowest {max(took):.2f} s of {RUNS}"),
    ]  # fmt: skip


def _until_first_line(platform: Platform) -> float:
    command: list[str | Path] = [MADANG, "job", "run", "--cpu", "0.1", "--", "echo", "hello"]
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=platform.environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"hello\n"
        took = time.perf_counter() - began
    assert process.returncode == 0
    return took


def many_clients() -> Sequence[Figure]:
    """200 jobs from 20 clients at once: each ends as it should, and nothing is held afterwards."""

    def submit_some(client_number: int) -> list[tuple[str, int]]:
        with platform.client() as client:
            submitted = []
            for number in range(JOBS // CLIENTS):
                code = 3 if number % 5 == 0 else 0
                job = client.jobs.run(
                    ["sh", "-c", f"echo {client_number}-{number}; exit {code}"],
                    resources={"cpu": 0.05, "memory": "32MiB"},
                )
                submitted.append((job.id, code))
            return submitted

    with Platform.started() as platform:
        began = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            submitted = [job for jobs in pool.map(submit_some, range(CLIENTS)) for job in jobs]
        submitted_s = time.perf_counter() - began
        with platform.client() as client:
            wrong = Counter[str]()
            for job_id, code in submitted:
                job = client.jobs.wait(job_id)
                if (job.state.value, job.exit_code) != (ENDS[code], code):
                    wrong[f"{job.state} {job.exit_code}"] += 1
            took = time.perf_counter() - began
            held = sum(node.cpu_used for node in client.nodes.list().items)
    return [
        Figure("200 jobs from 20 clients: ended otherwise", wrong.total(), "jobs", at_most=0,
               note=f"{JOBS / took:.1f} jobs/s, submitted in {submitted_s:.1f} s {dict(wrong)}"),
        Figure("200 jobs from 20 clients: still held", held, "CPUs", at_most=0),
    ]  # fmt: skip
