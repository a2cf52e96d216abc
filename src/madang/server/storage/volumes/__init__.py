"""Volumes: where folders live, and what the storage below can do for them.

`Volume` is what every kind must do; abilities are mixins that a kind has or has not, asked with
`isinstance(volume, SupportsQuota)`. `open_volume` chooses the kind by the file system.
"""

from madang.server.storage.volumes.base import Owner, Space, SupportsQuota, Volume
from madang.server.storage.volumes.detect import open_volume

__all__ = ["Owner", "Space", "SupportsQuota", "Volume", "open_volume"]
