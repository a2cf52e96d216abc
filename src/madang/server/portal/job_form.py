"""The launch form: what to run, with the command line that does the same, live."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from html import escape

from nicegui import ui

from madang.core.errors import InvalidInput, MadangError
from madang.core.resources import Resources
from madang.schemas.jobs import JobCreate, JobMount
from madang.server.portal.components import command, html
from madang.server.portal.frame import header, page
from madang.server.portal.session import PortalSession

FIELDS = (
    "command", "name", "cpu", "memory", "gpu", "replicas", "environment", "mounts", "datasets",
    "variables", "retries", "time_limit",
)  # fmt: skip


@dataclass(slots=True)
class JobForm:
    """What is typed, as text; kept in the page's address, so that nothing is lost by a reload."""

    command: str = ""
    name: str = ""
    cpu: str = "1"
    memory: str = "2GiB"
    gpu: str = ""
    replicas: str = "1"
    environment: str = ""
    mounts: str = ""
    datasets: str = ""
    variables: str = ""
    retries: str = "0"
    time_limit: str = ""
    code: str = field(default="", repr=False)

    @classmethod
    def of(cls, request: JobCreate) -> JobForm:
        """The form as it must have been filled in to ask for this."""
        resources = {key: str(value) for key, value in request.resources.items()}
        most = request.replicas_max
        return cls(
            command=shlex.join(request.command),
            cpu=resources.get("cpu", "1"),
            memory=resources.get("memory", "2GiB"),
            gpu=resources.get("gpu", ""),
            replicas=f"{request.replicas}..{most}" if most else str(request.replicas),
            environment=request.environment,
            mounts=" ".join(_mount_words(mount) for mount in request.mounts),
            datasets=" ".join(request.datasets),
            variables=" ".join(
                shlex.quote(f"{key}={value}")
                for key, value in request.environment_variables.items()
            ),
            retries=str(request.retries),
            time_limit=f"{request.time_limit_s:g}" if request.time_limit_s else "",
            code=request.code,
        )

    def to_request(self) -> JobCreate:
        """Raises InvalidInput naming the field that can't be read."""
        resources: dict[str, str | int | float] = {"cpu": self.cpu, "memory": self.memory}
        if self.gpu.strip():
            resources["gpu"] = self.gpu.strip()
        Resources.parse(resources)
        least, _, most = self.replicas.partition("..")
        return JobCreate(
            command=_words("command", self.command),
            name=self.name.strip(),
            resources=resources,
            replicas=_number("replicas", least),
            replicas_max=_number("replicas", most) if most else None,
            environment=self.environment.strip(),
            mounts=[_mount(word) for word in _words("mounts", self.mounts)],
            datasets=_words("datasets", self.datasets),
            environment_variables=dict(
                _variable(word) for word in _words("variables", self.variables)
            ),
            retries=_number("retries", self.retries or "0"),
            time_limit_s=_number("time_limit", self.time_limit or "0"),
            code=self.code,
        )

    def command_line(self) -> str:
        """The `madang job run` that does the same."""
        words = ["madang", "job", "run"]
        defaults = JobForm()
        for option in ("name", "cpu", "memory", "gpu", "replicas", "environment", "retries"):
            value = getattr(self, option).strip()
            if value and value != getattr(defaults, option):
                words += [f"--{option}", value]
        for option, text in (("mount", self.mounts), ("dataset", self.datasets),
                             ("env", self.variables)):  # fmt: skip
            for word in text.split():
                words += [f"--{option}", word]
        if self.time_limit.strip():
            words += ["--time-limit", f"{self.time_limit.strip()}s"]
        return f"{shlex.join(words)} -- {self.command.strip() or 'COMMAND'}"


