"""Routes of volumes."""

from __future__ import annotations

from fastapi import APIRouter

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.folders import Volume
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.identity.principal import Principal
from madang.server.storage.volume_list import VolumeInfo, list_volumes

router = APIRouter(prefix="/volumes", tags=["volumes"])


@router.get("", dependencies=[permit(Permission.FOLDERS_READ)])
async def get_volumes(context: Context, actor: Actor, paging: PagingQuery) -> Page[Volume]:
    """What folders live on, newest first."""
    found = await list_volumes(context, actor, limit=paging.limit, cursor=paging.cursor)
    return page_of(found, paging, lambda info: _volume(actor, info), lambda info: info.row.id)


def _volume(actor: Principal, info: VolumeInfo) -> Volume:
    return Volume(
        id=info.row.id,
        name=info.row.name,
        kind=info.kind,
        abilities=info.abilities,
        identity="single" if info.row.identity == "single" else "mapped",
        in_place=info.row.in_place,
        created_at=info.row.created_at,
        total_bytes=info.space.total_bytes if info.space else None,
        free_bytes=info.space.free_bytes if info.space else None,
        location=str(info.root) if actor.is_admin else None,
    )
