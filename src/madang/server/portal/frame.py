"""What every page stands in: the rail, the top bar, title and state sentence, errors in words."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from html import escape

from fastapi import Request
from fastapi.responses import Response
from nicegui import ui

from madang.core.errors import Forbidden, MadangError, NotFound, Unauthenticated
from madang.core.permissions import Permission
from madang.server.portal.components import html, note, sentence, with_attributes
from madang.server.portal.live import refresh_on
from madang.server.portal.session import PortalSession, open_session

SECTIONS = (
    ("/", "Home", "M3 11.5 12 4l9 7.5M5.5 10v9.5h13V10"),
    ("/jobs", "Jobs", "M4 6h16M4 12h16M4 18h10"),
    ("/data", "Data", "M3.5 7V18.5h17V8.5h-8L10.5 6h-7z"),
    ("/models", "Models", "M12 3.5 20 8v8l-8 4.5L4 16V8zM4 8l8 4.5L20 8M12 12.5V20.5"),
    ("/endpoints", "Endpoints", "M4 12h5M15 12h5M9 8.5h6v7H9z"),
    ("", "", ""),
    ("/cluster", "Cluster", "M4 4.5h16v6H4zM4 13.5h16v6H4zM7.5 7.5h3M7.5 16.5h3"),
    ("/queues", "Queues", "M5 5h14M5 5v14M5 12h9M5 19h5"),
)
"""Address, name, and the strokes of its picture on a grid of 24; nothing: a line between them."""

log = logging.getLogger(__name__)

COUNTED_WAITS = 100
"""The badge counts up to here."""

Build = Callable[[PortalSession], Awaitable[None]]

HEAD = (
    '<link rel="stylesheet" href="/portal-static/theme.css">'
    '<link rel="stylesheet" href="/portal-static/scheduling.css">'
    '<script src="/portal-static/theme.js"></script>'
    '<script defer src="/portal-static/portal.js"></script>'
    '<script defer src="/portal-static/files.js"></script>'
    '<script defer src="/portal-static/scheduling.js"></script>'
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
            ui.page_title(f"{session.say(title)} · Madang")
            ui.add_head_html(f'{HEAD}<meta name="madang-language" content="{session.language}">')
            ui.colors(primary="#1F6F5C")
            with _frame(session, section) as waits:
                try:
                    await build(session)
                except MadangError as error:
                    problem_panel(session, error)
                except Exception as error:
                    log.exception("the page %s could not be built", session.path)
                    problem_panel(session, _fault(session, error))
            await _show_waits(session, waits)
            return None

        return build

    return register


@contextmanager
def _frame(session: PortalSession, section: str) -> Iterator[ui.html]:
    """The place of the page's content; the value is the place of the badge of what waits."""
    html(f'<a class="skip" href="#page">{escape(session.say("Skip to the page"))}</a>')
    with ui.element("div").classes("m-app"):
        with_attributes(
            html(_rail(session, section), tag="nav").classes("m-rail"),
            {"aria-label": session.say("Sections")},
        )
        with ui.element("div").classes("m-main"):
            with ui.element("header").classes("m-top"):
                html(_places(session)).classes("m-places")
                waits = html("").classes("m-waits")
                html(_person(session), tag="details").classes("m-menu").props("data-menu")
            with ui.element("div").classes("m-page").props('id="page" tabindex="-1"'):
                yield waits


def _rail(session: PortalSession, section: str) -> str:
    links = "".join(
        '<hr class="m-space">'
        if not path
        else f'<a class="m-nav" href="{path}"{_current(path == section)}>'
        f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{picture}"/></svg>'
        f"<span>{escape(session.say(name))}</span></a>"
        for path, name, picture in SECTIONS
    )
    return f'<a class="m-brand" href="/">Madang <small lang="ko">마당</small></a>{links}'


