"""What every page stands in: the rail, the top bar, title and state sentence, errors in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from html import escape

from fastapi import Request
from fastapi.responses import Response
from nicegui import ui

from madang.core.errors import Forbidden, MadangError, NotFound
from madang.server.portal.components import html, note
from madang.server.portal.session import PortalSession, open_session

SECTIONS = (
    ("/", "Home"),
    ("/jobs", "Jobs"),
    ("/data", "Data"),
    ("/models", "Models"),
    ("/endpoints", "Endpoints"),
)

Build = Callable[[PortalSession], Awaitable[None]]

HEAD = (
    '<link rel="stylesheet" href="/portal-static/theme.css">'
    '<script defer src="/portal-static/portal.js"></script>'
    '<meta name="color-scheme" content="light dark">'
)


def page(path: str, *, title: str, section: str) -> Callable[[Build], Build]:
    """Registers a page: `build(session)` fills the space below the top bar.

    Errors of the client become a panel with the way out; nobody sees a traceback.
    """

    def register(build: Build) -> Build:
        @ui.page(path, title=f"{title} · Madang", response_timeout=20)
        async def show(request: Request) -> Response | None:
            session = await open_session(request)
            if isinstance(session, Response):
                return session
            ui.context.client.on_delete(session.client.aclose)
            ui.add_head_html(HEAD)
            ui.colors(primary="#1F6F5C")
            with _frame(session, section):
                try:
                    await build(session)
                except MadangError as error:
                    problem_panel(session, error)
            return None

        return build

    return register


@contextmanager
def _frame(session: PortalSession, section: str) -> Iterator[None]:
    html(f'<a class="skip" href="#page">{escape(session.say("Skip to the page"))}</a>')
    with ui.element("div").classes("m-app"):
        html(_rail(session, section), tag="nav").classes("m-rail").props(
            f'aria-label="{escape(session.say("Sections"))}"'
        )
        with ui.element("div").classes("m-main"):
            html(_top_bar(session), tag="header").classes("m-top")
            with ui.element("main").classes("m-page").props('id="page"'):
                yield


def _rail(session: PortalSession, section: str) -> str:
    links = "".join(
        f'<a class="m-nav" href="{path}"{_current(path == section)}>{escape(session.say(name))}</a>'
        for path, name in SECTIONS
    )
    return f'<a class="m-brand" href="/">Madang <small>마당</small></a>{links}'


def _top_bar(session: PortalSession) -> str:
    say = session.say
    projects = "".join(
        f"<option{' selected' if project.name == session.project else ''}>"
        f"{escape(project.name)}</option>"
        for project in session.login.projects
    )
    labels = f'data-goto="{escape(say("Go to…"))}" data-none="{escape(say("Nothing found."))}"'
    other, code = ("English", "en") if session.language == "ko" else ("한국어", "ko")
    return (
        f'<select class="m-select" aria-label="{escape(say("Project"))}" '
        f'onchange="madang.setProject(this.value)">{projects}</select>'
        f'<button class="m-button" id="palette" {labels} onclick="madang.palette()">'
        f"{escape(say('Search'))} <kbd>Ctrl K</kbd></button>"
        '<span class="grow"></span>'
        f'<button class="m-button quiet" onclick="madang.setLanguage(\'{code}\')">{other}</button>'
        f'<button class="m-button quiet" onclick="madang.toggleTheme()">'
        f"{escape(say('Theme'))}</button>"
        f'<span class="m-muted">{escape(session.login.user.name)}</span>'
        f'<button class="m-button quiet" data-csrf="{escape(session.csrf)}" id="logout" '
        f'onclick="madang.logout()">{escape(say("Log out"))}</button>'
    )


@contextmanager
def header(title: str, sentence: str = "") -> Iterator[None]:
    """Title and one sentence of state; what is built inside stands at the right."""
    with ui.element("div").classes("m-head"):
        html(f"<h1>{escape(title)}</h1><p>{escape(sentence)}</p>").classes("grow")
        yield


def problem_panel(session: PortalSession, error: MadangError) -> None:
    """An error in the place of what could not be shown."""
    if isinstance(error, Forbidden):
        title = session.say("You may not see this")
    elif isinstance(error, NotFound):
        title = session.say("There is nothing here")
    else:
        title = session.say("This could not be loaded")
    note(title, str(error), kind="problem", action=(session.say("Try again"), session.link()))


def _current(is_current: bool) -> str:
    return ' aria-current="page"' if is_current else ""
