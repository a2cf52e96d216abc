# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Sending requests, and the base of all resources."""

from __future__ import annotations

import time
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
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


class Transport:
    """Talks to one platform; every resource shares it."""

    def __init__(
        self, config: ClientConfig, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.config = config
        self._http = httpx.Client(
            base_url=config.url,
            headers=default_headers(config.token),
            timeout=TIMEOUT,
            transport=transport,
            verify=trust_of(config),
        )

    def call(
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
        response = self.request(method, f"/api/v1/{path}", params=params, json=json)
        return from_json(target, response.json() if response.content else None)

    def post_once(self, target: type[T], path: str, *, json: Any) -> T:
        """Like `call`, for what must not happen twice: when the answer is lost the request is
        sent again with the same key, by which the server knows it.

        Raises as `call` does; ConnectionFailed at once when there is nobody to send it to.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        sent = False
        for pause_s in (*_AGAIN_S, None):
            try:
                response = self._http.post(f"/api/v1/{path}", json=json, headers=headers)
                break
            except ValueError as error:
                raise unsendable(error) from None
            except httpx.HTTPError as error:
                sent = sent or not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if pause_s is None or not sent:
                    raise connection_error(self.config.url, error) from None
            time.sleep(pause_s)
        if response.is_error:
            raise error_of(response)
        return from_json(target, response.json())

    def request(
        self, method: str, url: str, *, params: dict[str, Any] | None = None, **options: Any
    ) -> httpx.Response:
        """Like `call`, for any address; the answer as it is."""
        try:
            response = self._http.request(method, url, params=_query(params), **options)
        except ValueError as error:
            raise unsendable(error) from None
        except httpx.HTTPError as error:
            raise connection_error(self.config.url, error) from None
        if response.is_error:
            raise error_of(response)
        return response

    @contextmanager
    def stream(
        self, method: str, url: str, *, params: dict[str, Any] | None = None, **options: Any
    ) -> Iterator[httpx.Response]:
        """Like `request`, with the body read as it arrives."""
        try:
            with self._http.stream(
                method, url, params=_query(params), **options
            ) as response:
                if response.is_error:
                    response.read()
                    raise error_of(response)
                yield response
        except httpx.HTTPError as error:
            raise connection_error(self.config.url, error) from None

    def close(self) -> None:
        self._http.close()


def _query(params: dict[str, Any] | None) -> dict[str, Any] | None:
    """None when there are none: httpx takes an empty dict as the wish to drop a URL's query."""
    return without_none(params) or None


class Resource:
    """Base of `client.jobs`, `client.folders`…"""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def _project(self) -> str | None:
        return self._transport.config.project or None
