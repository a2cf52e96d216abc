"""What a folder's quota still leaves, between two measurements of its usage."""

from __future__ import annotations

from dataclasses import dataclass, replace

from madang.server.storage.granted import FolderAccess


@dataclass(slots=True)
class _Seen:
    left_bytes: int
    written_bytes: int = 0


class QuotaLeft:
    """Takes off what went through this gateway since the usage was last measured, which shows as
    another number of bytes left. Belongs to one event loop."""

    def __init__(self) -> None:
        self._folders: dict[str, _Seen] = {}

    def adjusted(self, access: FolderAccess) -> FolderAccess:
        """The same access, with what is left now."""
        left = access.quota_left_bytes
        if left is None:
            self._folders.pop(access.folder_id, None)
            return access
        seen = self._folders.get(access.folder_id)
        if seen is None or seen.left_bytes != left:
            seen = self._folders[access.folder_id] = _Seen(left)
        return replace(access, quota_left_bytes=max(0, left - seen.written_bytes))

    def note(self, access: FolderAccess, num_bytes: int) -> None:
        """So much was written."""
        if seen := self._folders.get(access.folder_id):
            seen.written_bytes += num_bytes
