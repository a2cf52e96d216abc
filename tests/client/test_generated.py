"""The synchronous client is what the generator makes of the asynchronous one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_sync_client_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate_sync_client"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
