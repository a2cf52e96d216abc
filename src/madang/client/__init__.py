"""The Python SDK.

    from madang.client import Client

    with Client() as client:
        for project in client.projects.iterate():
            print(project.name)

`Client` and `AsyncClient` have the same resources and methods. Errors are those of
`madang.core.errors`, whether the server or the connection failed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from madang.client._async.client import AsyncClient
    from madang.client._sync.client import Client

__all__ = ["AsyncClient", "Client"]

_MODULES = {
    "AsyncClient": "madang.client._async.client",
    "Client": "madang.client._sync.client",
}


def __getattr__(name: str) -> Any:
    """Load the one of the two clients that is asked for: nobody needs both."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _load_httpx()
    return getattr(import_module(_MODULES[name]), name)


def _load_httpx() -> None:
    # httpx loads its own command line, with all of rich and pygments, wherever it can: that would
    # be a third of what a short `madang` command takes.
    absent = "httpx._main" not in sys.modules
    if absent:
        sys.modules["httpx._main"] = None  # type: ignore[assignment]
    try:
        import httpx  # noqa: F401
    finally:
        if absent:
            del sys.modules["httpx._main"]
