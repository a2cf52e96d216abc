"""Operations on many files at once, with as many requests under way as the file system takes.

The same are commands: `madang files rm`, or `madang-rm` without Python.
"""

from madang.files.changing import Changed, chmod, chown
from madang.files.listing import Entry, Kind, Listing, ScanError, scan
from madang.files.removing import Removed, remove
from madang.files.run import Failure, Progress, Run

__all__ = [
    "Changed",
    "Entry",
    "Failure",
    "Kind",
    "Listing",
    "Progress",
    "Removed",
    "Run",
    "ScanError",
    "chmod",
    "chown",
    "remove",
    "scan",
]