@page("/jobs/new", title="New job", section="/jobs")
async def job_form_page(session: PortalSession) -> None:
    say = session.say
    form = await _initial(session)
    with header(say("New job"), say("Runs a command once, with what it asks for.")):
        pass
    problem = html("")
    inputs: dict[str, ui.input] = {}
    environments = await session.client.environments.list(limit=200)
    with ui.element("div").classes("m-two"):
        with ui.element("div").classes("m-card").style("display:grid;gap:8px"):
            for name, label, hint in _labels(session):
                options = [entry.name for entry in environments.items]
                inputs[name] = ui.input(
                    label=label,
                    placeholder=hint,
                    value=getattr(form, name),
                    autocomplete=options if name == "environment" else None,
                ).props("outlined dense stack-label")
        with ui.element("div"):
            html(f"<b>{escape(say('The same on the command line'))}</b>")
            line = command(form.command_line(), say("Copy"))
            start = ui.element("button").classes("m-button primary").style("margin-top:16px")
            with start:
                html(escape(say("Run")), tag="span")

    def changed() -> None:
        for name, box in inputs.items():
            setattr(form, name, box.value or "")
            box.error = None
        line.set_content(
            f"<span>{escape(form.command_line())}</span>"
            f'<button class="m-button" onclick="madang.copy(this)">{escape(say("Copy"))}</button>'
        )
        query = {name: getattr(form, name) for name in FIELDS}
        defaults = JobForm()
        kept = {name: text if text != getattr(defaults, name) else None
                for name, text in query.items()}  # fmt: skip
        address = json.dumps(session.link(**kept))
        ui.run_javascript(f"history.replaceState(null, '', {address})")

    async def run() -> None:
        problem.set_content("")
        start.props("disabled")
        try:
            job = await session.client.jobs.create(form.to_request())
            ui.navigate.to(f"/jobs/{job.id}?tab=logs")
        except MadangError as error:
            _show_problem(session, error, inputs, problem)
            start.props(remove="disabled")

    for box in inputs.values():
        box.on_value_change(changed)
    start.on("click", run)


def _show_problem(
    session: PortalSession, error: MadangError, inputs: dict[str, ui.input], problem: ui.html
) -> None:
    """At the field when the error names one; what was typed stays."""
    names = {"resources.cpu": "cpu", "resources.memory": "memory", "resources.gpu": "gpu"}
    at = names.get(error.field or "", (error.field or "").split(".")[0])
    if at in inputs:
        inputs[at].error = str(error)
    problem.set_content(f'<p class="m-problem" role="alert">{escape(str(error))}</p>')


async def _initial(session: PortalSession) -> JobForm:
    if source := session.query.get("from"):
        detail = await session.client.jobs.get(source)
        return JobForm.of(detail.request)
    return JobForm(**{name: session.query[name] for name in FIELDS if name in session.query})


def _labels(session: PortalSession) -> list[tuple[str, str, str]]:
    say = session.say
    return [
        ("command", say("Command"), "python train.py"),
        ("name", say("Name (made from the command when empty)"), ""),
        ("environment", say("Environment (the machine's own Python when empty)"), "vision"),
        ("cpu", say("CPUs for each process"), "1"),
        ("memory", say("Memory for each process"), "2GiB"),
        ("gpu", say("GPUs for each process (a part of one: 0.25)"), "1"),
        ("replicas", say("Processes (N, or MIN..MAX)"), "1"),
        ("mounts", say("Folders (FOLDER:/where/inside:ro)"), "data:/data:ro"),
        ("datasets", say("Datasets (NAME@VERSION:VIEW)"), "digits@1"),
        ("variables", say("Environment variables"), "EPOCHS=10"),
        ("retries", say("Tries again after a failure"), "0"),
        ("time_limit", say("Time limit in seconds"), "3600"),
    ]


def _words(name: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} can't be split into words: {error}",
            field=name,
            hint="Close every quotation mark.",
        ) from None


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is not a whole number", field=name) from None


def _mount(word: str) -> JobMount:
    folder, _, rest = word.partition(":")
    read_only = rest == "ro" or rest.endswith(":ro")
    target = rest.removesuffix("ro").removesuffix(":") if read_only else rest
    return JobMount(folder, target or None, read_only)


def _mount_words(mount: JobMount) -> str:
    words = [mount.folder, *([mount.target] if mount.target else [])]
    return ":".join([*words, "ro"] if mount.read_only else words)


def _variable(word: str) -> tuple[str, str]:
    key, separator, value = word.partition("=")
    if not separator:
        raise InvalidInput(f"{word!r} is not NAME=VALUE", field="variables")
    return key, value
