"""What is known of a running installation from outside."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from madang.core.errors import Conflict, InvalidInput
from madang.core.settings import Settings
from madang.server import running
from madang.server.paths import StatePaths


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    found = StatePaths(tmp_path)
    found.create()
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, port=0, gateway_port=0)


def test_free_ports_are_remembered(settings: Settings, paths: StatePaths) -> None:
    first = running.with_ports(settings, paths)
    assert first.port != first.gateway_port
    again = running.with_ports(settings, paths)
    assert (again.port, again.gateway_port) == (first.port, first.gateway_port)


def test_a_remembered_port_that_is_taken_is_replaced(
    settings: Settings, paths: StatePaths
) -> None:
    first = running.with_ports(settings, paths)
    with socket.create_server(("127.0.0.1", first.port)):
        second = running.with_ports(settings, paths)
    assert second.port != first.port
    assert second.gateway_port == first.gateway_port


def test_a_port_that_was_asked_for_and_is_taken(settings: Settings, paths: StatePaths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=f"{port}.*--gateway-port 0 for a free one"):
            running.with_ports(replace(settings, gateway_port=port), paths)


def test_one_port_for_both_is_refused(settings: Settings, paths: StatePaths) -> None:
    with pytest.raises(InvalidInput, match="both 8642"):
        running.with_ports(replace(settings, port=8642, gateway_port=8642), paths)


def test_only_one_supervisor(settings: Settings, paths: StatePaths) -> None:
    with running.only_one(paths):
        running.write(paths, {"supervisor": os.getpid()}, settings)
        with pytest.raises(Conflict, match="is up already: http://"), running.only_one(paths):
            pass
    with running.only_one(paths):
        pass


def test_a_pid_that_is_used_again_is_another_process(
    settings: Settings, paths: StatePaths
) -> None:
    running.write(paths, {"control": os.getpid()}, settings)
    assert set(running.processes(paths)) == {"control"}
    assert not running.Process(os.getpid(), "12345").is_alive()
    running.forget(paths)
    assert running.processes(paths) == {}


def test_orphans_are_waited_for(settings: Settings, paths: StatePaths) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as orphan:
        running.write(paths, {"gateway": orphan.pid}, settings)
        running.wait_for_orphans(paths)
        assert orphan.wait(5) < 0


def test_self_signed_certificate_is_made_once(settings: Settings, paths: StatePaths) -> None:
    wanted = replace(settings, tls="self-signed")
    made = running.with_certificate(wanted, paths)
    context = ssl.create_default_context(cafile=made.tls_cert)
    context.load_cert_chain(made.tls_cert, made.tls_key)
    assert Path(made.tls_key).stat().st_mode & 0o077 == 0
    before = Path(made.tls_cert).read_bytes()
    assert Path(running.with_certificate(wanted, paths).tls_cert).read_bytes() == before


def test_large_logs_are_put_aside(paths: StatePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_LOG_BYTES", 10)
    log = paths.server_logs / "control.log"
    log.write_text("more than ten bytes")
    assert running.rotated_log(paths, "control") == log
    assert not log.exists()
    assert (paths.server_logs / "control.log.1").read_text() == "more than ten bytes"


@pytest.mark.parametrize(
    ("work", "code", "words"),
    [
        (lambda say, ready: (say("it is up"), ready()), 0, "it is up"),
        (lambda say, ready: _refuse(), Conflict.exit_code, "taken"),
    ],
)
def test_detached_relays_words_and_code(
    paths: StatePaths,
    capfd: pytest.CaptureFixture[str],
    work: Callable[[Callable[[str], None], Callable[[], None]], None],
    code: int,
    words: str,
) -> None:
    assert running.detached(paths, work) == code
    assert words in "".join(capfd.readouterr())


def _refuse() -> None:
    raise Conflict("the port is taken")
