"""The native commands, which start without Python: `madang-ls`, `madang-find`…"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

from madang.core.errors import Unsupported

NAMES = {
    "chmod": "Change modes of files and trees.",
    "chown": "Change owners of files and trees.",
    "cp": "Copy files and trees; what is broken off goes on with --resume.",
    "du": "Sum up what directories hold.",
    "find": "Find files by name, type, size, time.",
    "ls": "List directories, with -R trees.",
    "rm": "Remove files and trees.",
    "stat": "Show all that is known of a file.",
    "sync": "Make one directory equal to another.",
    "tar": "Make, list and extract archives.",
    "unpack": "Extract zip, tar, tar.gz and tar.zst, many at once.",
}
"""Which there are, each with what it does."""


def command_path(name: str) -> Path:
    """Where the executable of a command is. Raises Unsupported where it is not installed."""
    program = f"madang-{name}"
    folders = (sysconfig.get_path("scripts"), Path(sys.executable).parent)
    for folder in folders:
        if (path := Path(folder) / program).is_file():
            return path
    if found := shutil.which(program):
        return Path(found)
    raise Unsupported(
        f"the command {program} is not installed: it comes with madang-native",
        hint="Install it: pip install madang-native, or ./native from a clone.",
    )
