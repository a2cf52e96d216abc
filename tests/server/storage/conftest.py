"""A folder, and the gateway's file routes over it, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from madang.core.permissions import Permission
from madang.schemas.folders import FolderAccessLevel
from madang.server.serving.grants import Grant, Resource
from madang.server.storage import file_handlers
from madang.server.storage.access import folder_access
from madang.server.storage.folders import FolderView, create_folder, folder_path
from tests.conftest import People


@dataclass
class Files:
    """The folder `data` of project `vision`, owned by `member`, with the gateway before it."""

    people: People
    view: FolderView
    root: Path
    url: str

    def client(self, name: str = "member") -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"{self.url}/files/vision/data", headers={"X-User": name}, timeout=30
        )

    @property
    def service(self) -> Path:
        return self.root.parent

    def leftovers(self) -> list[str]:
        """What is left in staging."""
        staging = self.service / "staging"
        return sorted(path.name for path in staging.iterdir()) if staging.exists() else []


def file_routes(people: People) -> list[web.RouteDef]:
    async def authorize(request: web.Request, permission: Permission, resource: Resource) -> Grant:
        context = people.context
        principal = await people.principal(request.headers.get("X-User", "member"))
        async with context.db.transaction() as session:
            access = await folder_access(
                context,
                session,
                principal,
                resource.project,
                resource.name,
                permission is Permission.FOLDERS_WRITE,
            )
        return Grant(principal.user_id, principal.name, "", access.folder_id, None, asdict(access))

    return file_handlers.routes(authorize)


@pytest.fixture
async def files(sqlite_people: People) -> AsyncIterator[Files]:
    people = sqlite_people
    member = await people.principal("member")
    view = await create_folder(people.context, member, "data", share=FolderAccessLevel.READ_WRITE)
    app = web.Application(handler_args={"handler_cancellation": True})
    app.router.add_routes(file_routes(people))
    server = TestServer(app)
    await server.start_server()
    root = folder_path(people.context, view.row)
    yield Files(people, view, root, str(server.make_url("")).rstrip("/"))
    await server.close()
