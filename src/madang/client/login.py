"""Logging in from a program: what `madang login` does."""

from __future__ import annotations

import socket
from typing import Any

import httpx

from madang.client._convert import from_json
from madang.client._http import TIMEOUT, connection_error, default_headers, error_of, trust_of
from madang.client.config import ClientConfig
from madang.schemas.auth import LoginSession
from madang.schemas.tokens import TokenCreated


def log_in(url: str, name: str, password: str, *, ca_file: str = "") -> ClientConfig:
    """A configuration with a new token for name and password; `save_config` writes it.

    Raises Unauthenticated, RateLimited, ConnectionFailed.
    """
    config = ClientConfig(url.rstrip("/"), "", ca_file=ca_file)
    token_name = f"madang login on {socket.gethostname()}"[:100]
    body = {"name": name, "password": password, "token_name": token_name}
    created = _ask(config, "POST", "/api/v1/auth/token", TokenCreated, body)
    return log_in_by_token(url, created.secret, ca_file=ca_file)


def log_in_by_token(url: str, token: str, *, ca_file: str = "") -> ClientConfig:
    """A configuration with a token that exists, once the platform has accepted it."""
    config = ClientConfig(url.rstrip("/"), token, ca_file=ca_file)
    session = _ask(config, "GET", "/api/v1/auth/session", LoginSession)
    return ClientConfig(config.url, token, session.gateway_url, ca_file=ca_file)


def _ask(config: ClientConfig, method: str, path: str, target: Any, body: Any = None) -> Any:
    with httpx.Client(
        base_url=config.url,
        headers=default_headers(config.token),
        timeout=TIMEOUT,
        verify=trust_of(config),
    ) as client:
        try:
            response = client.request(method, path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise connection_error(config.url, error) from None
    if response.is_error:
        raise error_of(response)
    return from_json(target, response.json())
