"""The platform's own libraries as wheels."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

import madang
from madang.server.environments import base_wheels
from madang.server.environments.base_wheels import ensure_base_wheels

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def library(folder: Path) -> zipfile.ZipFile:
    (path,) = folder.glob("madang-*.whl")
    return zipfile.ZipFile(path)


def test_what_tasks_import_and_no_more(tmp_path: Path) -> None:
    pins = ensure_base_wheels(tmp_path, PYTHON)
    assert pins[0].startswith(f"madang=={madang.__version__}+")
    with library(tmp_path) as wheel:
        names = wheel.namelist()
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        text = wheel.read(metadata).decode()
    for part in ("train", "data", "runtimes", "client", "core", "schemas"):
        assert f"madang/{part}/__init__.py" in names
    assert not [name for name in names if name.startswith(("madang/server/", "madang/testing/"))]
    assert "Requires-Dist: httpx" in text and "fastapi" not in text and "typer" not in text


def test_written_once_for_the_same_content(tmp_path: Path) -> None:
    pins = ensure_base_wheels(tmp_path, PYTHON)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert ensure_base_wheels(tmp_path, PYTHON) == pins
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times


def test_other_content_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ensure_base_wheels(tmp_path, PYTHON)
    monkeypatch.setattr(base_wheels, "_LEFT_OUT", ("server/", "testing/", "cli/", "train/"))
    assert ensure_base_wheels(tmp_path, PYTHON)[0] != before[0]


def test_a_python_without_the_native_library(tmp_path: Path) -> None:
    """The libraries go without it there, and their wheel must not ask for it."""
    (pin,) = ensure_base_wheels(tmp_path, "3.99" if PYTHON == "3.11" else "3.11")
    assert pin.startswith("madang==")


@pytest.mark.parametrize(
    ("tag", "python", "fits"),
    [
        ("cp311-cp311-linux_x86_64", "3.11", True),
        ("cp311-cp311-linux_x86_64", "3.12", False),
        ("cp312-abi3-linux_x86_64", "3.13", True),
        ("cp312-abi3-linux_x86_64", "3.11", False),
    ],
)
def test_which_python_a_native_wheel_is_for(tag: str, python: str, fits: bool) -> None:
    assert base_wheels._fits(tag, python) is fits
