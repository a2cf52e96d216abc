"""Operations on many files at once, with as many requests under way as the file system takes.

The same are commands: `madang files rm`, or `madang-rm` without Python.
"""

from madang.files.archives import Archived, Extracted, Refused, archive, extract
from madang.files.changing import Changed, chmod, chown
from madang.files.copying import Copied, copy, sync
from madang.files.listing import Entry, Kind, Listing, ScanError, scan
from madang.files.removing import Removed, remove
from madang.files.run import Failure, Progress, Run

__all__ = [
    "Archived",
    "Changed",
    "Copied",
    "Entry",
    "Extracted",
    "Failure",
    "Kind",
    "Listing",
    "Progress",
    "Refused",
    "Removed",
    "Run",
    "ScanError",
    "archive",
    "chmod",
    "chown",
    "copy",
    "extract",
    "remove",
    "scan",
    "sync",
]