def _places(session: PortalSession) -> str:
    """The project switcher and the search."""
    say = session.say
    options = "".join(
        f"<option{' selected' if project.name == session.project else ''}>"
        f"{escape(project.name)}</option>"
        for project in session.login.projects
    )
    switcher = (
        f'<select class="m-select" aria-label="{escape(say("Project"))}" '
        f'onchange="madang.setProject(this.value)">{options}</select>'
        if options
        else ""
    )
    labels = "".join(
        f' data-{name}="{escape(text)}"'
        for name, text in (
            ("goto", say("Go to…")),
            ("none", say("Nothing found.")),
            ("job", say("New job")),
            ("folder", say("New folder")),
            ("endpoint", say("New endpoint")),
        )
    )
    return (
        f'{switcher}<button type="button" class="m-button" id="palette"{labels} '
        f'onclick="madang.palette()"><svg viewBox="0 0 24 24" aria-hidden="true">'
        f'<path d="M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20 20"/></svg>'
        f"<span>{escape(say('Search'))}</span> <kbd>Ctrl K</kbd></button>"
    )


def _person(session: PortalSession) -> str:
    """Language, theme, logging out: behind the person's name."""
    say = session.say
    other, code = ("English", "en") if session.language == "ko" else ("한국어", "ko")
    return (
        f'<summary class="m-button quiet">{escape(session.login.user.name)}</summary>'
        '<div class="m-card">'
        f'<button type="button" class="m-button quiet" lang="{code}" '
        f"onclick=\"madang.setLanguage('{code}')\">{other}</button>"
        f'<button type="button" class="m-button quiet" onclick="madang.toggleTheme()">'
        f"{escape(say('Light or dark'))}</button>"
        f'<a class="m-button quiet" href="/docs">{escape(say("API reference"))}</a>'
        f'<button type="button" class="m-button quiet" data-csrf="{escape(session.login.csrf)}" '
        f'id="logout" onclick="madang.logout()">{escape(say("Log out"))}</button></div>'
    )


async def _show_waits(session: PortalSession, badge: ui.html) -> None:
    """How many jobs of the project wait; opens the reasons."""
    if not session.project:
        return

    async def draw() -> None:
        try:
            page = await session.client.jobs.list(limit=COUNTED_WAITS, state=["pending"])
        except MadangError:
            return
        count = f"{COUNTED_WAITS}+" if page.next_cursor else str(len(page.items))
        words = escape(session.say("{count} waiting", count=count))
        badge.set_content(
            f'<a class="m-chip wait" href="/jobs?state=pending">{words}</a>' if page.items else ""
        )

    await draw()
    refresh_on(session, (session.topic("workloads"),), draw)


@contextmanager
def header(title: str, sentence: str = "") -> Iterator[ui.html]:
    """Title and one sentence of state; what is built inside stands at the right."""
    with ui.element("div").classes("m-head"):
        with ui.element("div").classes("grow"):
            html(escape(title), tag="h1")
            said = html(escape(sentence), tag="p")
        yield said


def _fault(session: PortalSession, error: Exception) -> MadangError:
    """A mistake of ours, in words for people."""
    return MadangError(
        session.say("The portal made a mistake ({kind})", kind=type(error).__name__),
        hint=session.say("The server's log has the details; an administrator can read it."),
    )


def problem_panel(session: PortalSession, error: MadangError) -> None:
    """An error in the place of what could not be shown."""
    say = session.say
    action = (say("Try again"), session.link())
    if isinstance(error, Unauthenticated):
        title, action = say("Your login has ended"), (say("Log in"), "/login")
    elif isinstance(error, Forbidden):
        title, action = say("You may not see this"), (say("Home"), "/")
    elif isinstance(error, NotFound):
        title, action = say("There is nothing here"), (say("Home"), "/")
    else:
        title = say("This could not be loaded")
    note(title, sentence(str(error)), kind="problem", action=action)


def role_note(session: PortalSession, permission: Permission) -> None:
    """Says what somebody who may only look can't do here, and who could help."""
    if session.own_project is None or session.may(permission):
        return
    words = session.say(
        "You are a {role} of {project}: you see this, and a maintainer can let you do more.",
        role=session.say(session.own_project.role or "viewer"),
        project=session.project,
    )
    html(escape(words)).classes("m-hint")


def _current(is_current: bool) -> str:
    return ' aria-current="page"' if is_current else ""
