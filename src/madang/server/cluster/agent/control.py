"""Calling control."""

from __future__ import annotations

import aiohttp

from madang.core.errors import Unavailable
from madang.server.cluster.codec import from_json, to_json
from madang.server.cluster.protocol import NodeOrders, NodeReport
from madang.server.paths import StatePaths

_ANSWER_TIMEOUT_S = 10.0


class ControlClient:
    """The agent's half of the protocol, over control's Unix socket."""

    def __init__(self, paths: StatePaths, node: str) -> None:
        self._path = str(paths.control_socket)
        self._url = f"http://control/internal/v1/nodes/{node}/sync"
        self._headers = {"Authorization": f"Bearer {paths.secret('node').hex()}"}
        self._session: aiohttp.ClientSession | None = None

    async def sync(self, report: NodeReport) -> NodeOrders:
        """Raises Unavailable when control is away or answers with an error."""
        timeout = aiohttp.ClientTimeout(total=report.wait_s + _ANSWER_TIMEOUT_S)
        try:
            async with self._connected().post(
                self._url, json=to_json(report), headers=self._headers, timeout=timeout
            ) as response:
                if response.status != 200:
                    said = (await response.text())[:200]
                    raise Unavailable(f"control answered {response.status}: {said}")
                return from_json(NodeOrders, await response.json())
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            cause = str(error) or type(error).__name__
            raise Unavailable(f"control does not answer: {cause}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(self._path))
        return self._session
