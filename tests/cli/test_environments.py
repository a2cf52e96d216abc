"""Reading what people type for packages."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from madang.cli.environments import read_requirements, split_packages
from madang.cli.main import app
from madang.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("torch==2.13.0,pillow", ["torch==2.13.0", "pillow"]),
        ("numpy>=1.26,<3, pillow ,", ["numpy>=1.26,<3", "pillow"]),
        ("a[x,y]==1,b", ["a[x,y]==1", "b"]),
        ("", []),
    ],
)
def test_packages_by_commas(text: str, packages: list[str]) -> None:
    assert split_packages(text) == packages


def test_a_requirements_file(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("# ours\n\nnumpy>=1.26,<3  # arrays\npillow \\\n  ==11\n-r more.txt\n")
    assert read_requirements(path) == ["numpy>=1.26,<3", "pillow    ==11", "-r more.txt"]
    with pytest.raises(InvalidInput, match="missing"):
        read_requirements(tmp_path / "missing.txt")


def test_packages_that_name_none_are_refused() -> None:
    result = CliRunner().invoke(app, ["environment", "create", "empty", "--packages", " , "])
    assert isinstance(result.exception, InvalidInput)
    assert "names no package" in str(result.exception)
