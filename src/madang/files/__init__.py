"""Operations on many files at once, with as many requests under way as the file system takes.

The same are commands: `madang files rm`, or `madang-rm` without Python.
"""

from madang.files.archives import Archived, Extracted, Refused, archive, extract
from madang.files.batches import Batch, Batches, batches
from madang.files.changing import Changed, chmod, chown
from madang.files.copying import Copied, copy, sync
from madang.files.listing import Entry, Kind, Listing, ScanError, scan
from madang.files.removing import Removed, remove
from madang.files.run import Failure, Progress, Run
from madang.files.searching import Found, Usage, Usages, find, usage

__all__ = [
    "Archived",
    "Batch",
    "Batches",
    "Changed",
    "Copied",
    "Entry",
    "Extracted",
    "Failure",
    "Found",
    "Kind",
    "Listing",
    "Progress",
    "Refused",
    "Removed",
    "Run",
    "ScanError",
    "Usage",
    "Usages",
    "archive",
    "batches",
    "chmod",
    "chown",
    "copy",
    "extract",
    "find",
    "remove",
    "scan",
    "sync",
    "usage",
]
