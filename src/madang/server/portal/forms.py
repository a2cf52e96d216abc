"""Dialogs with a form: errors at the field; the command and the call that do the same, live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from html import escape

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

from madang.core.errors import MadangError
from madang.server.portal.components import (
    command,
    command_markup,
    html,
    problem_markup,
    sentence,
    with_attributes,
)
from madang.server.portal.dialogs import end_of_dialog
from madang.server.portal.session import PortalSession

Values = dict[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """One field; its value is text. kind: `text`, `number`, `datetime-local`, `date`, or `check`
    ("yes" or nothing). With `options` (value, label) one of them is chosen. half: two stand in a
    row."""

    name: str
    label: str
    value: str = ""
    hint: str = ""
    kind: str = "text"
    options: tuple[tuple[str, str], ...] = ()
    half: bool = False


class FormDialog:
    """Open from the moment it is made. `lines` gives the command line and the Python call for
    what is filled in; `submit` raises MadangError, whose `field` says where it is shown.

    `help_with` may draw a way out below an error; then it says the error in its own words.
    """

    def __init__(
        self,
        session: PortalSession,
        title: str,
        fields: Sequence[Field],
        lines: Callable[[Values], tuple[str, str]],
        submit: Callable[[Values], Awaitable[None]],
        *,
        label: str,
        intro: str = "",
        help_with: Callable[[FormDialog, MadangError], str | None] | None = None,
    ) -> None:
        self.session = session
        self._lines = lines
        self._submit = submit
        self._help_with = help_with
        self._boxes: dict[str, ui.element] = {}
        say = session.say
        with ui.dialog(value=True) as self._dialog, ui.card().classes("m-dialog m-wide"):
            html(escape(title), tag="h2")
            if intro:
                html(f"<p>{escape(intro)}</p>")
            with ui.element("div").classes("m-form"):
                for field in fields:
                    self._boxes[field.name] = self._box(field)
            shown = lines(self.values)
            self._line = command(shown[0], say("Copy"))
            with ui.element("details").classes("m-same"):
                html(escape(say("The same in Python")), tag="summary")
                self._call = command(shown[1], say("Copy"))
            self._problem = with_attributes(html(""), {"role": "alert"})
            self._ways = ui.element("div").classes("m-actions")
            end_of_dialog(session, self._dialog, label, self._run)

    @property
    def values(self) -> Values:
        return {name: _text(box.value) for name, box in self._boxes.items()}  # type: ignore[attr-defined]

    def fill_in(self, **values: str) -> None:
        """Put values into fields, as if they were typed."""
        for name, value in values.items():
            self._boxes[name].value = value  # type: ignore[attr-defined]

    def ways(self) -> ui.element:
        """The place below the error, for buttons that lead out of it; it is empty."""
        self._ways.clear()
        return self._ways

    async def try_again(self) -> None:
        await self._run()

    def _box(self, field: Field) -> ui.element:
        box: ui.input | ui.select | ui.checkbox
        if field.kind == "check":
            box = ui.checkbox(field.label, value=bool(field.value))
        elif field.options:
            options = dict(field.options)
            value = field.value if field.value in options else None
            box = ui.select(options, label=field.label, value=value)
        else:
            box = ui.input(label=field.label, value=field.value, placeholder=field.hint)
            if field.kind != "text":
                box.props(f'type="{field.kind}"')
            box.on("keydown.enter", self._run)
        box.on_value_change(self._changed)
        return box.props("outlined dense stack-label").classes("f-half" if field.half else "")

    def _changed(self) -> None:
        for box in self._boxes.values():
            if isinstance(box, ValidationElement):
                box.error = None
        line, call = self._lines(self.values)
        self._line.set_content(command_markup(line, self.session.say("Copy")))
        self._call.set_content(command_markup(call, self.session.say("Copy")))

    async def _run(self) -> None:
        self._problem.set_content("")
        self._ways.clear()
        try:
            await self._submit(self.values)
            self._dialog.close()
        except MadangError as error:
            self._show(error)

    def _show(self, error: MadangError) -> None:
        helped = self._help_with(self, error) if self._help_with else None
        box = self._boxes.get((error.field or "").split(".")[0])
        if helped is not None:
            self._problem.set_content(f'<p class="m-problem">{escape(helped)}</p>')
        elif isinstance(box, ValidationElement):
            box.error = sentence(str(error))
        else:
            self._problem.set_content(problem_markup(error))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return str(value or "").strip()
