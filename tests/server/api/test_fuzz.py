"""The API called at random, from its own description: nothing that it is sent makes it fail.

Schemathesis makes requests that the OpenAPI document allows, and some that it does not allow.
Half of the ids and names in them are of things that exist, else nearly all answers were 404. The
same requests come with each run; more of them with FUZZ_EXAMPLES, others with FUZZ_SEED.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from madang.core.settings import Settings
from madang.server.api.app import create_app, declared_routes
from madang.server.context import ServerContext
from tests.conftest import People, make_context, make_people
from tests.postgres import PostgresServer
from tests.server.api import walk_data
from tests.server.api.test_permissions import CutStreams
from tests.server.api.walk import made, path_maker

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2"))
"""Requests to each operation."""
SEED = int(os.environ.get("FUZZ_SEED", "1"))
WITHIN_S = 20.0
WHO = ("member", "admin")

PINNED: dict[str, Any] = {"wait_s": 0}
"""What is not left to chance: a long poll would only wait for nobody's news. Streams are cut
after their first bytes (CutStreams)."""

AWAY = {"GET /api/v1/jobs/{job}/logs"}
"""May answer 503: there is no node's agent here to ask."""

PLACES = {"POST /api/v1/folders/register": "path"}
"""Fields that name a place on this machine: they are always the test's own folder, since what is
registered is later written to and removed from, as root perhaps."""


SETTINGS: dict[str, Any] = {
    "max_examples": EXAMPLES,
    "database": None,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate],  # what failed once may not fail again on what it has left behind
}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\0"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def resource_of(path: str) -> str:
    return path.removeprefix("/api/v1/").split("/")[0]


@cache
def operations() -> dict[str, list[Any]]:
    """The operations below /api/v1, by resource."""
    context = ServerContext.from_settings(Settings(state_dir=Path("unused")))
    description = schemathesis.openapi.from_dict(create_app(context).openapi())
    found: dict[str, list[Any]] = {}
    for result in description.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        if operation.path.startswith("/api/v1/"):
            found.setdefault(resource_of(operation.path), []).append(operation)
    return found


RESOURCES = sorted(
    {resource_of(one.path) for one in declared_routes() if one.path.startswith("/api/v1/")}
)


@cache
def mlflow_routes() -> dict[str, list[tuple[str, str]]]:
    """Method and path of MLflow's calls in a project, by what they are about."""
    found: dict[str, list[tuple[str, str]]] = {}
    for declared in declared_routes():
        path = declared.path
        if path.startswith("/projects/{project}/api/"):
            about = path.split("/api/", 1)[1].split("/")
            for method in sorted({*(declared.route.methods or ())} - {"HEAD", "OPTIONS"}):
                found.setdefault("/".join(about[1:3]), []).append((method, path))
    return found


MLFLOW_PATHS = sorted(mlflow_routes())


