"""Routes of one's API tokens."""

from __future__ import annotations

from fastapi import APIRouter

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.tokens import Token, TokenCreate, TokenCreated
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.identity import api_tokens
from madang.server.identity.api_tokens import OwnToken

router = APIRouter(prefix="/tokens", tags=["tokens"])


def token_of(own: OwnToken) -> Token:
    row = own.row
    return Token(
        id=row.id,
        name=row.name,
        scopes=list(row.scopes),
        project=own.project,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


@router.get("", dependencies=[permit(Permission.ACCOUNT_READ)])
async def list_tokens(context: Context, actor: Actor, paging: PagingQuery) -> Page[Token]:
    """Your tokens, newest first, revoked ones too."""
    rows = await api_tokens.list_tokens(context, actor, limit=paging.limit, cursor=paging.cursor)
    return page_of(rows, paging, token_of, lambda own: own.row.id)


@router.post("", status_code=201, dependencies=[permit(Permission.ACCOUNT_WRITE)])
async def create_token(body: TokenCreate, context: Context, actor: Actor) -> TokenCreated:
    """Make a token; its secret is in this answer and nowhere else."""
    made, word = await api_tokens.create_token(
        context, actor, body.name, scopes=body.scopes, project=body.project, days=body.days
    )
    return TokenCreated(token_of(made), word)


@router.delete("/{token}", status_code=204, dependencies=[permit(Permission.ACCOUNT_WRITE)])
async def revoke_token(token: str, context: Context, actor: Actor) -> None:
    """End a token, by name or id, at once."""
    await api_tokens.revoke_token(context, actor, token)
