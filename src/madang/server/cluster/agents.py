"""Asking a node's agent for what control does not keep: logs."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from madang.core.errors import NotFound, Unavailable
from madang.server.context import ServerContext

_PART = "cluster.agents"
_SPARE_S = 10.0


@dataclass(frozen=True, slots=True)
class LogPart:
    """Bytes of a log that begin at `offset`; `ended`: there will be no more after them."""

    offset: int
    data: bytes
    ended: bool

    @property
    def next_offset(self) -> int:
        return self.offset + len(self.data)


class AgentClient:
    """The agent of this machine, over its Unix socket."""

    def __init__(self, socket: str) -> None:
        # Without `verify` certificates would be loaded, which takes a tenth of a second.
        transport = httpx.AsyncHTTPTransport(verify=False, uds=socket, limits=httpx.Limits())
        self._http = httpx.AsyncClient(
            transport=transport, base_url="http://agent", verify=False, trust_env=False
        )

    @classmethod
    def of(cls, context: ServerContext) -> AgentClient:
        """The one of this process."""
        if _PART not in context.parts:
            context.parts[_PART] = cls(str(context.paths.agent_socket))
        client: AgentClient = context.parts[_PART]
        return client

    async def read_log(
        self, task_id: str, offset: int, *, limit: int = 1 << 18, wait_s: float = 0.0
    ) -> LogPart:
        """A part of a task's log; waits up to `wait_s` for the first byte after `offset`. What
        was rotated away is passed over. Raises NotFound for a task that the node does not know
        (yet), Unavailable while the agent is away."""
        try:
            answer = await self._http.get(
                f"/v1/tasks/{task_id}/log",
                params={"offset": offset, "limit": limit, "wait_s": wait_s},
                timeout=wait_s + _SPARE_S,
            )
        except httpx.HTTPError as error:
            raise Unavailable(
                "the node's agent does not answer, so that its logs can't be read",
                hint="`madang up` starts it again.",
            ) from error
        if answer.status_code == 404:
            raise NotFound(f"the node has no log of {task_id}")
        if answer.is_error:
            raise Unavailable(f"the node's agent answered {answer.status_code}")
        return LogPart(
            int(answer.headers["X-Log-Offset"]),
            answer.content,
            answer.headers["X-Log-Ended"] == "1",
        )

    async def aclose(self) -> None:
        await self._http.aclose()
