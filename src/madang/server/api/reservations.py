"""Routes of reservations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.reservations import (
    Recurrence,
    Reservation,
    ReservationCreate,
    Window,
    WindowState,
)
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.workloads import reservations
from madang.server.workloads.reservations import Reserved, state_of

router = APIRouter(prefix="/reservations", tags=["scheduling"])

ProjectQuery = Annotated[str | None, Query(description="Project, by name or id.")]
MomentQuery = Annotated[datetime | None, Query(description="With a time zone; UTC without.")]

_ORDER = (WindowState.ACTIVE, WindowState.PLANNED, WindowState.ENDED, WindowState.RETURNED)


@router.get("", dependencies=[permit(Permission.RESERVATIONS_READ)])
async def list_reservations(
    context: Context,
    actor: Actor,
    paging: PagingQuery,
    project: ProjectQuery = None,
    since: MomentQuery = None,
    until: MomentQuery = None,
) -> Page[Reservation]:
    """Reservations that you see, newest first; with `since` or `until`, those in that time."""
    found = await reservations.list_reservations(
        context,
        actor,
        project=project,
        since=aware(since),
        until=aware(until),
        limit=paging.limit,
        cursor=paging.cursor,
    )
    now = context.clock.now()
    return page_of(found, paging, lambda one: _shown(one, now), lambda one: one.row.id)


@router.post("", status_code=201, dependencies=[permit(Permission.RESERVATIONS_WRITE)])
async def create_reservation(
    body: ReservationCreate, context: Context, actor: Actor
) -> Reservation:
    """Hold resources for a project in a window, once or again and again. What does not fit is
    refused with the nearest windows that do (`details.nearest`)."""
    found = await reservations.create_reservation(context, actor, body)
    return _shown(found, context.clock.now())


@router.get("/{reservation}", dependencies=[permit(Permission.RESERVATIONS_READ)])
async def get_reservation(
    reservation: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Reservation:
    """One reservation, by id or name, with its windows."""
    found = await reservations.get_reservation(context, actor, reservation, project)
    return _shown(found, context.clock.now())


@router.delete(
    "/{reservation}", status_code=204, dependencies=[permit(Permission.RESERVATIONS_WRITE)]
)
async def cancel_reservation(
    reservation: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> None:
    """Give back what it holds, now and later. Safe to repeat."""
    await reservations.cancel_reservation(context, actor, reservation, project)


def aware(moment: datetime | None) -> datetime | None:
    """Without a time zone it is UTC."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _shown(found: Reserved, now: datetime) -> Reservation:
    row = found.row
    states = [state_of(window, now) for window in found.windows]
    return Reservation(
        id=row.id,
        name=row.name,
        project=found.project,
        user=found.user,
        description=row.description,
        resources=row.resources,
        replicas=row.replicas,
        pool=row.pool,
        start=row.start,
        end=row.end,
        recurrence=Recurrence(row.recurrence),
        until=row.until,
        timezone=row.timezone,
        state=min(states, key=_ORDER.index),
        windows=[
            Window(window.start, window.end, state)
            for window, state in zip(found.windows, states, strict=True)
        ],
        created_at=row.created_at,
    )
