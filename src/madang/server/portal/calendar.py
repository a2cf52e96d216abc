"""A week as columns of days, with what is reserved as blocks; on a phone as a list of days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from html import escape

from madang.schemas.reservations import Reservation, Window, WindowState
from madang.server.portal.session import PortalSession

DAYS = 7
HOURS = 24
MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Block:
    """The part of a window that lies on one day; `begin` and `end` are parts of the day."""

    reservation: Reservation
    window: Window
    day: date
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Placed:
    """A block, beside how many others it stands and at which place among them."""

    block: Block
    lane: int
    lanes: int


def week_of(text: str, today: date) -> date:
    """The Monday of the week that `text` (an ISO date) lies in; of today's when it is none."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = today
    return day - timedelta(days=day.weekday())


def midnight(session: PortalSession, day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=session.zone)


def blocks_of(
    session: PortalSession, reservations: Iterable[Reservation], monday: date
) -> dict[date, list[Placed]]:
    """What stands on each day of the week, in her zone. What was cancelled before it began does
    not."""
    days = [monday + timedelta(days=number) for number in range(DAYS)]
    blocks = [
        block
        for reservation in reservations
        for window in reservation.windows
        if not (window.state is WindowState.RETURNED and window.start > session.now())
        for day in days
        if (block := _block(session, reservation, window, day)) is not None
    ]
    return {day: place([block for block in blocks if block.day == day]) for day in days}


def _block(
    session: PortalSession, reservation: Reservation, window: Window, day: date
) -> Block | None:
    opens, closes = midnight(session, day), midnight(session, day + timedelta(days=1))
    start, end = max(window.start, opens), min(window.end, closes)
    if start >= end:
        return None
    length = (closes - opens).total_seconds()
    return Block(
        reservation,
        window,
        day,
        (start - opens).total_seconds() / length,
        (end - opens).total_seconds() / length,
    )


def place(blocks: Sequence[Block]) -> list[Placed]:
    """Side by side where they overlap: each in the first lane that is free at its begin."""
    placed: list[Placed] = []
    group: list[tuple[Block, int]] = []
    ends: list[float] = []
    for block in sorted(blocks, key=lambda one: (one.begin, -one.end)):
        if group and block.begin >= max(ends):
            placed += [Placed(one, lane, len(ends)) for one, lane in group]
            group, ends = [], []
        lane = next((number for number, end in enumerate(ends) if end <= block.begin), len(ends))
        if lane == len(ends):
            ends.append(block.end)
        else:
            ends[lane] = block.end
        group.append((block, lane))
    return placed + [Placed(one, lane, len(ends)) for one, lane in group]


def week_markup(session: PortalSession, days: dict[date, list[Placed]], project: str) -> str:
    """The week; each block is a button that tells more (`data-reservation`)."""
    hours = "".join(
        f'<span style="top:{100 * hour / HOURS:.3f}%">{hour:02d}:00</span>'
        for hour in range(0, HOURS, 3)
    )
    columns = "".join(_day(session, day, placed, project) for day, placed in days.items())
    return f'<div class="m-hours" aria-hidden="true">{hours}</div>{columns}'


def _day(session: PortalSession, day: date, placed: list[Placed], project: str) -> str:
    now = session.now()
    when = "today" if day == now.date() else "past" if day < now.date() else ""
    line = ""
    if when == "today":
        passed = (now - midnight(session, day)).total_seconds() / 86_400
        line = f'<hr class="m-now" style="top:{100 * passed:.2f}%">'
    title = escape(session.day(midnight(session, day)))
    items = "".join(_item(session, one, project) for one in placed)
    nothing = "" if placed else f'<li class="none">{escape(session.say("Nothing reserved"))}</li>'
    return (
        f'<section class="m-day {when}" data-day="{day.isoformat()}">'
        f'<h3>{title}</h3><ul data-slots="{day.isoformat()}">{line}{items}{nothing}</ul></section>'
    )


def _item(session: PortalSession, placed: Placed, project: str) -> str:
    block = placed.block
    reservation, window = block.reservation, block.window
    kind = "mine" if reservation.project == project else "others"
    times = f"{session.clock_time(window.start)}–{session.clock_time(window.end)}"
    what = holds_words(reservation)
    label = session.say("{name}: {what}, {times}, {state}", name=reservation.name, what=what,
                        times=times, state=session.say(window.state.value))  # fmt: skip
    style = (
        f"--top:{100 * block.begin:.3f}%;--tall:{100 * (block.end - block.begin):.3f}%;"
        f"--lane:{placed.lane};--lanes:{placed.lanes}"
    )
    return (
        f'<li style="{style}"><button type="button" class="m-block {kind} {window.state.value}" '
        f'data-reservation="{escape(reservation.id)}" aria-label="{escape(label)}">'
        f"<b>{escape(reservation.name)}</b> <span>{escape(times)}</span> "
        f"<span>{escape(what.partition(' cpu=')[0].partition(' memory=')[0])}</span></button></li>"
    )


def holds_words(reservation: Reservation) -> str:
    """`2 × gpu=8 cpu=1`: what is held in each window, accelerators first."""
    parts = sorted(reservation.resources.items(), key=lambda one: one[0] in ("cpu", "memory"))
    wanted = " ".join(f"{key}={value}" for key, value in parts)
    return f"{reservation.replicas} × {wanted}" if reservation.replicas > 1 else wanted
