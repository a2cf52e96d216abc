"""Why a job waits: the sentence, the expected start, the arithmetic; what can be done about it."""

from __future__ import annotations

from html import escape

from nicegui import ui

from madang.core.errors import MadangError
from madang.core.priorities import PRIORITY_CLASSES
from madang.schemas.job_waits import JobWhy, NodeGroup
from madang.schemas.jobs import Job
from madang.schemas.queues import Queue
from madang.server.portal.components import facts, html, plain_table, sentence
from madang.server.portal.dialogs import undoable
from madang.server.portal.forms import Field, FormDialog, Values
from madang.server.portal.session import PortalSession

SHOWN_NODES = 6
"""Names of nodes of a group; the others are counted."""


def wait_card(session: PortalSession, why: JobWhy) -> None:
    """The first thing on the page of a job that waits."""
    say = session.say
    reason = session.why(why.reason) if why.reason else why.sentence
    with ui.element("div").classes("m-card m-wait"):
        html(escape(say("Why it waits")), tag="h2")
        html(escape(sentence(reason)), tag="p")
        starts = say("not known")
        if why.expected_start is not None:
            starts = say("about {time}", time=session.clock(why.expected_start))
        line = ""
        if why.position is not None:
            line = say("{position} of {count} in {queue}", position=why.position,
                       count=why.queued, queue=why.queue)  # fmt: skip
        facts(
            [
                (say("Expected start"), f"<b>{escape(starts)}</b>"),
                (say("Place in line"), escape(line)),
                (say("Needs"), f'<span class="m-mono">{escape(why.needs)}</span>'),
            ]
        )
        if why.groups:
            _groups(session, why.groups)


def _groups(session: PortalSession, groups: list[NodeGroup]) -> None:
    """The arithmetic: what each group of equal nodes has room for, now and empty."""
    say = session.say
    with ui.element("details").classes("m-same"):
        html(escape(say("The arithmetic, by kinds of nodes")), tag="summary")
        titles = [say("Nodes"), say("Each has"), say("Free there"), say("Would fit now"),
                  say("Would fit if empty"), say("Missing")]  # fmt: skip
        plain_table(titles, [_group_row(session, group) for group in groups]).classes("m-numbers")


def _group_row(session: PortalSession, group: NodeGroup) -> tuple[str, ...]:
    say = session.say
    names = ", ".join(group.nodes[:SHOWN_NODES])
    if group.count > SHOWN_NODES:
        names = say("{names} and {count} more", names=names, count=group.count - SHOWN_NODES)
    shape = " ".join(part for part in (group.shape, group.pool) if part)
    return (
        f"{escape(names)}",
        f'<span class="m-mono">{escape(shape)}</span>',
        f'<span class="m-mono">{escape(group.free)}</span>',
        str(group.room),
        str(group.room_empty),
        escape(group.short_of) or "–",
    )


def change_priority(session: PortalSession, job: Job) -> None:
    """Before others of its queue, or after them; the old one can be had back."""
    say = session.say

    async def undo() -> None:
        await session.client.jobs.set_priority(job.id, job.priority)

    async def submit(typed: Values) -> None:
        wanted = typed["priority"]
        changed = await session.client.jobs.set_priority(job.id, _number_or_name(wanted))
        words = say("{name} has priority {priority} now.", name=job.name,
                    priority=changed.priority)  # fmt: skip
        undoable(session, words, undo)

    def lines(typed: Values) -> tuple[str, str]:
        wanted = typed["priority"] or "0"
        call = f"Client().jobs.set_priority({job.id!r}, {_number_or_name(wanted)!r})"
        return f"madang job priority {job.id} {wanted}", _python(call)

    names = ", ".join(f"{name} ({number})" for name, number in PRIORITY_CLASSES.items())
    FormDialog(
        session,
        say("Priority of {name}", name=job.name),
        [Field("priority", say("Priority"), str(job.priority), hint="high")],
        lines,
        submit,
        label=say("Save"),
        intro=say("A number of -1000 to 1000, or one of: {names}. More goes first.", names=names),
    )


async def move_job(session: PortalSession, job: Job) -> None:
    """Into another queue that work can wait in."""
    say = session.say
    client = ui.context.client  # the button may be drawn anew while the queues are read
    try:
        queues = [one async for one in session.everywhere.queues.iterate() if one.leaf]
    except MadangError as error:
        ui.notify(sentence(str(error)), type="negative", multi_line=True)
        return
    queues = _usable(queues, job)
    options = tuple((one.id, one.path) for one in queues)
    here = next((one.id for one in queues if one.name == job.queue), "")
    labels = dict(options)

    async def undo() -> None:
        await session.client.jobs.move(job.id, here)

    async def submit(typed: Values) -> None:
        await session.client.jobs.move(job.id, typed["queue"])
        words = say("{name} waits in {queue} now.", name=job.name, queue=labels[typed["queue"]])
        undoable(session, words, undo)

    def lines(typed: Values) -> tuple[str, str]:
        name = next((one.name for one in queues if one.id == typed["queue"]), "QUEUE")
        call = f"Client().jobs.move({job.id!r}, {typed['queue']!r})"
        return f"madang job move {job.id} {name}", _python(call)

    with client:
        FormDialog(
            session,
            say("Move {name}", name=job.name),
            [Field("queue", say("Queue"), here, options=options)],
            lines,
            submit,
            label=say("Move"),
        )


def _usable(queues: list[Queue], job: Job) -> list[Queue]:
    """Those of its project and the platform's, by path."""
    return sorted(
        (one for one in queues if one.project in (None, job.project)), key=lambda one: one.path
    )


def _number_or_name(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _python(call: str) -> str:
    return f"from madang.client import Client\n\n{call}"
