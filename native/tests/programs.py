"""Where the native commands are that are tested."""

from __future__ import annotations

import os
import sys
from pathlib import Path

BIN = Path(os.environ.get("MADANG_NATIVE_BIN") or Path(sys.executable).parent)
