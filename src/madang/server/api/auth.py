"""Routes of logging in and out, and of one's own account."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from madang.core.permissions import Permission
from madang.schemas.auth import (
    LinkLoginRequest,
    LoginRequest,
    LoginSession,
    OwnProject,
    PasswordChange,
    TokenLoginRequest,
)
from madang.schemas.tokens import TokenCreated
from madang.server.api.deps import Actor, Context, check_same_origin, client_address, permit
from madang.server.api.tokens import token_of
from madang.server.api.users import user_of
from madang.server.context import ServerContext
from madang.server.identity import account, api_tokens, sessions, users
from madang.server.identity.principal import Principal
from madang.server.settings import gateway_url, portal_url

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/login")
async def log_in(
    body: LoginRequest, request: Request, response: Response, context: Context
) -> LoginSession:
    """Log in to the portal by name and password; the answer sets its cookie."""
    _check_page(request, context)
    address = client_address(request, context)
    login = await sessions.log_in(context, body.name, body.password, address)
    return await _logged_in(context, response, login)


@router.post("/link")
async def log_in_by_link(
    body: LinkLoginRequest, request: Request, response: Response, context: Context
) -> LoginSession:
    """Log in to the portal by a one-time link, which is used up; the answer sets the cookie."""
    _check_page(request, context)
    login = await sessions.log_in_by_link(context, body.link, client_address(request, context))
    return await _logged_in(context, response, login)


@router.post("/token", status_code=201)
async def log_in_for_token(
    body: TokenLoginRequest, request: Request, context: Context
) -> TokenCreated:
    """Log in by name and password for a token: what `madang login` does."""
    made, word = await api_tokens.log_in_for_token(
        context, body.name, body.password, body.token_name, client_address(request, context)
    )
    return TokenCreated(token_of(made), word)


@router.get("/session", dependencies=[permit(Permission.ACCOUNT_READ)])
async def get_session(context: Context, actor: Actor) -> LoginSession:
    """Who you are here: account, projects with your role, scopes, and the CSRF word."""
    return await _session(context, actor)


@router.post("/logout", status_code=204, dependencies=[permit(Permission.ACCOUNT_WRITE)])
async def log_out(response: Response, context: Context, actor: Actor) -> None:
    """End this login: the portal's session, or the token that the request came with."""
    await sessions.log_out(context, actor)
    response.delete_cookie(sessions.SESSION_COOKIE, path="/")


@router.put("/password", status_code=204, dependencies=[permit(Permission.ACCOUNT_WRITE)])
async def change_password(
    body: PasswordChange, request: Request, context: Context, actor: Actor
) -> None:
    """Set your own password; your other logins in the portal end."""
    await users.change_own_password(
        context,
        actor,
        current=body.current,
        new=body.new,
        address=client_address(request, context),
    )


def _check_page(request: Request, context: ServerContext) -> None:
    """A login that another page makes would log the visitor in as somebody else."""
    if "origin" in request.headers:
        check_same_origin(request, context)


async def _logged_in(
    context: ServerContext, response: Response, login: sessions.Login
) -> LoginSession:
    response.set_cookie(
        sessions.SESSION_COOKIE,
        login.word,
        max_age=int(context.settings.login_hours * 3600),
        path="/",
        httponly=True,
        samesite="lax",
        secure=portal_url(context.settings).startswith("https:"),
    )
    return await _session(context, login.principal)


async def _session(context: ServerContext, actor: Principal) -> LoginSession:
    own = await account.describe(context, actor)
    return LoginSession(
        user=user_of(own.user),
        projects=[OwnProject(row.id, row.name, actor.roles.get(row.id)) for row in own.projects],
        scopes=list(actor.scopes),
        expires_at=actor.expires_at,
        csrf=sessions.csrf_word(context, actor.session_id) if actor.session_id else "",
        gateway_url=gateway_url(context.settings),
    )
