"""Making, changing and deleting queues; errors stand at the field, what can be is undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from nicegui import ui

from madang.core.errors import MadangError
from madang.schemas.queues import Queue
from madang.server.portal.components import sentence
from madang.server.portal.dialogs import confirm_by_name, undoable
from madang.server.portal.forms import Field, FormDialog, Values
from madang.server.portal.queue_request import FIELDS, QueueForm
from madang.server.portal.session import PortalSession

Draw = Callable[[], Awaitable[None]]


async def set_weight(session: PortalSession, queue: Queue, weight: float, draw: Draw) -> None:
    """As it was dragged or typed; the old one is a click away."""
    if weight == queue.weight:
        return
    words = session.say(
        "The weight of {name} is {weight:g} now; it was {before:g}.",
        name=queue.name,
        weight=weight,
        before=queue.weight,
    )
    await change(session, queue, {"weight": weight}, words, draw)


async def set_open(session: PortalSession, queue: Queue, is_open: bool, draw: Draw) -> None:
    say = session.say
    if is_open:
        words = say("Jobs start from {name} again.", name=queue.name)
    else:
        words = say("Nothing more starts from {name}; what runs goes on.", name=queue.name)
    await change(session, queue, {"open": is_open}, words, draw)


async def change(
    session: PortalSession, queue: Queue, changes: dict[str, Any], words: str, draw: Draw
) -> None:
    """Change a queue and offer to change it back."""
    before = {name: getattr(queue, name) for name in changes}

    async def undo() -> None:
        await session.client.queues.change(queue.id, **before)
        await draw()

    try:
        await session.client.queues.change(queue.id, **changes)
        undoable(session, words, undo)
    except MadangError as error:
        ui.notify(sentence(str(error)), type="negative", multi_line=True)
    await draw()


def new_queue(
    session: PortalSession,
    queues: Sequence[Queue],
    draw: Draw,
    *,
    parent: Queue | None = None,
    orderings: Sequence[str],
) -> None:
    """In the chosen project, or below `parent` where that is."""
    say = session.say
    admin = session.login.user.is_admin
    owners = [(session.project, session.project)] if session.project else []
    if admin:
        owners.append(("", say("the platform's")))
    owner = session.project if parent is None or parent.project else ""
    form = QueueForm(parent=parent.id if parent else "")
    fields = [
        Field("owner", say("Whose it is"), value=owner, options=tuple(owners)),
        *_fields(session, queues, form, orderings),
    ]

    def form_of(typed: Values) -> QueueForm:
        return QueueForm(**{name: typed[name] for name in FIELDS})

    def lines(typed: Values) -> tuple[str, str]:
        return _by_name(form_of(typed), queues).create_lines(typed["owner"])

    async def submit(typed: Values) -> None:
        form = form_of(typed)
        where: dict[str, Any] = {"project": typed["owner"] or None}
        if not typed["owner"]:
            where["platform"] = True
        await session.everywhere.queues.create(form.name, **where, **form.settings())
        await draw()

    FormDialog(session, say("New queue"), fields, lines, submit, label=say("Make it"))


def edit_queue(
    session: PortalSession,
    queue: Queue,
    queues: Sequence[Queue],
    draw: Draw,
    *,
    orderings: Sequence[str],
) -> None:
    before = QueueForm.of(queue)

    async def submit(typed: Values) -> None:
        changes = QueueForm(**typed).changes(before)
        if changes:
            await session.client.queues.change(queue.id, **changes)
        await draw()

    FormDialog(
        session,
        session.say("Change {name}", name=queue.name),
        _fields(session, [one for one in queues if one.id != queue.id], before, orderings),
        lambda typed: QueueForm(**typed).change_lines(queue),
        submit,
        label=session.say("Save"),
    )


def delete_queue(session: PortalSession, queue: Queue, after: Draw) -> None:
    async def delete() -> None:
        await session.client.queues.delete(queue.id)
        await after()

    lost = session.say("Its share goes to the other queues. Jobs that have ended stay.")
    confirm_by_name(session, queue.name, lost, delete)


def _by_name(form: QueueForm, queues: Sequence[Queue]) -> QueueForm:
    """The parent as people call it, for the command."""
    names = {queue.id: queue.name for queue in queues}
    return replace(form, parent=names.get(form.parent, form.parent))


def _fields(
    session: PortalSession, queues: Sequence[Queue], form: QueueForm, orderings: Sequence[str]
) -> list[Field]:
    say = session.say
    parents = sorted((queue.path, queue.id) for queue in queues)
    options = (("", say("none: at the top")), *((id_, path) for path, id_ in parents))
    amounts = "gpu=8,memory=512GiB"
    return [
        Field("name", say("Name"), form.name, hint="train", half=True),
        Field("parent", say("Part of"), form.parent, options=options, half=True),
        Field("weight", say("Weight among its siblings"), form.weight, half=True),
        Field("ordering", say("Order within"), form.ordering, half=True,
              options=tuple((name, name) for name in orderings)),
        Field("guarantee", say("Guarantee: kept for it"), form.guarantee, hint=amounts),
        Field("limit", say("Limit: never more than this"), form.limit, hint=amounts),
        Field("borrowing_limit", say("Borrows at most"), form.borrowing_limit, half=True),
        Field("lending_limit", say("Lends at most"), form.lending_limit, half=True),
        Field("min_runtime_s", say("Seconds before a job may be preempted"), form.min_runtime_s),
        Field("description", say("What for"), form.description),
        Field("reclaimable", say("What it borrows may be taken back"), form.reclaimable,
              kind="check"),
        Field("open", say("Jobs start from it"), form.open, kind="check"),
    ]  # fmt: skip
