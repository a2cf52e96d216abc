"""Where the `madang` script begins: Ctrl-C ends it quietly also while the rest is being loaded."""

from __future__ import annotations

import sys


def main() -> None:
    try:
        from madang.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
