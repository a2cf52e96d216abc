"""Waiting for an environment, and what is said when it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from madang.client import Client
from madang.core.errors import Conflict

UNSOLVABLE = "error: No solution found when resolving dependencies\n  cause: no nosuch==9."


def client_of(error: str, log: str) -> Client:
    """A platform on which a build has just begun, says `log` and fails with `error`."""
    states = iter(["building", "failed"])

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/log"):
            found: dict[str, Any] = {"text": log, "next_offset": len(log), "complete": True}
        else:
            found = {
                "id": "env-1",
                "name": "broken",
                "version": 1,
                "ref": "broken@1",
                "state": next(states),
                "error": error,
            }
        return httpx.Response(200, text=json.dumps(found))

    return Client("http://x", "t", project="p", transport=httpx.MockTransport(answer))


def failure(error: str, log: str = "", show: Callable[[str], None] | None = None) -> Conflict:
    with client_of(error, log) as client, pytest.raises(Conflict) as caught:
        client.environments.wait("env-1", on_output=show)
    return caught.value


def test_the_resolvers_message_is_told_once() -> None:
    shown: list[str] = []
    told = failure(UNSOLVABLE, f"{UNSOLVABLE}\n", shown.append)
    assert told.message == "environment broken@1 could not be built"
    assert "".join(shown).count("nosuch==9") == 1
    assert failure(UNSOLVABLE).message.endswith("cause: no nosuch==9")


def test_trying_again_is_proposed_where_it_can_help() -> None:
    assert "other packages" in str(failure(UNSOLVABLE).hint)
    disk = failure("the disk that holds /x is full", "Resolved 3 packages\n", lambda text: None)
    assert disk.message.endswith("could not be built: the disk that holds /x is full")
    assert "environment retry broken@1" in str(disk.hint)
