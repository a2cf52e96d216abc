"""A websocket through the gateway while control is killed and starts again."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence

import aiohttp
import psutil
from sqlalchemy import select

from bench.figures import Figure
from bench.installation import Platform
from madang.core.resources import Resources
from madang.core.settings import Settings
from madang.core.states import WorkloadKind
from madang.server.context import ServerContext
from madang.server.identity.tables import ProjectRow
from madang.server.identity.tokens import authenticate_token
from madang.server.workloads import service
from madang.server.workloads.spec import RoleSpec, WorkloadSpec

DEATHS = 5
PORT = 7000

ECHO = """
import base64, hashlib, socketserver, sys
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        head = {}
        while (line := self.rfile.readline().strip()):
            name, _, value = line.partition(b":")
            head[name.lower()] = value.strip()
        key = head.get(b"sec-websocket-key")
        if key is None:
            self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
            return
        word = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n"
            b"Connection: Upgrade\\r\\nSec-WebSocket-Accept: " + base64.b64encode(word)
            + b"\\r\\n\\r\\n"
        )
        while (begin := self.rfile.read(2)):
            size = begin[1] & 127
            mask, masked = self.rfile.read(4), self.rfile.read(size)
            text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))
            self.wfile.write(bytes([begin[0], size]) + text)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""


def websocket() -> Sequence[Figure]:
    """Opened once; an echo is asked for on and on while control dies, is away and comes back."""
    with Platform.started() as platform:
        asyncio.run(_start_echo(platform))
        _kill_control(platform)  # it reads what we wrote into its database when it starts again
        longest_s, echoes = asyncio.run(_echo_while_control_dies(platform))
    return [
        Figure("websocket through the gateway: longest wait for an echo", longest_s, "s",
               at_most=1, note=f"{echoes} echoes while control was killed {DEATHS} times"),
    ]  # fmt: skip


async def _start_echo(platform: Platform) -> None:
    context = ServerContext.from_settings(Settings(state_dir=platform.state_dir))
    principal = await authenticate_token(context, platform.config.token)
    async with context.db.read() as session:
        project = await session.scalar(select(ProjectRow.id).limit(1))
    assert project is not None
    role = RoleSpec(
        command=("python3", "-c", ECHO, str(PORT)),
        app_port=PORT,
        ready_path="/",
        resources=Resources.parse({"cpu": "0.1", "memory": "128MiB"}),
    )
    spec = WorkloadSpec(
        kind=WorkloadKind.SERVICE,
        name="echo",
        project_id=project,
        user_id=principal.user_id,
        roles=(role,),
    )
    await service.submit(context, principal, spec)
    await context.close()


async def _echo_while_control_dies(platform: Platform) -> tuple[float, int]:
    task = await _ready_task(platform)
    gateway = platform.config.gateway_url
    headers = {"Authorization": f"Bearer {platform.config.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{gateway}/apps/{task}/echo") as socket,
    ):
        deaths = asyncio.create_task(_let_control_die(platform))
        longest_s = 0.0
        for number in itertools.count():
            began = time.perf_counter()
            await socket.send_str(f"echo {number}")
            assert await socket.receive_str(timeout=10) == f"echo {number}"
            longest_s = max(longest_s, time.perf_counter() - began)
            if deaths.done():
                await deaths
                return longest_s, number + 1
            await asyncio.sleep(0.005)
    raise AssertionError("unreachable")


async def _ready_task(platform: Platform) -> str:
    context = ServerContext.from_settings(Settings(state_dir=platform.state_dir))
    async with asyncio.timeout(60):
        while True:
            async with context.db.read() as session:
                if apps := await service.live_apps(session):
                    break
            await asyncio.sleep(0.1)
    await context.close()
    await asyncio.sleep(1)  # until the gateway has learned of it
    return apps[0].task_id


async def _let_control_die(platform: Platform) -> None:
    for _ in range(DEATHS):
        await asyncio.to_thread(_kill_control, platform)
        await asyncio.to_thread(_wait_for_control, platform)
        await asyncio.sleep(0.5)


def _kill_control(platform: Platform) -> None:
    process: psutil.Process | None = None
    while process is None:
        process = platform.processes().get("control")
        time.sleep(0.05)
    process.kill()
    process.wait()


def _wait_for_control(platform: Platform) -> None:
    with platform.client() as client:
        client.nodes.list()  # waits: the supervisor holds the listening sockets
