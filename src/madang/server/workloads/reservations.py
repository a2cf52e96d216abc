"""Reservations: resources held for a project in windows of time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict, InvalidInput, NotFound
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission
from madang.core.resources import Resources
from madang.scheduling.reservations import Series, spans
from madang.schemas.reservations import Recurrence, ReservationCreate, WindowState
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.identity.tables import ProjectRow, UserRow
from madang.server.workloads.calendar import check_room
from madang.server.workloads.history import record_event
from madang.server.workloads.tables import ReservationRow, ReservationWindowRow

_LONGEST = timedelta(days=366)
_FARTHEST = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class Reserved:
    """A reservation with its windows and the names of what it refers to."""

    row: ReservationRow
    windows: list[ReservationWindowRow]
    project: str
    user: str


async def create_reservation(
    context: ServerContext, principal: Principal, request: ReservationCreate
) -> Reserved:
    """Reserve. Raises Forbidden, InvalidInput; Conflict when the name is taken, or when it does
    not fit beside others' windows, with the nearest windows that do."""
    resources = Resources.parse(request.resources)
    now = context.clock.now()
    _check_start(request.start, now)
    windows = windows_of(request)
    if windows[0][1] <= now:
        raise InvalidInput("this window is over already", field="end")
    try:
        async with context.db.transaction() as session:
            project = await resolve_project(session, principal, request.project)
            principal.require(Permission.RESERVATIONS_WRITE, project.id)
            row = ReservationRow(
                id=new_id("resv"),
                project_id=project.id,
                user_id=principal.user_id,
                name=check_name(request.name, "reservation"),
                created_at=now,
                resources=resources.to_request(),
                start=windows[0][0],
                end=windows[0][1],
                replicas=request.replicas,
                pool=request.pool,
                recurrence=request.recurrence,
                until=request.until,
                timezone=request.timezone,
                return_after_s=request.return_after_s,
                description=request.description,
            )
            await check_room(session, row, now)
            session.add(row)
            await session.flush()
            for start, end in windows:
                session.add(ReservationWindowRow(reservation_id=row.id, start=start, end=end))
            _record(context, session, row, "reserved", principal.name)
            await session.flush()
            return (await _with_windows(session, [row]))[0]
    except IntegrityError:
        raise Conflict(f"there is a reservation {request.name!r} already", field="name") from None


async def list_reservations(
    context: ServerContext,
    principal: Principal,
    *,
    project: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    cursor: str | None,
) -> list[Reserved]:
    """Reservations that she sees, newest first; with `since` or `until` those with a window in
    that time; one more than `limit` when there are more."""
    query = select(ReservationRow).order_by(ReservationRow.id.desc()).limit(limit + 1)
    windows = select(ReservationWindowRow.reservation_id)
    if since is not None:
        windows = windows.where(ReservationWindowRow.end > since)
    if until is not None:
        windows = windows.where(ReservationWindowRow.start < until)
    if since is not None or until is not None:
        query = query.where(ReservationRow.id.in_(windows))
    else:
        query = query.where(ReservationRow.cancelled_at.is_(None))
    if cursor:
        query = query.where(ReservationRow.id < cursor)
    async with context.db.read() as session:
        if project is not None:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.RESERVATIONS_READ, found.id)
            query = query.where(ReservationRow.project_id == found.id)
        elif (visible := principal.visible_projects) is not None:
            query = query.where(ReservationRow.project_id.in_(visible))
        return await _with_windows(session, list(await session.scalars(query)))


async def get_reservation(
    context: ServerContext, principal: Principal, reservation: str, project: str | None
) -> Reserved:
    """By id, or the newest of that name. Raises NotFound."""
    async with context.db.read() as session:
        row = await _find(session, principal, reservation, project)
        principal.require(Permission.RESERVATIONS_READ, row.project_id, what="reservation")
        return (await _with_windows(session, [row]))[0]


async def cancel_reservation(
    context: ServerContext, principal: Principal, reservation: str, project: str | None
) -> None:
    """Give back what is held now and would be later; safe to repeat."""
    async with context.db.transaction() as session:
        row = await _find(session, principal, reservation, project)
        principal.require(Permission.RESERVATIONS_WRITE, row.project_id, what="reservation")
        if row.cancelled_at is not None:
            return
        row.cancelled_at = context.clock.now()
        await session.execute(
            update(ReservationWindowRow)
            .where(
                ReservationWindowRow.reservation_id == row.id,
                ReservationWindowRow.end > row.cancelled_at,
                ReservationWindowRow.returned_at.is_(None),
            )
            .values(returned_at=row.cancelled_at)
        )
        _record(context, session, row, "cancelled", principal.name)


async def resolve_reservation(
    session: AsyncSession, project_id: str, reservation: str, now: datetime
) -> ReservationRow:
    """The one that a job of the project names. Raises NotFound, InvalidInput when it is over."""
    row = await session.scalar(
        select(ReservationRow)
        .where(
            ReservationRow.project_id == project_id,
            (ReservationRow.name == reservation) | (ReservationRow.id == reservation),
        )
        .order_by(ReservationRow.id.desc())
        .limit(1)
    )
    if row is None:
        raise NotFound(
            f"there is no reservation {reservation!r} in this project",
            field="reservation",
            hint="`madang reservation list` shows them.",
        )
    coming = await session.scalar(
        select(ReservationWindowRow.end)
        .where(
            ReservationWindowRow.reservation_id == row.id,
            ReservationWindowRow.end > now,
            ReservationWindowRow.returned_at.is_(None),
        )
        .limit(1)
    )
    if coming is None:
        raise InvalidInput(
            f"reservation {row.name!r} is over, or was given back",
            field="reservation",
            hint="Reserve anew (`madang reservation create`), or run it without.",
        )
    return row


