"""Reservations: the calendar of a week, making one, cancelling one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from html import escape

from nicegui import events, ui

from madang.core.errors import MadangError
from madang.core.permissions import Permission
from madang.schemas.reservations import Recurrence, Reservation, WindowState
from madang.server.portal.calendar import (
    DAYS,
    Placed,
    blocks_of,
    holds_words,
    midnight,
    week_markup,
    week_of,
)
from madang.server.portal.components import chip, command, facts, html, link_button, sentence
from madang.server.portal.dialogs import button, confirm_by_name, undoable
from madang.server.portal.forms import Field, FormDialog, Values
from madang.server.portal.frame import role_note
from madang.server.portal.live import refresh_on
from madang.server.portal.reservation_request import ReservationForm
from madang.server.portal.session import PortalSession

MOST = 1000
"""Reservations of one week that are shown."""

Draw = Callable[[], Awaitable[None]]


async def reservations_tab(session: PortalSession, state: ui.html) -> None:
    """The week that the address says; changes appear by themselves."""
    say = session.say
    monday = week_of(session.query.get("week", ""), session.now().date())
    role_note(session, Permission.RESERVATIONS_WRITE)
    _week_bar(session, monday)
    grid = ui.element("div").classes("m-week-box")
    with grid:
        week = html("").classes("m-week")
    shown: dict[str, Reservation] = {}

    async def draw() -> None:
        page = await session.everywhere.reservations.list(
            since=midnight(session, monday),
            until=midnight(session, monday + timedelta(days=DAYS)),
            limit=MOST,
        )
        shown.clear()
        shown.update({one.id: one for one in page.items})
        days = blocks_of(session, page.items, monday)
        week.set_content(week_markup(session, days, session.project))
        state.set_content(escape(_week_sentence(session, days)))

    async def press(event: events.GenericEventArguments) -> None:
        kind, value = event.args
        if kind == "reservation" and value in shown:
            _show(session, shown[value], draw)
        elif kind == "slot" and session.may(Permission.RESERVATIONS_WRITE):
            new_reservation(session, start=value, after=draw)

    grid.on("click", press, js_handler=PRESS)
    html(f'<p class="m-muted">{escape(say("Times are in {zone}.", zone=session.zone))}</p>')
    await draw()
    refresh_on(session, ("reservation:",), draw)


PRESS = """(event) => {
  const block = event.target.closest('[data-reservation]');
  if (block) { emit(['reservation', block.dataset.reservation]); return; }
  const slots = event.target.closest('[data-slots]');
  if (!slots || matchMedia('(max-width: 760px)').matches) return;
  const box = slots.getBoundingClientRect();
  const hour = Math.floor(24 * (event.clientY - box.top) / box.height);
  emit(['slot', `${slots.dataset.slots}T${String(hour).padStart(2, '0')}:00`]);
}"""
"""A block, or the hour of a day that was pressed."""


def _week_bar(session: PortalSession, monday: date) -> None:
    say = session.say
    last = monday + timedelta(days=DAYS - 1)
    span = f"{session.day(midnight(session, monday))} – {session.day(midnight(session, last))}"
    with ui.element("div").classes("m-bar"):
        for label, text, day in (
            (say("The week before"), "‹", monday - timedelta(days=DAYS)),
            (say("This week"), say("This week"), None),
            (say("The week after"), "›", monday + timedelta(days=DAYS)),
        ):
            address = session.link(tab="reservations", week=day.isoformat() if day else None)
            link_button(text, address).props["aria-label"] = label
        html(escape(span), tag="b")


def _week_sentence(session: PortalSession, days: dict[date, list[Placed]]) -> str:
    windows = {(placed.block.reservation.id, placed.block.window.start): placed.block.window.state
               for day in days.values() for placed in day}  # fmt: skip
    if not windows:
        return session.say("Nothing is reserved in this week.")
    states = Counter(windows.values())
    return session.say(
        "Reservations in this week: {active} held now, {planned} still to come.",
        active=states[WindowState.ACTIVE],
        planned=states[WindowState.PLANNED],
    )


def how_often(session: PortalSession, recurrence: Recurrence) -> str:
    say = session.say
    return {
        Recurrence.ONCE: say("Once"),
        Recurrence.DAILY: say("Each day"),
        Recurrence.WEEKDAYS: say("Monday to Friday"),
        Recurrence.WEEKLY: say("Each week"),
    }[recurrence]


def new_reservation(session: PortalSession, *, start: str = "", after: Draw | None = None) -> None:
    """The dialog that reserves; on a conflict it offers the nearest windows that fit."""
    say = session.say
    given = ReservationForm(start=start or _next_hour(session), gpu="1", cpu="1", memory="4GiB")
    filled = asdict(given)
    often = tuple((one.value, how_often(session, one)) for one in Recurrence)
    fields = [
        Field("name", say("Name"), hint="demo-day"),
        Field("start", say("From"), kind="datetime-local", half=True),
        Field("hours", say("For how many hours"), half=True),
        Field("gpu", say("GPUs on each node"), half=True),
        Field("replicas", say("How many of these"), half=True),
        Field("gpu_model", say("GPU model (any when empty)"), hint="H100", half=True),
        Field("pool", say("Pool (any when empty)"), half=True),
        Field("cpu", say("CPUs on each node"), half=True),
        Field("memory", say("Memory on each node"), half=True),
        Field("recurrence", say("How often"), options=often, half=True),
        Field("until", say("Last day (when it comes again)"), kind="date", half=True),
    ]

    async def submit(typed: Values) -> None:
        asked = ReservationForm(**typed).to_request(session.zone)
        made = await session.client.reservations.create(asked.pop("name"), **asked)
        ui.notify(say("{name} is reserved.", name=made.name))
        if after is not None:
            await after()

    FormDialog(
        session,
        say("Reserve for {project}", project=session.project),
        [replace(field, value=filled[field.name]) for field in fields],
        lambda typed: ReservationForm(**typed).lines(session.zone),
        submit,
        label=say("Reserve"),
        intro=say("Held for the project's jobs in this window; others' jobs flow around it."),
        help_with=_offer_nearest,
    )


def _next_hour(session: PortalSession) -> str:
    hour = session.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return f"{hour:%Y-%m-%dT%H:%M}"


def _offer_nearest(dialog: FormDialog, error: MadangError) -> str | None:
    """The windows that would fit, as buttons that take them; what it says of the conflict."""
    nearest = error.details.get("nearest")
    if nearest is None:
        return None
    say = dialog.session.say
    if not nearest:
        return say("This does not fit beside what else is reserved, and no window near it does.")
    with dialog.ways():
        for window in nearest:
            start = datetime.fromisoformat(window["start"])
            end = datetime.fromisoformat(window["end"])
            _nearest_button(dialog, start, end)
    return say("This does not fit beside what else is reserved. These windows would do:")


def _nearest_button(dialog: FormDialog, start: datetime, end: datetime) -> None:
    session = dialog.session

    async def take() -> None:
        local = start.astimezone(session.zone)
        hours = (end - start).total_seconds() / 3600
        dialog.fill_in(start=f"{local:%Y-%m-%dT%H:%M}", hours=f"{hours:g}")
        await dialog.try_again()

    label = session.say(
        "Take {start} to {end}", start=session.clock(start), end=session.clock(end)
    )
    button(label, take)


def _show(session: PortalSession, reservation: Reservation, draw: Draw) -> None:
    say = session.say
    with ui.dialog(value=True) as dialog, ui.card().classes("m-dialog"):
        html(escape(reservation.name), tag="h2")
        window = next((one for one in reservation.windows if one.state is WindowState.ACTIVE),
                      next(iter(reservation.windows), None))  # fmt: skip
        facts(
            [
                (say("State"), chip(reservation.state, say(reservation.state.value))),
                (say("Holds"), f'<span class="m-mono">{escape(holds_words(reservation))}</span>'),
                (say("Pool"), escape(reservation.pool)),
                (say("From"), escape(session.clock(window.start)) if window else ""),
                (say("To"), escape(session.clock(window.end)) if window else ""),
                (say("How often"), escape(how_often(session, reservation.recurrence))),
                (say("Project"), escape(reservation.project)),
                (say("By"), escape(reservation.user)),
                (say("What for"), escape(reservation.description)),
            ]
        )
        command(f"madang job run --reservation {reservation.name} -- COMMAND", say("Copy"))

        async def cancel() -> None:
            dialog.close()
            await _cancel(session, reservation, draw)

        with ui.element("div").classes("m-ways"):
            button(say("Close"), dialog.close)
            over = reservation.state in (WindowState.ENDED, WindowState.RETURNED)
            if session.may(Permission.RESERVATIONS_WRITE) and not over:
                button(say("Cancel it"), cancel, "danger")


async def _cancel(session: PortalSession, reservation: Reservation, draw: Draw) -> None:
    """One that is planned can be made again, so undoing is offered; one that is held can't."""
    say = session.say

    async def cancel() -> None:
        await session.client.reservations.cancel(reservation.id)
        await draw()

    if reservation.state is WindowState.ACTIVE:
        lost = say("What it holds is given back at once. Its jobs go on, without a place kept.")
        confirm_by_name(session, reservation.name, lost, cancel)
        return
    try:
        await cancel()
    except MadangError as error:
        ui.notify(sentence(str(error)), type="negative", multi_line=True)
        return

    async def undo() -> None:
        await session.client.reservations.create(
            reservation.name,
            project=reservation.project,
            start=reservation.start,
            end=reservation.end,
            resources=reservation.resources,
            replicas=reservation.replicas,
            pool=reservation.pool,
            recurrence=reservation.recurrence,
            until=reservation.until,
            timezone=reservation.timezone,
            description=reservation.description,
        )
        await draw()

    undoable(session, say("{name} is cancelled.", name=reservation.name), undo)
