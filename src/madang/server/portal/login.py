"""The login page: plain HTML, so that it works when nothing else does."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from madang.server.portal.session import language_of
from madang.server.portal.words import translate

router = APIRouter()

PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title} · Madang</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="stylesheet" href="/portal-static/theme.css">
<script src="/portal-static/theme.js"></script>
<script defer src="/portal-static/login.js"></script>
</head><body><main class="m-login">
<p class="m-brand">Madang <small lang="ko">마당</small></p>
<form id="login" class="m-card" data-failed="{failed}" data-link="{link}">
<h1>{title}</h1>
<label>{name}<input class="m-input" name="name" autocomplete="username" autofocus required></label>
<label>{password}<input class="m-input" name="password" type="password"
  autocomplete="current-password" required></label>
<p id="problem" class="m-problem" role="alert" hidden></p>
<button class="m-button primary">{title}</button>
<p class="m-muted hint">{hint}</p>
</form></main></body></html>"""


@router.get("/login", include_in_schema=False)
async def login_page(request: Request) -> HTMLResponse:
    """Name and password, or the one-time link that `madang up` prints."""
    language = language_of(request)

    def say(sentence: str) -> str:
        return escape(translate(language, sentence))

    return HTMLResponse(
        PAGE.format(
            language=language,
            title=say("Log in"),
            name=say("Name"),
            password=say("Password"),
            failed=say("The login did not work."),
            link=say("This link opens the portal once."),
            hint=say("No password yet? An administrator can give you one."),
        ),
        headers={"Cache-Control": "no-store"},
    )
