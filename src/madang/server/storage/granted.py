"""A right to a folder, as the gateway is given it. Nothing of the database is imported here: the
gateway's process stays small."""

from __future__ import annotations

from dataclasses import dataclass

SERVICE_NAME = ".madang"
"""In a registered directory: where uploads under way and removed files are kept, out of sight."""


@dataclass(frozen=True, slots=True)
class FolderAccess:
    """One person's right to one folder, complete: the gateway asks nothing else.

    `root` is the directory with the files, `service` the server's own directory beside (or, in
    place, below) it. New files are given to `uid` and `gid`; None keeps the server's own.
    `quota_left_bytes` is None where nothing but the disk limits her.
    """

    folder_id: str
    root: str
    service: str
    read_only: bool
    in_place: bool
    user: str
    uid: int | None = None
    gid: int | None = None
    quota_left_bytes: int | None = None