def windows_of(request: ReservationCreate) -> list[tuple[datetime, datetime]]:
    """All windows, first to last. Raises InvalidInput."""
    _check_zone(request.timezone)
    _check_aware(request.start, "start")
    length = _length(request)
    if request.recurrence is not Recurrence.ONCE:
        _check_recurrence(request, length)
    series = Series(
        id="",
        project="",
        groups=(),
        start=request.start.timestamp(),
        end=(request.start + length).timestamp(),
        recurrence=request.recurrence,
        until=request.until.timestamp() if request.until else None,
        timezone=request.timezone,
    )
    moments = (map(_moment, span) for span in spans(series))
    return [(start, end) for start, end in moments]


def _check_start(start: datetime, now: datetime) -> None:
    """Near enough to now that its windows are times, too."""
    _check_aware(start, "start")
    if start - now > _FARTHEST:
        raise InvalidInput(
            f"{start.isoformat()} is too far away",
            field="start",
            hint="Reserve at most ten years ahead.",
        )
    if now - start > _LONGEST:
        raise InvalidInput("this window is over already", field="start")


def _check_recurrence(request: ReservationCreate, length: timedelta) -> None:
    if request.until is None:
        raise InvalidInput(
            "a recurring reservation needs an end",
            field="until",
            hint="Say until when it comes again, at most a year from its start.",
        )
    _check_aware(request.until, "until")
    if not timedelta(0) < request.until - request.start <= _LONGEST:
        raise InvalidInput(
            "a recurring reservation must end after its start, and within a year", field="until"
        )
    step = timedelta(days=7 if request.recurrence is Recurrence.WEEKLY else 1)
    if length > step:
        raise InvalidInput(
            f"a window of {length} would not be over when it comes again",
            field="end",
            hint=f"Reserve at most {step}, or once.",
        )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def state_of(window: ReservationWindowRow, now: datetime) -> WindowState:
    if window.returned_at is not None:
        return WindowState.RETURNED
    if now < window.start:
        return WindowState.PLANNED
    return WindowState.ACTIVE if now < window.end else WindowState.ENDED


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"{name[:100]!r} is no time zone", field="timezone", hint="Write Asia/Seoul or UTC."
        ) from None


def _check_aware(moment: datetime, field: str) -> None:
    if moment.tzinfo is None:
        raise InvalidInput(
            f"{moment.isoformat()} has no time zone",
            field=field,
            hint="Write it like 2026-11-23T09:00:00+09:00, or …Z for UTC.",
        )


def _length(request: ReservationCreate) -> timedelta:
    if (request.end is None) == (request.duration_s is None):
        raise InvalidInput(
            "say either when it ends or how long it takes",
            field="end",
            hint="Give `end` or `duration_s`.",
        )
    if request.end is None:
        assert request.duration_s is not None
        return timedelta(seconds=request.duration_s)
    _check_aware(request.end, "end")
    if not timedelta(0) < request.end - request.start <= _LONGEST:
        raise InvalidInput("it must end after its start, and within a year", field="end")
    return request.end - request.start


async def _find(
    session: AsyncSession, principal: Principal, reservation: str, project: str | None
) -> ReservationRow:
    row = await session.get(ReservationRow, reservation)
    if row is None:
        query = select(ReservationRow).where(ReservationRow.name == reservation)
        if project is not None:
            found = await resolve_project(session, principal, project)
            query = query.where(ReservationRow.project_id == found.id)
        elif (visible := principal.visible_projects) is not None:
            query = query.where(ReservationRow.project_id.in_(visible))
        row = await session.scalar(query.order_by(ReservationRow.id.desc()).limit(1))
    if row is None or not principal.sees(row.project_id):
        raise NotFound(
            f"there is no reservation {reservation!r}, or none that you may see",
            hint="`madang reservation list` shows yours.",
        )
    return row


async def _with_windows(session: AsyncSession, rows: Sequence[ReservationRow]) -> list[Reserved]:
    windows: dict[str, list[ReservationWindowRow]] = defaultdict(list)
    for window in await session.scalars(
        select(ReservationWindowRow)
        .where(ReservationWindowRow.reservation_id.in_([row.id for row in rows]))
        .order_by(ReservationWindowRow.start)
    ):
        windows[window.reservation_id].append(window)
    projects = await session.execute(
        select(ProjectRow.id, ProjectRow.name).where(
            ProjectRow.id.in_({row.project_id for row in rows})
        )
    )
    users = await session.execute(
        select(UserRow.id, UserRow.name).where(UserRow.id.in_({row.user_id for row in rows}))
    )
    names = {found: name for pairs in (projects, users) for found, name in pairs}
    return [
        Reserved(row, windows[row.id], names[row.project_id], names[row.user_id]) for row in rows
    ]


def _record(
    context: ServerContext, session: AsyncSession, row: ReservationRow, action: str, actor: str
) -> None:
    record_event(
        session,
        at=context.clock.now(),
        subject=row.id,
        action=action,
        actor=actor,
        project_id=row.project_id,
        new=row.name,
    )
    announce(session, f"reservation:{row.id}")
