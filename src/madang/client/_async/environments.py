"""Environments: named, versioned sets of packages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from urllib.parse import quote

from madang.client._async._base import AsyncResource
from madang.core.errors import Conflict
from madang.schemas import Page
from madang.schemas.environments import Environment, EnvironmentLog

_POLL_S = 20


class AsyncEnvironments(AsyncResource):
    """`client.environments`: what tasks run in. An environment is meant by its name (the newest
    version), `name@version` or id; `project` is the client's when left out."""

    async def list(
        self,
        *,
        project: str | None = None,
        name: str | None = None,
        state: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Environment]:
        """One page of the environments that you see, newest first."""
        params = {
            "project": project or self._project,
            "name": name,
            "state": state,
            "limit": limit,
            "cursor": cursor,
        }
        return await self._transport.call(Page[Environment], "GET", "environments", params=params)

    async def iterate(
        self, *, project: str | None = None, name: str | None = None, state: str | None = None
    ) -> AsyncIterator[Environment]:
        """All environments that you see, fetched page by page."""
        cursor = None
        while True:
            page = await self.list(
                project=project, name=name, state=state, limit=200, cursor=cursor
            )
            for environment in page.items:
                yield environment
            if (cursor := page.next_cursor) is None:
                return

    async def create(
        self,
        name: str,
        packages: Sequence[str],
        *,
        python: str | None = None,
        project: str | None = None,
    ) -> Environment:
        """Ask for an environment, e.g. `create("vision", ["torch==2.13.0", "pillow"])`.

        Returns at once, `state` says how far it is (see `wait`). The same content again is the
        same version, new content the next one. Raises InvalidInput for options and addresses.
        """
        body = {
            "name": name,
            "packages": [*packages],
            "python": python,
            "project": project or self._project,
        }
        return await self._transport.call(Environment, "POST", "environments", json=body)

    async def get(self, environment: str, *, project: str | None = None) -> Environment:
        """One environment. Raises NotFound."""
        return await self._transport.call(
            Environment, "GET", _path(environment), params=self._in(project)
        )

    async def log(
        self,
        environment: str,
        *,
        offset: int = 0,
        wait_s: float = 0,
        project: str | None = None,
    ) -> EnvironmentLog:
        """What its build said from `offset` on; waits up to `wait_s` seconds (30) for more."""
        params = self._in(project) | {"offset": offset, "wait_s": wait_s}
        return await self._transport.call(
            EnvironmentLog, "GET", f"{_path(environment)}/log", params=params
        )

    async def wait(
        self,
        environment: str,
        *,
        on_output: Callable[[str], None] | None = None,
        project: str | None = None,
    ) -> Environment:
        """Wait until it is built; `on_output` is handed what the builder says meanwhile.

        Raises Conflict when the build fails, with the resolver's message unless `on_output` was
        handed it.
        """
        found = await self.get(environment, project=project)
        offset, said = 0, ""
        while found.state == "building":
            part = await self.log(found.id, offset=offset, wait_s=_POLL_S)
            offset = part.next_offset
            if on_output and part.text:
                on_output(part.text)
                said += part.text
            found = await self.get(found.id)
        if found.state == "failed":
            raise _build_error(found, said)
        return found

    async def retry(self, environment: str, *, project: str | None = None) -> Environment:
        """Build one again that failed. Raises Conflict when it is ready."""
        return await self._transport.call(
            Environment, "POST", f"{_path(environment)}/retry", params=self._in(project)
        )

    async def remove(self, environment: str, *, project: str | None = None) -> None:
        """Remove a version. Raises Conflict while something that runs uses it."""
        await self._transport.request(
            "DELETE", f"/api/v1/{_path(environment)}", params=self._in(project)
        )

    def _in(self, project: str | None) -> dict[str, str | float | None]:
        return {"project": project or self._project}


def _path(environment: str) -> str:
    return f"environments/{quote(environment, safe='@')}"


def _build_error(failed: Environment, said: str) -> Conflict:
    """Why it failed, unless that was shown already, and what can help."""
    error = (failed.error or "").strip().rstrip(".")
    last_line = error.splitlines()[-1] if error else ""
    cause = "" if not error or last_line in said else f": {error}"
    hint = f"`madang environment retry {failed.ref}` tries again."
    if "No solution found" in error:
        hint = "The same again fails again: ask for other packages, or other versions of them."
    return Conflict(f"environment {failed.ref} could not be built{cause}", hint=hint)
