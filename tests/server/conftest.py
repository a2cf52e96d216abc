"""The servers' circumstances."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from madang.server.paths import SERVER_UMASK


@pytest.fixture(autouse=True)
def _umask_of_the_servers() -> Iterator[None]:
    """What works here works under the umask that the servers have."""
    before = os.umask(SERVER_UMASK)
    yield
    os.umask(before)
