"""Reports: sent at once, kept while nobody listens, dropped beyond a bound, never waiting."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from madang.server.cluster.shim.launch import bind_report_socket
from madang.train.reports import Reporter


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.setblocking(False)
        yield receiver
    path.unlink()


def received(receiver: socket.socket) -> list[dict[str, Any]]:
    lines = []
    while True:
        try:
            lines.append(json.loads(receiver.recv(65536)))
        except BlockingIOError:
            return lines


@pytest.fixture
def address(tmp_path: Path) -> Path:
    return tmp_path / "report.sock"


def test_a_report_is_a_line(address: Path) -> None:
    with listening(address) as receiver:
        reporter = Reporter(str(address))
        reporter.report(3, 1, {"loss": 0.5, "bad": float("nan")})
        (line,) = received(receiver)
        reporter.close()
    assert abs(line.pop("time") - time.time()) < 60
    assert line == {"step": 3, "rank": 1, "metrics": {"loss": 0.5, "bad": "nan"}}


def test_kept_until_somebody_listens(address: Path) -> None:
    reporter = Reporter(str(address))
    for step in range(5):
        reporter.report(step, 0, {"loss": step})
    reporter._connect_after = 0
    with listening(address) as receiver:
        assert reporter.flush()
        assert [line["step"] for line in received(receiver)] == [0, 1, 2, 3, 4]
    reporter.close()


def test_a_new_listener_is_found(address: Path) -> None:
    """As when the task's supervisor is started anew."""
    reporter = Reporter(str(address))
    with listening(address) as receiver:
        reporter.report(0, 0, {"loss": 1})
        assert len(received(receiver)) == 1
    reporter.report(1, 0, {"loss": 1})
    reporter._connect_after = 0
    with listening(address) as receiver:
        reporter.report(2, 0, {"loss": 1})
        assert [line["step"] for line in received(receiver)] == [1, 2]
    reporter.close()


def test_the_oldest_are_dropped_and_counted(address: Path) -> None:
    reporter = Reporter(str(address), max_waiting=3)
    for step in range(10):
        reporter.report(step, 0, {"loss": step})
    assert reporter.dropped == 7
    reporter._connect_after = 0
    with listening(address) as receiver:
        assert reporter.flush()
        lines = received(receiver)
    assert [line["step"] for line in lines] == [7, 8, 9]
    assert [line.get("dropped") for line in lines] == [7, None, None]
    reporter.close()


def test_a_listener_that_does_not_read_never_blocks(address: Path) -> None:
    with listening(address) as receiver:
        reporter = Reporter(str(address), max_waiting=1000)
        for step in range(5000):
            reporter.report(step, 0, {"loss": step})
        taken = len(received(receiver))
        assert 0 < taken < 5000
        assert taken + len(reporter._waiting) + reporter.dropped == 5000
        reporter.close()


def test_nowhere() -> None:
    reporter = Reporter("")
    reporter.report(1, 0, {"loss": 1})
    assert reporter.flush() and reporter.dropped == 0


def test_at_the_end_what_waits_is_sent(address: Path) -> None:
    """Also by a child that was forked after the first report (a data loader's worker)."""
    code = (
        "import os\nfrom madang import train\n"
        "train.report(0, loss=1)\npid = os.fork()\n"
        "train.report(1 if pid else 2, loss=1)\n"
        "if pid: os.waitpid(pid, 0)\n"
    )
    with listening(address) as receiver:
        variables = {**os.environ, "MADANG_REPORT_SOCKET": str(address), "RANK": "3"}
        subprocess.run([sys.executable, "-c", code], env=variables, check=True)
        lines = received(receiver)
    assert sorted(line["step"] for line in lines) == [0, 1, 2]
    assert {line["rank"] for line in lines} == {3}


def test_a_socket_deeper_than_the_kernel_takes_is_reached(tmp_path: Path) -> None:
    path = tmp_path / ("deep" * 20) / "folder" / "report.sock"
    path.parent.mkdir(parents=True)
    with bind_report_socket(str(path), os.geteuid(), os.getegid()) as receiver:
        receiver.settimeout(5)
        reporter = Reporter(str(path))
        reporter.report(3, 0, {"loss": 0.5})
        assert json.loads(receiver.recv(65536))["step"] == 3
        reporter.close()
