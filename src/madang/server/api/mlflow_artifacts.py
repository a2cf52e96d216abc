"""MLflow's protocol: artifacts, sent and fetched through the server (`mlflow-artifacts:`)."""

from __future__ import annotations

import mimetypes
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from madang.core.permissions import Permission
from madang.server.api import mlflow_messages as messages
from madang.server.api.deps import Context, permit
from madang.server.api.mlflow_base import Call, MlflowActor, MlflowRoute, answer
from madang.server.tracking import artifacts

router = APIRouter(route_class=MlflowRoute, prefix="/artifacts")

READ = [permit(Permission.TRACKING_READ)]
WRITE = [permit(Permission.TRACKING_WRITE)]


@router.get("", dependencies=READ)
async def list_artifacts(call: Call) -> Response:
    path = call.message.text_or_none("path") or ""
    entries = await artifacts.list_artifacts(call.context, call.actor, path.strip("/"))
    return answer({"files": messages.files(entries, "")})


@router.get("/{path:path}", dependencies=READ)
async def download_artifact(path: str, context: Context, actor: MlflowActor) -> Response:
    found = await artifacts.open_artifact(context, actor, path)
    name = path.rpartition("/")[2]
    headers = {
        "Content-Length": str(found.size_bytes),
        # People's files must never run as pages of this origin.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return StreamingResponse(found.chunks(), headers=headers, media_type=media_type)


@router.put("/{path:path}", dependencies=WRITE)
async def upload_artifact(
    path: str, request: Request, context: Context, actor: MlflowActor
) -> Response:
    await artifacts.write_artifact(context, actor, path, request.stream())
    return answer({})


@router.delete("/{path:path}", dependencies=WRITE)
async def delete_artifact(path: str, context: Context, actor: MlflowActor) -> Response:
    await artifacts.delete_artifact(context, actor, path)
    return answer({})
