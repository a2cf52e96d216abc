"""All of serving at once: control over HTTP, the gateway, a replica process's own server."""

from __future__ import annotations

import asyncio
import json
import pickle
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from madang.client import AsyncClient
from madang.client.config import ClientConfig
from madang.core.errors import InvalidInput, NotFound, Unavailable
from madang.runtimes.app import ModelApp
from madang.runtimes.http1 import Server
from madang.runtimes.signature import read_model_folder
from madang.schemas.endpoints import EndpointState
from madang.server.http import serve
from madang.server.serving.gateway.serve import running_gateway
from tests.runtimes.conftest import ROWS, SUMS
from tests.runtimes.fake_models import RowSums
from tests.server.serving.conftest import Served


def saved_model(folder: Path) -> Path:
    (folder / "model.pkl").write_bytes(pickle.dumps(RowSums()))
    flavor = {"pickled_model": "model.pkl", "serialization_format": "pickle"}
    signature = {"inputs": json.dumps(ROWS), "outputs": json.dumps(SUMS)}
    described = {"flavors": {"sklearn": flavor}, "signature": signature}
    (folder / "MLmodel").write_text(json.dumps(described))
    return folder


@asynccontextmanager
async def replica_at(path: str, model: Path) -> AsyncIterator[None]:
    """A replica's server, reached through a Unix socket as the shim makes it."""
    app = ModelApp("digits", "1")
    app.load(read_model_folder(model))
    server = Server(("127.0.0.1", 0), app.handle, max_body_bytes=1 << 20)
    thread = threading.Thread(target=server.serve)
    thread.start()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside_reader, inside_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(_copy(reader, inside_writer), _copy(inside_reader, writer))

    relay = await asyncio.start_unix_server(pipe, path)
    try:
        yield
    finally:
        relay.close()
        server.stop()
        await asyncio.to_thread(thread.join)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
    writer.close()


@pytest.fixture
async def client(served: Served) -> AsyncIterator[AsyncClient]:
    """A client of `member`, talking to control and the gateway over TCP."""
    context = served.context
    listeners = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
    listeners[1].bind(str(context.paths.control_socket))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serve(served.people.app, listeners, context.settings))
        free = replace(context.settings, gateway_port=0)
        port = await stack.enter_async_context(running_gateway(free))
        context.settings = replace(context.settings, gateway_port=port)
        url = f"http://127.0.0.1:{listeners[0].getsockname()[1]}"
        config = ClientConfig(url, served.people.tokens["member"], project="vision")
        yield await stack.enter_async_context(AsyncClient.from_config(config))


async def test_from_a_model_to_its_answers(
    served: Served, client: AsyncClient, tmp_path: Path
) -> None:
    endpoint = await client.endpoints.deploy("digits", "digits/1", environment="vision")
    assert endpoint.state is EndpointState.STARTING
    with pytest.raises(Unavailable, match="has no ready replica"):
        await client.endpoints.infer("digits", [[1, 2, 3]])
    view = await served.get()
    while not (tasks := await served.live_tasks(view.target.workload_id)):
        await asyncio.sleep(0.01)
    async with replica_at(tasks[0].app_socket, saved_model(tmp_path)):
        await served.make_ready(view)
        endpoint = await client.endpoints.wait("digits", timeout_s=10)
        assert endpoint.message == "ready: 1 of 1 replica"
        answer = await client.endpoints.infer("digits", np.array([[1, 2, 3], [4, 5, 6.5]]))
        assert answer["output-0"].tolist() == [6.0, 15.5]
        request = {
            "inputs": [{"name": "input-0", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}]
        }
        raw = await client.endpoints.invoke("digits", request)
        assert raw["outputs"][0]["data"] == [6.0]
        with pytest.raises(InvalidInput, match="the model takes"):
            await client.endpoints.infer("digits", [1.0, 2.0])
        await with_a_ticket(client, endpoint.url)
        assert [item.name for item in (await client.endpoints.list()).items] == ["digits"]
        assert [item.name async for item in client.endpoints.iterate()] == ["digits"]
    await client.endpoints.delete("digits")
    with pytest.raises(NotFound):
        await client.endpoints.infer("digits", [[1, 2, 3]])


async def with_a_ticket(client: AsyncClient, url: str) -> None:
    ticket = await client.endpoints.ticket("digits")
    async with aiohttp.ClientSession() as browser:
        async with browser.get(f"{url}/v2", params={"ticket": ticket.ticket}) as answer:
            assert (await answer.json())["name"] == "madang"
        async with browser.get(f"{url}/v2") as answer:
            assert answer.status == 401