class Platform:
    """An installation in this process, and plain functions to call it with."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder = folder
        self._database = database
        self._runner = asyncio.Runner()
        self._installations = 0
        self._values: dict[tuple[str, str], Any] = {}

    def __enter__(self) -> Platform:
        self._runner.run(self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._people.context.close())
        self._runner.close()

    async def _begin(self) -> None:
        state_dir = self._folder / f"state-{self._installations}"
        self._installations += 1
        self._people: People = await make_people(await make_context(state_dir, self._database))

    @property
    def somewhere(self) -> str:
        place = self._folder / "place"
        place.mkdir(exist_ok=True)
        return str(place)

    def value(self, path: str, name: str) -> Any:
        """Something that exists, for a parameter or field of this name; None if there is none."""
        if (path, name) not in self._values:
            maker = path_maker(path, name)
            value = self._runner.run(made(maker, self._people)) if maker else None
            self._values[path, name] = value
        return self._values[path, name]

    def mlflow_message(self) -> dict[str, Any]:
        return self._runner.run(walk_data.mlflow_message(self._people))

    def forget_values(self) -> None:
        self._values.clear()

    def send(self, request: requests.PreparedRequest, who: str) -> httpx.Response:
        return self._runner.run(self._send(request, who))

    async def _send(self, request: requests.PreparedRequest, who: str) -> httpx.Response:
        transport = httpx.ASGITransport(CutStreams(self._people.app), raise_app_exceptions=False)
        headers = _headers(request, Authorization=f"Bearer {self._people.tokens[who]}")
        body = request.body.encode() if isinstance(request.body, str) else request.body
        assert body is None or isinstance(body, bytes)
        async with httpx.AsyncClient(transport=transport) as client, asyncio.timeout(WITHIN_S):
            return await client.request(
                str(request.method), str(request.url), headers=headers, content=body
            )


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Platform]:
    database = "sqlite"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        database = server.create_database()
    with Platform(tmp_path, database) as platform:
        yield platform


@pytest.mark.filterwarnings("ignore")  # of what makes the requests, not of ours
@pytest.mark.parametrize("resource", RESOURCES)
def test_no_request_makes_the_server_fail(resource: str, platform: Platform) -> None:
    for operation in operations().get(resource, []):
        platform.forget_values()
        _fuzz(operation, platform)


@pytest.mark.parametrize("path", MLFLOW_PATHS)
def test_no_mlflow_call_makes_the_server_fail(path: str, platform: Platform) -> None:
    """MLflow's protocol has no OpenAPI document: a good message, of which some fields are
    anything or are not there."""
    good = platform.mlflow_message()

    @seed(SEED)
    @settings(**{**SETTINGS, "max_examples": EXAMPLES * 4})
    @given(draw=st.data(), changes=st.dictionaries(st.sampled_from(sorted(good)), ANYTHING))
    def run(draw: st.DataObject, changes: dict[str, Any]) -> None:
        method, route = draw.draw(st.sampled_from(mlflow_routes()[path]))
        message = {name: value for name, value in (good | changes).items() if value is not None}
        sent: Any = {"params" if method == "GET" else "json": message}
        url = "http://madang.test" + route.replace("{project}", "vision").replace("{path}", "a/b")
        try:
            request = requests.Request(method, url, **sent).prepare()
        except (ValueError, TypeError, UnicodeError, requests.RequestException):
            return  # no HTTP client can send it
        _check_answer(platform, request, draw.draw(st.sampled_from(WHO)), route)

    run()


def _fuzz(operation: Any, platform: Platform) -> None:
    modes = [GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    cases = st.one_of([operation.as_strategy(mode) for mode in modes])

    @seed(SEED)
    @settings(**SETTINGS)
    @given(case=cases, draw=st.data())
    def run(case: Any, draw: st.DataObject) -> None:
        _check(operation, case, draw, platform)

    run()


def _check(operation: Any, case: Any, draw: st.DataObject, platform: Platform) -> None:
    method = operation.method.upper()
    key = f"{method} {operation.path}"
    for values in (case.path_parameters, case.query, case.body):
        if isinstance(values, dict):
            _use_what_exists(operation.path, values, draw, platform)
    if isinstance(case.body, dict) and key in PLACES:
        case.body[PLACES[key]] = platform.somewhere
    request = _prepared(case)
    if request is None:
        return
    answer = _check_answer(platform, request, draw.draw(st.sampled_from(WHO)), key)
    if method == "DELETE" and answer.is_success:
        platform.forget_values()


def _check_answer(
    platform: Platform, request: requests.PreparedRequest, who: str, route: str
) -> httpx.Response:
    answer = platform.send(request, who)
    allowed = (501, 503) if route in AWAY else (501,)
    assert answer.status_code < 500 or answer.status_code in allowed, (
        f"{who}: {request.method} {request.url} {request.body!r}: "
        f"{answer.status_code} {answer.text}"
    )
    return answer


def _use_what_exists(
    path: str, values: dict[str, Any], draw: st.DataObject, platform: Platform
) -> None:
    for name in [*values]:
        if name in PINNED:
            values[name] = PINNED[name]
        elif draw.draw(st.booleans()) and (known := platform.value(path, name)) is not None:
            values[name] = known


def _headers(request: requests.PreparedRequest, **ours: str) -> httpx.Headers:
    headers = httpx.Headers([*request.headers.items()])  # type: ignore[arg-type]
    headers.update(ours)
    return headers


def _prepared(case: Any) -> requests.PreparedRequest | None:
    """None for what no HTTP client can send."""
    sent = case.as_transport_kwargs(base_url="http://madang.test")
    wanted = ("method", "url", "headers", "params", "json", "data", "files", "cookies")
    try:
        request = requests.Request(**{k: sent[k] for k in wanted if k in sent}).prepare()
        httpx.Request(str(request.method), str(request.url), headers=_headers(request))
    except (ValueError, TypeError, UnicodeError, requests.RequestException, httpx.InvalidURL):
        return None
    return request
