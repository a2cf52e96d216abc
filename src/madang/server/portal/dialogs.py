"""Buttons and dialogs: small forms, and "name it to confirm" for what can't be undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from typing import Any

from nicegui import ui

from madang.core.errors import MadangError
from madang.server.portal.components import html, problem_markup, sentence, with_attributes
from madang.server.portal.session import PortalSession


def button(label: str, action: Callable[[], Any], style: str = "") -> ui.element:
    """A button with a label; `style`: primary, danger, quiet or nothing."""
    made = ui.element("button").classes(f"m-button {style}").props('type="button"')
    made.on("click", lambda: action())
    with made:
        html(escape(label), tag="span")
    return made


def form_dialog(
    session: PortalSession,
    title: str,
    fields: dict[str, str],
    submit: Callable[[dict[str, str]], Awaitable[None]],
    *,
    values: dict[str, str] | None = None,
    options: dict[str, list[str]] | None = None,
) -> None:
    """A few text fields (name → label); an error is shown and what was typed stays."""
    with ui.dialog(value=True) as dialog, ui.card().classes("m-dialog"):
        html(escape(title), tag="h2")
        inputs = {
            name: ui.input(
                label=label,
                value=(values or {}).get(name, ""),
                autocomplete=(options or {}).get(name),
            )
            .props("outlined dense stack-label")
            .style("width:100%")
            for name, label in fields.items()
        }
        problem = with_attributes(html(""), {"role": "alert"})

        async def run() -> None:
            try:
                await submit({name: (box.value or "").strip() for name, box in inputs.items()})
                dialog.close()
            except MadangError as error:
                problem.set_content(problem_markup(error))

        for box in inputs.values():
            box.on("keydown.enter", run)
        end_of_dialog(session, dialog, title, run)


UNDO_S = 10.0
"""How long undoing is offered."""


def undoable(session: PortalSession, words: str, undo: Callable[[], Awaitable[None]]) -> None:
    """Tells what was done, with the way back, for a while; a newer one takes its place."""
    for one in session.undoing:
        one.delete()
    session.undoing.clear()
    with ui.context.client.layout, ui.element("div").classes("m-toast") as toast:
        session.undoing.append(with_attributes(toast, {"role": "status"}))
        html(escape(words), tag="span")

        async def run() -> None:
            forget()
            try:
                await undo()
            except MadangError as error:
                ui.notify(sentence(str(error)), type="negative", multi_line=True)

        def forget() -> None:
            if toast in session.undoing:
                session.undoing.remove(toast)
                toast.delete()

        button(session.say("Undo"), run)
        ui.timer(UNDO_S, forget, once=True)


def confirm_by_name(
    session: PortalSession, name: str, lost: str, action: Callable[[], Awaitable[None]]
) -> None:
    """Says what will be lost and asks for the name."""
    say = session.say
    with ui.dialog(value=True) as dialog, ui.card().classes("m-dialog"):
        html(escape(say("Remove {name}?", name=name)), tag="h2")
        html(f"<p>{escape(lost)}</p>")
        typed = ui.input(label=say("Type {name} to confirm", name=name))
        typed.props("outlined dense stack-label").style("width:100%")
        problem = with_attributes(html(""), {"role": "alert"})

        async def run() -> None:
            if (typed.value or "").strip() != name:
                typed.error = say("That is not the name.")
                return
            try:
                await action()
                dialog.close()
            except MadangError as error:
                problem.set_content(problem_markup(error))

        end_of_dialog(session, dialog, say("Remove"), run, "primary danger")


def end_of_dialog(
    session: PortalSession,
    dialog: ui.dialog,
    label: str,
    run: Callable[[], Awaitable[None]],
    style: str = "primary",
) -> None:
    """The two ways out of a dialog."""
    with ui.element("div").classes("m-ways"):
        button(session.say("Not now"), dialog.close)
        button(label, run, style)
