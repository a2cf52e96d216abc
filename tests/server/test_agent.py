from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--state-dir"], "Write settings as --name value"),
        (["state", "x"], "Write settings as --name value"),
        (["--colour", "red"], "--colour, which is not a setting"),
        (["--simulate-gpus", "8H100"], "'8H100' doesn't say which GPUs"),
    ],
)
def test_bad_flags_are_said_in_a_sentence(flags: list[str], message: str, tmp_path: Path) -> None:
    place = [] if "--state-dir" in flags or "state" in flags else ["--state-dir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "madang.server.agent", *place, *flags],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
