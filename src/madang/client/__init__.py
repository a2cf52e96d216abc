"""The Python SDK.

    from madang.client import Client

    with Client() as client:
        for project in client.projects.iterate():
            print(project.name)

`Client` and `AsyncClient` have the same resources and methods. Errors are those of
`madang.core.errors`, whether the server or the connection failed.
"""

import sys

_absent = "httpx._main" not in sys.modules
if _absent:
    # httpx loads its own command line, with all of rich and pygments, wherever it can: that would
    # be a third of what a short `madang` command takes.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]

from madang.client._async.client import AsyncClient  # noqa: E402
from madang.client._sync.client import Client  # noqa: E402

if _absent:
    del sys.modules["httpx._main"]

__all__ = ["AsyncClient", "Client"]
