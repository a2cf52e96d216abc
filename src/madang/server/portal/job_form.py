"""The launch form: what to run, with the command and the call that do the same, live."""

from __future__ import annotations

from html import escape

from nicegui import ui

from madang.core.errors import InvalidInput, MadangError
from madang.core.permissions import Permission
from madang.core.priorities import PRIORITY_CLASSES
from madang.schemas.job_waits import JobPreview
from madang.server.portal.components import (
    chip,
    command,
    command_markup,
    html,
    note,
    problem_markup,
    sentence,
    with_attributes,
)
from madang.server.portal.dialogs import button
from madang.server.portal.frame import header, page
from madang.server.portal.job_request import FIELDS, JobForm
from madang.server.portal.session import PortalSession

PREVIEW_S = 0.6
"""From the last change to asking when it would start."""

CHOICES = 200
"""How many environments and datasets the form offers; others can be typed."""


@page("/new-job", title="New job", section="/jobs")
async def job_form_page(session: PortalSession) -> None:
    say = session.say
    with header(say("New job"), say("Runs a command once, with what it asks for.")):
        pass
    if not session.project or not session.may(Permission.JOBS_WRITE):
        note(
            say("You may not run jobs here"),
            say("Running jobs takes the role member; a maintainer of the project can give it."),
            action=(say("Back to the jobs"), "/jobs"),
        )
        return
    form = await _initial(session)
    environments = await session.client.environments.list(limit=CHOICES)
    queues = [one async for one in session.client.queues.iterate() if one.leaf]
    options = {
        "environment": [entry.name for entry in environments.items],
        "queue": [one.name for one in queues],
        "priority": list(PRIORITY_CLASSES),
    }
    inputs: dict[str, ui.input] = {}
    with ui.element("div").classes("m-two"):
        with ui.element("div").classes("m-card m-form"):
            for name, label, hint in _labels(session):
                box = ui.input(
                    label=label,
                    placeholder=hint,
                    value=getattr(form, name),
                    autocomplete=options.get(name),
                )
                inputs[name] = box.props("outlined dense stack-label").classes(f"f-{name}")
        with ui.element("div").classes("m-side"):
            html(escape(say("The same on the command line")), tag="b")
            line = command(form.command_line(), say("Copy"))
            html(escape(say("The same in Python")), tag="b")
            call = command(form.python_call(), say("Copy"))
            problem = with_attributes(html(""), {"role": "alert"})
            starts = with_attributes(html("").classes("m-starts"), {"role": "status"})
            start = button(say("Run"), lambda: run(), "primary")
    preview = Preview(session, form, starts)

    def changed() -> None:
        for name, box in inputs.items():
            setattr(form, name, box.value or "")
            box.error = None
        line.set_content(command_markup(form.command_line(), say("Copy")))
        call.set_content(command_markup(form.python_call(), say("Copy")))
        session.keep(**form.changes())
        preview.later()

    async def run() -> None:
        problem.set_content("")
        start.props("disabled")
        try:
            job = await session.client.jobs.create(form.to_request())
            ui.navigate.to(f"/jobs/{job.id}?tab=logs")
        except MadangError as error:
            _show_problem(error, inputs, problem)
            start.props(remove="disabled")

    for box in inputs.values():
        box.on_value_change(changed)
    await preview.show()


class Preview:
    """Under the form: whether the job would start now, else when and why not before."""

    def __init__(self, session: PortalSession, form: JobForm, place: ui.html) -> None:
        self._session = session
        self._form = form
        self._place = place
        self._due: ui.timer | None = None

    def later(self) -> None:
        """After the last of several changes."""
        if self._due is not None:
            self._due.cancel()
        self._due = ui.timer(PREVIEW_S, self.show, once=True)

    async def show(self) -> None:
        try:
            preview = await self._session.client.jobs.preview(self._form.to_request())
        except InvalidInput as error:
            # Which field is at fault is said when the job is run; here only what can't be.
            told = error.field or ""
            self._place.set_content("" if told == "command" else problem_markup(error))
        except MadangError:
            self._place.set_content("")
        else:
            self._place.set_content(preview_markup(self._session, preview))


def preview_markup(session: PortalSession, preview: JobPreview) -> str:
    say = session.say
    if preview.starts_now:
        return chip("ready", say("Starts now"))
    reason = session.why(preview.reason) if preview.reason else ""
    if preview.expected_start is not None:
        title = say("Starts about {time}", time=session.clock(preview.expected_start))
    else:
        title = say("Would wait")
    return f'{chip("pending", title)} <span class="m-muted">{escape(sentence(reason))}</span>'


def _show_problem(error: MadangError, inputs: dict[str, ui.input], problem: ui.html) -> None:
    """At the field when the error names one; what was typed stays."""
    name = (error.field or "").removeprefix("resources.").split(".")[0]
    name = {"environment_variables": "variables", "time_limit_s": "time_limit"}.get(name, name)
    if name in inputs:
        inputs[name].error = sentence(str(error))
    problem.set_content(problem_markup(error))


async def _initial(session: PortalSession) -> JobForm:
    """What the address says, over the job that is to be changed."""
    form = JobForm()
    if source := session.query.get("from"):
        form = JobForm.of((await session.client.jobs.get(source)).request)
    for name in FIELDS:
        if name in session.query:
            setattr(form, name, session.query[name])
    return form


def _labels(session: PortalSession) -> list[tuple[str, str, str]]:
    say = session.say
    return [
        ("command", say("Command"), "python train.py"),
        ("name", say("Name (made from the command when empty)"), ""),
        ("environment", say("Environment (the machine's own Python when empty)"), "vision"),
        ("cpu", say("CPUs for each process"), "1"),
        ("memory", say("Memory for each process"), "2GiB"),
        ("gpu", say("GPUs for each process (a part of one: 0.25)"), "0"),
        ("replicas", say("Processes (N, or MIN..MAX)"), "1"),
        ("mounts", say("Folders (FOLDER:/where/inside:ro)"), "data:/data:ro"),
        ("datasets", say("Datasets (NAME@VERSION:VIEW)"), "digits@1"),
        ("variables", say("Environment variables"), "EPOCHS=10"),
        ("retries", say("Tries again after a failure"), "0"),
        ("time_limit", say("Time limit in seconds"), "3600"),
        ("queue", say("Queue (the project's default when empty)"), "default"),
        ("priority", say("Priority (low, normal, high, urgent, or a number)"), "normal"),
    ]
