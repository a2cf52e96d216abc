"""Pages in plain HTML, which work when nothing else does: logging in, and what is not there."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from fastapi import APIRouter, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from madang.server.portal.session import language_of
from madang.server.portal.words import translate

router = APIRouter()

SHELL = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title} · Madang</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="stylesheet" href="/portal-static/theme.css">
<script src="/portal-static/theme.js"></script>{script}
</head><body><main class="m-login"><p class="m-brand">Madang <small lang="ko">마당</small></p>
{content}</main></body></html>"""

FORM = """<form id="login" class="m-card" data-failed="{failed}" data-link="{link}">
<h1>{title}</h1>
<label>{name}<input class="m-input" name="name" autocomplete="username" autofocus required></label>
<label>{password}<input class="m-input" name="password" type="password"
  autocomplete="current-password" required></label>
<p id="problem" class="m-problem" role="alert" hidden></p>
<button class="m-button primary">{title}</button>
<p class="m-muted hint">{hint}</p></form>"""


@router.get("/login", include_in_schema=False)
async def login_page(request: Request) -> HTMLResponse:
    """Name and password, or the one-time link that `madang up` prints."""
    say = _speaker(request)
    title = say("Log in")
    form = FORM.format(
        title=title,
        name=say("Name"),
        password=say("Password"),
        failed=say("The login did not work."),
        link=say("This link opens the portal once."),
        hint=say("No password yet? An administrator can give you one."),
    )
    script = '<script defer src="/portal-static/login.js"></script>'
    return _page(request, title, form, script=script)


async def not_found_page(request: Request, error: Exception) -> Response:
    """For people in words; for programs as the API does it."""
    if "text/html" not in request.headers.get("accept", "") and isinstance(error, HTTPException):
        return await http_exception_handler(request, error)
    say = _speaker(request)
    title = say("There is nothing here")
    words = say("The address {path} leads to no page.").format(path=escape(request.url.path))
    content = (
        f'<div class="m-card"><h1>{title}</h1><p class="m-muted">{words}</p>'
        f'<p><a class="m-button" href="/">{say("Home")}</a></p></div>'
    )
    return _page(request, title, content, status=404)


def _speaker(request: Request) -> Callable[[str], str]:
    language = language_of(request)

    def say(sentence: str) -> str:
        return escape(translate(language, sentence))

    return say


def _page(
    request: Request, title: str, content: str, *, script: str = "", status: int = 200
) -> HTMLResponse:
    text = SHELL.format(language=language_of(request), title=title, content=content, script=script)
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})
