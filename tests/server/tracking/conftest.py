"""A server on a port of its own, for MLflow's ordinary client, which talks with sockets."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from madang.core.clock import SystemClock
from madang.server.api.app import create_app
from madang.server.context import ServerContext
from tests.conftest import People, make_context, make_people

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"


@dataclass
class TrackingServer:
    """Runs the API in a thread; its people are those of `tests.conftest`."""

    state_dir: Path
    database: str
    url: str = ""
    people: People = field(init=False)
    context: ServerContext = field(init=False)
    loop: asyncio.AbstractEventLoop = field(init=False)

    def run(self, ready: threading.Event) -> None:
        asyncio.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self.context = await make_context(self.state_dir, self.database, SystemClock())
        self.people = await make_people(self.context)
        config = uvicorn.Config(
            create_app(self.context), host="127.0.0.1", port=0, log_level="error", lifespan="off"
        )
        self.server = uvicorn.Server(config)
        serving = asyncio.create_task(self.server.serve())
        while not self.server.started:
            await asyncio.sleep(0.01)
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"
        ready.set()
        await serving
        await self.context.close()

    def call(self, use_case: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Run a coroutine function in the server's own loop."""
        coroutine = use_case(self.context, *arguments, **options)
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=60)


@pytest.fixture(scope="session", params=["sqlite", pytest.param("pg", marks=pytest.mark.postgres)])
def tracking_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrackingServer]:
    database = "sqlite"
    if request.param == "pg":
        database = request.getfixturevalue("postgres_server").create_database()
    server = TrackingServer(tmp_path_factory.mktemp("tracking") / "state", database)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(ready,), daemon=True)
    thread.start()
    assert ready.wait(timeout=60), "the server did not start"
    yield server
    server.server.should_exit = True
    thread.join(timeout=30)


@pytest.fixture
def mlflow(tracking_server: TrackingServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The `mlflow` package, logged in as `member` of the project `vision`."""
    module = pytest.importorskip("mlflow", reason="mlflow-skinny is a development dependency")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", tracking_server.people.tokens["member"])
    module.set_tracking_uri(tracking_server.url)
    module.set_registry_uri(tracking_server.url)
    yield module
    while module.active_run():
        module.end_run()
    module.tracking.fluent._active_experiment_id = None


@pytest.fixture
def unique() -> str:
    """A name that no other test uses: the server is shared."""
    return f"n{uuid.uuid4().hex[:10]}"
