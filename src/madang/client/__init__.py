"""The Python SDK.

    from madang.client import Client

    with Client() as client:
        for project in client.projects.iterate():
            print(project.name)

`Client` and `AsyncClient` have the same resources and methods. Errors are those of
`madang.core.errors`, whether the server or the connection failed.
"""

from madang.client._async.client import AsyncClient
from madang.client._sync.client import Client

__all__ = ["AsyncClient", "Client"]
