"""Sending requests, and the base of all resources."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx

from madang.client._convert import from_json
from madang.client._http import (
    TIMEOUT,
    connection_error,
    default_headers,
    error_of,
    trust_of,
    unsendable,
    without_none,
)
from madang.client.config import ClientConfig

T = TypeVar("T")

_AGAIN_S = (0.2, 1.0, 3.0, 5.0)


class AsyncTransport:
    """Talks to one platform; every resource shares it."""

    def __init__(
        self, config: ClientConfig, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.config = config
        self._http = httpx.AsyncClient(
            base_url=config.url,
            headers=default_headers(config.token),
            timeout=TIMEOUT,
            transport=transport,
            verify=trust_of(config),
        )

    async def call(
        self,
        target: type[T],
        method: str,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        json: Any = None,
    ) -> T:
        """Send a request to `/api/v1/PATH` and read the answer as `target`.

        Raises the MadangError that the server answered with, ConnectionFailed without an answer.
        """
        response = await self.request(method, f"/api/v1/{path}", params=params, json=json)
        return from_json(target, response.json() if response.content else None)

    async def post_once(self, target: type[T], path: str, *, json: Any) -> T:
        """Like `call`, for what must not happen twice: when the answer is lost the request is
        sent again with the same key, by which the server knows it.

        Raises as `call` does; ConnectionFailed at once when there is nobody to send it to.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        sent = False
        for pause_s in (*_AGAIN_S, None):
            try:
                response = await self._http.post(f"/api/v1/{path}", json=json, headers=headers)
                break
            except ValueError as error:
                raise unsendable(error) from None
            except httpx.HTTPError as error:
                sent = sent or not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if pause_s is None or not sent:
                    raise connection_error(self.config.url, error) from None
            await asyncio.sleep(pause_s)
        if response.is_error:
            raise error_of(response)
        return from_json(target, response.json())

    async def request(
        self, method: str, url: str, *, params: dict[str, Any] | None = None, **options: Any
    ) -> httpx.Response:
        """Like `call`, for any address; the answer as it is."""
        try:
            response = await self._http.request(method, url, params=_query(params), **options)
        except ValueError as error:
            raise unsendable(error) from None
        except httpx.HTTPError as error:
            raise connection_error(self.config.url, error) from None
        if response.is_error:
            raise error_of(response)
        return response

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, params: dict[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[httpx.Response]:
        """Like `request`, with the body read as it arrives."""
        try:
            async with self._http.stream(
                method, url, params=_query(params), **options
            ) as response:
                if response.is_error:
                    await response.aread()
                    raise error_of(response)
                yield response
        except httpx.HTTPError as error:
            raise connection_error(self.config.url, error) from None

    async def aclose(self) -> None:
        await self._http.aclose()


def _query(params: dict[str, Any] | None) -> dict[str, Any] | None:
    """None when there are none: httpx takes an empty dict as the wish to drop a URL's query."""
    return without_none(params) or None


class AsyncResource:
    """Base of `client.jobs`, `client.folders`…"""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    @property
    def _project(self) -> str | None:
        return self._transport.config.project or None
