"""Reports of user code, from its socket to control."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from madang.server.cluster.shim import reports
from madang.server.cluster.shim.loop import Loop
from madang.server.cluster.shim.reports import LINE_BYTES, Reports, Spool, split_lines
from madang.testing.agents import task_spec
from tests.server.cluster.conftest import Node, boxed

REPORT = """
import json, os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["MADANG_REPORT_SOCKET"])
def report(**values): s.send(json.dumps(values).encode())
"""


@pytest.mark.parametrize("sandbox", ["none", pytest.param("bwrap", marks=pytest.mark.root)])
async def test_all_reports_arrive_in_order_before_the_end(node: Node, sandbox: str) -> None:
    make = boxed if sandbox == "bwrap" else task_spec
    code = REPORT + "for step in range(3000): report(step=step)"
    await node.run(make("task-1", "python", "-c", code))
    assert [line["step"] for line in node.control.reported["task-1"]] == list(range(3000))


async def test_reports_are_kept_while_control_is_away(node: Node) -> None:
    code = REPORT + "time.sleep(0.1)\nfor step in range(50): report(step=step)\nprint('said')"
    await node.control.run(task_spec("task-1", "python", "-c", code))
    await node.control.until_running("task-1")
    await node.control.stop_serving()
    await node.until_log("task-1", "said")
    await node.control.start()
    await node.control.until_exited("task-1")
    await node.control.until(lambda: len(node.control.reported.get("task-1", [])) == 50)


async def test_reports_outlive_the_shim_after_the_end(node: Node) -> None:
    code = REPORT + "time.sleep(0.1)\nfor step in range(50): report(step=step)\nprint('said')"
    await node.control.run(task_spec("task-1", "python", "-c", code))
    await node.control.until_running("task-1")
    await node.control.stop_serving()
    await node.until_log("task-1", "said")
    os.kill(node.shim_pid("task-1"), signal.SIGKILL)
    await node.control.start()
    await node.control.until(lambda: len(node.control.reported.get("task-1", [])) == 50)


async def test_reports_sent_while_no_shim_is_there_wait_for_the_next(idle_node: Node) -> None:
    await idle_node.spawn_agent()
    code = REPORT + (
        "print('ready', flush=True)\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "for step in range(5): report(step=step)\nprint('said', flush=True)\ntime.sleep(60)"
    )
    await idle_node.control.run(task_spec("task-1", "python", "-c", code))
    await idle_node.until_log("task-1", "ready")
    await idle_node.kill_agent()
    plan = json.loads((idle_node.folder("task-1") / "launch.json").read_text())
    os.kill(idle_node.shim_pid("task-1"), signal.SIGKILL)
    (Path(plan["scratch"]) / "home/go").touch()
    await idle_node.spawn_agent()
    await idle_node.until_log("task-1", "said")
    await idle_node.control.until(lambda: len(idle_node.control.reported.get("task-1", [])) == 5)


async def test_bad_reports_are_dropped_with_a_note_in_the_log(node: Node) -> None:
    code = REPORT + "s.send(b'nonsense')\ns.send(b'[1]\\n{\"step\": 1}\\n')"
    await node.run(task_spec("task-1", "python", "-c", code))
    assert node.control.reported["task-1"] == [{"step": 1}]
    notes = node.log("task-1").splitlines()
    assert [note.partition(":")[0] for note in notes] == ["[madang] a report was dropped"] * 2


def test_split_lines() -> None:
    exact = b'{"a": "' + b"x" * (LINE_BYTES - 9) + b'"}'
    assert len(exact) == LINE_BYTES
    assert split_lines(exact + b"\n\n{}") == ([exact, b"{}"], [])
    good, bad = split_lines(exact + b" ")
    assert not good
    assert bad == [f"it has {LINE_BYTES + 1} bytes, the limit is {LINE_BYTES}"]


def test_a_spool_goes_on_after_a_kill(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    spool.append([b'{"n": 0}', b'{"n": 1}'])
    with open(tmp_path / "reports.0", "ab") as file:
        file.write(b'{"n": 2')  # torn
    again = Spool(str(tmp_path))
    again.append([b'{"n": 2}'])
    assert again.batch() == [b'{"n": 0}', b'{"n": 1}', b'{"n": 2}']
    again.acknowledge(2)
    last = Spool(str(tmp_path))
    assert (last.sent, last.end, last.batch()) == (2, 3, [b'{"n": 2}'])
    for opened in (spool, again, last):
        opened.close()


def test_sent_segments_are_dropped(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    line = json.dumps({"text": "x" * 60_000}).encode()
    for _ in range(60):
        spool.append([line])
    assert len(list(tmp_path.glob("reports.*"))) > 2
    while batch := spool.batch():
        spool.acknowledge(len(batch))
    assert spool.sent == 60
    assert len([p for p in tmp_path.glob("reports.*") if p.suffix != ".sent"]) == 1
    spool.close()


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Where a task sends to, where its shim receives."""
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        yield sender, receiver


@pytest.fixture
def taken(
    tmp_path: Path, notes: list[str], ends: tuple[socket.socket, socket.socket]
) -> Iterator[Reports]:
    """The reports of a task whose server is away."""
    spool = Spool(str(tmp_path))
    options = {"task_id": "task-1", "token": "", "control_socket": "/no/such.sock"}
    yield Reports(Loop(), ends[1], spool, attempt=1, note=notes.append, **options)
    spool.close()


def test_a_flood_fills_no_disk(
    taken: Reports,
    notes: list[str],
    ends: tuple[socket.socket, socket.socket],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = 4 << 20
    monkeypatch.setattr(reports, "MAX_HELD_BYTES", limit)
    line = json.dumps({"text": "x" * 60_000}).encode()
    for _ in range(200):
        ends[0].send(line)
        taken.receive()
    held = sum(path.stat().st_size for path in tmp_path.glob("reports.*"))
    assert limit <= held < limit + len(line) + 1
    assert notes == ["reports are dropped: 4 MiB of them wait for the server already"]
    again = Spool(str(tmp_path))
    seen = [again.full]
    while batch := again.batch():
        again.acknowledge(len(batch))
    seen.append(again.full)
    again.close()
    assert seen == [True, False]


def test_a_task_that_never_pauses_leaves_the_loop_its_turn(
    taken: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless:
        received = 0

        def recv(self, size: int) -> bytes:
            self.received += 1
            assert self.received < 1000, "it never ends"
            return b"{}"

    monkeypatch.setattr(taken, "_receiver", Endless())
    taken.receive()


def test_bad_reports_do_not_fill_the_log(
    taken: Reports, notes: list[str], ends: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    ends[0].send(b"x\n" * 1000)
    ends[0].send(b"y\n{}\n")
    taken.close_receiver()
    assert len(notes) == 100
    assert notes[-1].endswith("further ones are not noted")
    assert (tmp_path / "reports.0").read_bytes() == b"{}\n"
