"""Where settings come from, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from madang.core.errors import InvalidInput
from madang.core.settings import Settings
from madang.server.paths import StatePaths
from madang.server.probes import log_tail
from madang.server.settings import (
    check_exposure,
    check_start,
    gateway_url,
    load_settings,
    portal_url,
    to_environment,
)


def settings(**values: Any) -> Settings:
    return Settings(state_dir=Path("/nowhere"), **values)


def test_flags_before_environment_before_file_before_defaults(tmp_path: Path) -> None:
    file = tmp_path / "madang.toml"
    file.write_text('port = 1\ngateway_port = 1\nhost = "localhost"\n')
    loaded = load_settings(
        {"port": 3}, environment={"MADANG_PORT": "2", "MADANG_GATEWAY_PORT": "2"}, config_file=file
    )
    assert (loaded.port, loaded.gateway_port, loaded.host) == (3, 2, "localhost")
    assert loaded.sandbox == "bwrap"


@pytest.mark.parametrize(
    ("flags", "environment", "words"),
    [
        ({"prot": 1}, {}, ["prot", "command line"]),
        ({}, {"MADANG_PROT": "1"}, ["MADANG_PROT", "environment"]),
        ({"port": "many"}, {}, ["port", "many"]),
        ({"sandbox": "docker"}, {}, ["docker", "bwrap"]),
        ({"behind_proxy": "perhaps"}, {}, ["perhaps", "true or false"]),
    ],
)
def test_mistakes_are_named(
    flags: dict[str, Any], environment: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        load_settings(flags, environment=environment, config_file=None)
    assert all(word in str(refused.value) for word in words)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("port", "99999"),
        ("gateway_port", "-1"),
        ("trash_days", "nan"),
        ("grace_s", "inf"),
        ("node_lease_s", "-5"),
        ("login_hours", "0"),
        ("login_attempts", "0"),
        ("task_log_bytes", "65535"),
        ("task_log_files", "0"),
        ("public_url", "ml.example"),
        ("gateway_url", "http://"),
        ("state_dir", ""),
        ("node_name", "a/b"),
        ("tls", "letsencrypt"),
        ("database", "postgresql://kim:hunter2@[bad/x"),
    ],
)
def test_senseless_values_are_refused(setting: str, value: str) -> None:
    variable = f"MADANG_{setting.upper()}"
    with pytest.raises(InvalidInput) as refused:
        load_settings({}, environment={variable: value})
    assert variable in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "one of ," not in str(refused.value)


@pytest.mark.parametrize(
    "values", [{"find_links": "/nowhere/x"}, {"tls_cert": "/nowhere/c", "tls_key": "/nowhere/k"}]
)
def test_nothing_starts_with_files_that_are_not_there(values: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="/nowhere"):
        check_start(settings(**values))


@pytest.mark.parametrize("state_dir", ["/proc/x", "/dev/null"])
def test_a_state_folder_that_can_not_be_is_refused_in_words(state_dir: str) -> None:
    with pytest.raises(InvalidInput, match=f"the state folder '{state_dir}' can't be used"):
        StatePaths(Path(state_dir)).create()


def test_only_the_log_of_this_start_is_shown(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    paths.server_logs.mkdir()
    (paths.server_logs / "control.log").write_text("old\nnew\n")
    assert log_tail(paths, "control", start=4) == "new"
    assert log_tail(paths, "control", start=100) == "old\nnew"


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no settings file"):
        load_settings({}, environment={}, config_file=tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("port =")
    with pytest.raises(InvalidInput, match="not valid TOML"):
        load_settings({}, environment={}, config_file=tmp_path / "broken.toml")


def test_variables_of_clients_and_tasks_are_passed_over() -> None:
    environment = {"MADANG_TOKEN": "t", "MADANG_API_URL": "http://x", "MADANG_DATASETS": "{}"}
    load_settings({}, environment=environment)


def test_environment_carries_all_settings() -> None:
    given = settings(port=7, behind_proxy=True, task_log_bytes=2**20, grace_s=1.5, tls_cert="/c")
    assert load_settings({}, environment=to_environment(given)) == given


@pytest.mark.parametrize(
    "values",
    [
        {"host": "127.0.0.1"},
        {"host": "::1"},
        {"host": "0.0.0.0", "behind_proxy": True},
        {"host": "10.0.0.1", "tls_cert": "/c", "tls_key": "/k"},
        {"host": "10.0.0.1", "tls": "self-signed"},
    ],
)
def test_safe_addresses(values: dict[str, Any]) -> None:
    check_exposure(settings(**values))


@pytest.mark.parametrize(
    ("values", "way_out"),
    [({"host": "0.0.0.0"}, "--tls-cert"), ({"tls_cert": "/c"}, "Give both")],
)
def test_unsafe_addresses(values: dict[str, Any], way_out: str) -> None:
    with pytest.raises(InvalidInput, match=way_out):
        check_exposure(settings(**values))


def test_addresses_for_people() -> None:
    plain = settings(port=1, gateway_port=2)
    assert (portal_url(plain), gateway_url(plain)) == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert portal_url(settings(host="::1", port=1)) == "http://[::1]:1"
    assert portal_url(settings(tls="self-signed", port=1)) == "https://127.0.0.1:1"
    assert portal_url(settings(public_url="https://ml.example/")) == "https://ml.example"
