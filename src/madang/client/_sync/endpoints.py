# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Endpoints: models that answer requests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Callable, Mapping
from typing import Any
from urllib.parse import quote

from madang.client._sync._base import Resource
from madang.client._inference import outputs_of, request_of
from madang.core.errors import MadangError, Unavailable
from madang.schemas import Page
from madang.schemas.endpoints import Endpoint, EndpointState, Ticket
from madang.schemas.jobs import JobLog

_PAUSES_S = (0.05, 0.1, 0.2, 0.5)


class Endpoints(Resource):
    """`client.endpoints`: model versions that answer the Open Inference Protocol."""

    def list(
        self, *, project: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Endpoint]:
        """One page of the endpoints that you see, newest first."""
        params = {"project": project or self._project, "limit": limit, "cursor": cursor}
        return self._transport.call(Page[Endpoint], "GET", "endpoints", params=params)

    def iterate(self, *, project: str | None = None) -> Iterator[Endpoint]:
        """All endpoints that you see, fetched page by page."""
        cursor = None
        while True:
            page = self.list(project=project, limit=200, cursor=cursor)
            for endpoint in page.items:
                yield endpoint
            if (cursor := page.next_cursor) is None:
                return

    def get(self, endpoint: str, *, project: str | None = None) -> Endpoint:
        """One endpoint, by name or id. Raises NotFound."""
        return self._transport.call(
            Endpoint, "GET", f"endpoints/{quote(endpoint, safe='')}", params=self._in(project)
        )

    def deploy(
        self,
        name: str,
        model: str,
        *,
        environment: str = "",
        resources: Mapping[str, str | int | float] | None = None,
        replicas: int = 1,
        project: str | None = None,
    ) -> Endpoint:
        """Have an endpoint answer with a model version such as `digits/3` or `digits@champion`.

        Returns at once; `wait` waits until it is ready. An existing endpoint goes on with what it
        has until then. Without `environment` that of the training job is taken.
        """
        body = {
            "name": name,
            "model": model,
            "environment": environment,
            "resources": dict(resources or {}),
            "replicas": replicas,
            "project": project or self._project,
        }
        return self._transport.call(Endpoint, "POST", "endpoints", json=body)

    def wait(
        self,
        endpoint: str,
        *,
        project: str | None = None,
        timeout_s: float = 600.0,
        on_change: Callable[[Endpoint], None] | None = None,
    ) -> Endpoint:
        """Wait until the wanted revision answers; `on_change` is told how it is, as that changes.

        Raises MadangError with the reason when it has failed, Unavailable after `timeout_s`.
        """
        waited_s, tries, told = 0.0, 0, ""
        while True:
            found = self.get(endpoint, project=project)
            if on_change is not None and found.message != told:
                told = found.message
                on_change(found)
            if found.state == EndpointState.READY:
                return found
            if (
                found.state in (EndpointState.FAILED, EndpointState.STOPPED)
                or "failed:" in found.message
            ):
                raise MadangError(
                    f"endpoint {endpoint} {found.message}",
                    hint=f"`madang endpoint logs {endpoint}` shows what its process said.",
                )
            if waited_s >= timeout_s:
                raise Unavailable(
                    f"endpoint {endpoint} is not ready after {timeout_s:g} s: {found.message}"
                )
            pause_s = _PAUSES_S[min(tries, len(_PAUSES_S) - 1)]
            time.sleep(pause_s)
            waited_s, tries = waited_s + pause_s, tries + 1

    def delete(self, endpoint: str, *, project: str | None = None) -> None:
        """Stop an endpoint and forget it. Raises NotFound."""
        self._transport.request(
            "DELETE",
            f"/api/v1/endpoints/{quote(endpoint, safe='')}",
            params=self._in(project),
        )

    def infer(
        self, endpoint: str, inputs: Any, *, project: str | None = None
    ) -> dict[str, Any]:
        """Ask the model: `infer("digits", images)` → `{"output-0": array}`.

        `inputs` is an array for the only input, or arrays by name; they are converted to what the
        model takes. Raises InvalidInput when the model refuses them.
        """
        found = self.get(endpoint, project=project)
        model = f"{found.url}/v2/models/{quote(found.revision.model_name, safe='')}"
        metadata = (self._transport.request("GET", model)).json()
        body = request_of(inputs, metadata)
        answer = self._transport.request("POST", f"{model}/infer", json=body)
        return outputs_of(answer.json())

    def invoke(
        self, endpoint: str, request: Mapping[str, Any], *, project: str | None = None
    ) -> dict[str, Any]:
        """Send a request of the Open Inference Protocol as it is; the answer as it is."""
        found = self.get(endpoint, project=project)
        model = f"{found.url}/v2/models/{quote(found.revision.model_name, safe='')}"
        answer = self._transport.request("POST", f"{model}/infer", json=dict(request))
        result: dict[str, Any] = answer.json()
        return result

    def log(self, endpoint: str, *, replica: int = 0, project: str | None = None) -> JobLog:
        """What a replica of the wanted revision has written so far."""
        found = self.get(endpoint, project=project)
        return self._transport.call(
            JobLog, "GET", f"jobs/{found.revision.workload_id}/logs", params={"rank": replica}
        )

    def ticket(
        self, endpoint: str, *, project: str | None = None, ttl_s: float = 60.0
    ) -> Ticket:
        """A short-lived word for `?ticket=`, with which a browser can use the endpoint."""
        body = {
            "resource": "endpoint",
            "name": endpoint,
            "project": project or self._project,
            "ttl_s": ttl_s,
        }
        return self._transport.call(Ticket, "POST", "tickets", json=body)

    def _in(self, project: str | None) -> dict[str, str | None]:
        return {"project": project or self._project}
