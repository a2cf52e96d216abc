"""Queues: a tree that shares the cluster. Work waits in its leaves; each project has one."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.amounts import parse_amounts
from madang.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission
from madang.schemas.queues import QueueChange, QueueCreate
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.identity.tables import ProjectRow
from madang.server.workloads.history import record_event
from madang.server.workloads.queue_tree import QueueTree
from madang.server.workloads.queue_use import (
    Capacity,
    QueueUse,
    count_work,
    read_capacity,
    read_tree,
    uses_of,
)
from madang.server.workloads.tables import QueueRow

DEFAULT_QUEUE = "default"

_CHANGE_IT = "Choose another name, or change that one: `madang queue update`."

AMOUNTS = ("guarantee", "limit", "borrowing_limit", "lending_limit")


async def resolve_queue(
    session: AsyncSession, context: ServerContext, project_id: str, queue: str
) -> QueueRow:
    """The queue that work of the project is to wait in: one of the project or of the platform, by
    name or id; the default one for an empty name, made when the project has none yet. Needs a
    writing transaction. Raises NotFound, InvalidInput when no work can wait there."""
    found = await _named(session, project_id, queue or DEFAULT_QUEUE)
    if not queue and found is not None and found.project_id is None:
        found = None
    if found is None and queue not in ("", DEFAULT_QUEUE):
        raise NotFound(
            f"there is no queue {queue!r} for this project",
            field="queue",
            hint="`madang queue list` shows them.",
        )
    if found is None:
        return await _make_default(session, context, project_id)
    below = await session.scalar(
        select(QueueRow.id).where(QueueRow.parent_id == found.id, QueueRow.deleted_at.is_(None))
    )
    if below is not None:
        leaves = (await read_tree(session)).leaves_below(found.id)
        names = sorted(row.name for row in leaves if row.project_id in (None, project_id))
        raise InvalidInput(
            f"queue {found.name!r} only groups others, nothing can wait in it",
            field="queue",
            hint=f"Use one below it: {', '.join(names)}."
            if names
            else "None below it is this project's or the platform's: use another queue.",
        )
    return found


async def create_queue(
    context: ServerContext, principal: Principal, request: QueueCreate
) -> QueueUse:
    """Make a queue. Raises Forbidden, InvalidInput with what would do, Conflict when the name is
    taken or work waits right in the parent."""
    try:
        async with context.db.transaction() as session:
            project = None
            if not request.platform:
                project = await resolve_project(session, principal, request.project)
                principal.require(Permission.QUEUES_WRITE, project.id)
            row = QueueRow(
                id=new_id("queue"),
                project_id=project.id if project else None,
                name=check_name(request.name, "queue"),
                created_at=context.clock.now(),
            )
            tree, capacity = await read_tree(session), await read_capacity(session)
            if any(_same_name(row, other) for other in tree.rows.values()):
                raise _taken(row.name)
            await _change(session, tree, capacity, row, request)
            _check_may_write(principal, tree, row)
            tree = QueueTree([*tree.rows.values(), row])
            tree.check(row, capacity.amounts)
            session.add(row)
            _record(context, session, principal, row, "created")
            return (await uses_of(session, tree, capacity, [row.id]))[0]
    except IntegrityError:
        raise _taken(request.name) from None


def _same_name(row: QueueRow, other: QueueRow) -> bool:
    return (row.project_id, row.name) == (other.project_id, other.name)


def _taken(name: str) -> Conflict:
    return Conflict(f"there is a queue {name!r} already", field="name", hint=_CHANGE_IT)


async def change_queue(
    context: ServerContext,
    principal: Principal,
    queue: str,
    change: QueueChange,
    *,
    project: str | None = None,
) -> QueueUse:
    """Change what is given. Raises NotFound, Forbidden, InvalidInput, Conflict."""
    try:
        async with context.db.transaction() as session:
            row = await find_queue(session, principal, queue, project)
            tree, capacity = await read_tree(session), await read_capacity(session)
            row = tree.rows[row.id]
            _check_may_write(principal, tree, row)
            if change.name is not None:
                row.name = check_name(change.name, "queue")
            await _change(session, tree, capacity, row, change)
            tree = QueueTree(tree.rows.values())
            _check_may_write(principal, tree, row)
            tree.check(row, capacity.amounts)
            _record(context, session, principal, row, "changed")
            await session.flush()
            return (await uses_of(session, tree, capacity, [row.id]))[0]
    except IntegrityError:
        raise Conflict(f"there is a queue {change.name!r} already", field="name") from None


async def delete_queue(
    context: ServerContext, principal: Principal, queue: str, *, project: str | None = None
) -> None:
    """Remove an empty queue. Raises Conflict while it has queues below it or live work."""
    async with context.db.transaction() as session:
        row = await find_queue(session, principal, queue, project)
        tree = await read_tree(session)
        row = tree.rows[row.id]
        _check_may_write(principal, tree, row)
        if below := tree.children(row.id):
            names = ", ".join(sorted(child.name for child in below))
            raise Conflict(
                f"queue {row.name!r} has others below it",
                hint=f"Delete or move them first: {names}.",
            )
        counts = await count_work(session, [row.id])
        if counts["waiting"] or counts["running"]:
            raise Conflict(
                f"{counts['waiting']} jobs wait in queue {row.name!r} and {counts['running']} run "
                "from it",
                hint="Close it (`madang queue update --closed`), move what waits elsewhere "
                "(`madang job move JOB QUEUE`), and delete it when all have ended.",
            )
        row.deleted_at = context.clock.now()
        _record(context, session, principal, row, "deleted")


async def list_queues(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    *,
    limit: int,
    cursor: str | None,
) -> list[QueueUse]:
    """Queues of a project, or all that she sees with the platform's own, newest first; one more
    than `limit` when there are more."""
    query = select(QueueRow.id).where(QueueRow.deleted_at.is_(None))
    query = query.order_by(QueueRow.id.desc()).limit(limit + 1)
    async with context.db.read() as session:
        if project is not None:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.QUEUES_READ, found.id)
            query = query.where(QueueRow.project_id == found.id)
        elif (visible := principal.visible_projects) is not None:
            query = query.where(
                or_(QueueRow.project_id.in_(visible), QueueRow.project_id.is_(None))
            )
        if cursor:
            query = query.where(QueueRow.id < cursor)
        ids = list(await session.scalars(query))
        return await _uses(session, ids)


async def get_queue(
    context: ServerContext, principal: Principal, project: str | None, queue: str
) -> QueueUse:
    """One queue by id, or by name. Raises NotFound, InvalidInput when several have the name."""
    async with context.db.read() as session:
        row = await find_queue(session, principal, queue, project)
        return (await _uses(session, [row.id]))[0]


async def find_queue(
    session: AsyncSession, principal: Principal, queue: str, project: str | None
) -> QueueRow:
    """By id, or by name: in the project when one is given, else in all that she sees."""
    row = await session.get(QueueRow, queue)
    if row is None or row.deleted_at is not None:
        row = await _find_by_name(session, principal, queue, project)
    if row.project_id is not None:
        principal.require(Permission.QUEUES_READ, row.project_id, what="queue")
    return row


def may_write(principal: Principal, tree: QueueTree, row: QueueRow) -> bool:
    """Administrators may change all queues; maintainers those below a queue of their project:
    what these take, they take from each other."""
    if principal.allows(Permission.SCHEDULING_WRITE):
        return True
    parent = tree.rows.get(row.parent_id or "")
    return (
        row.project_id is not None
        and parent is not None
        and parent.project_id == row.project_id
        and principal.allows(Permission.QUEUES_WRITE, row.project_id)
    )


async def project_names_of(session: AsyncSession, rows: Sequence[QueueRow]) -> dict[str, str]:
    """Id → name."""
    ids = {row.project_id for row in rows if row.project_id}
    found = await session.execute(
        select(ProjectRow.id, ProjectRow.name).where(ProjectRow.id.in_(ids))
    )
    return {project_id: name for project_id, name in found}


def _check_may_write(principal: Principal, tree: QueueTree, row: QueueRow) -> None:
    if row.project_id is None:
        principal.require(Permission.SCHEDULING_WRITE)
    else:
        principal.require(Permission.QUEUES_WRITE, row.project_id, what="queue")
    if may_write(principal, tree, row):
        return
    own = sorted(tree.path(other.id) for other in tree.rows.values()
                 if other.project_id == row.project_id and other.id != row.id)  # fmt: skip
    raise Forbidden(
        f"only an administrator may change {row.name!r}, which takes its share from others'",
        hint="You may make and change queues below one of your project's"
        + (f": {', '.join(own)}." if own else "; an administrator makes the first."),
    )


async def _change(
    session: AsyncSession,
    tree: QueueTree,
    capacity: Capacity,
    row: QueueRow,
    wanted: QueueCreate | QueueChange,
) -> None:
    for name in AMOUNTS:
        if (amounts := getattr(wanted, name)) is not None:
            setattr(row, name, parse_amounts(amounts, name, capacity.kinds))
    for name in ("description", "weight", "reclaimable", "ordering", "min_runtime_s"):
        if (value := getattr(wanted, name)) is not None:
            setattr(row, name, value)
    if wanted.open is not None:
        row.is_open = wanted.open
    if wanted.parent is not None:
        row.parent_id = await _parent(session, tree, row, wanted.parent)


async def _parent(
    session: AsyncSession, tree: QueueTree, row: QueueRow, parent: str
) -> str | None:
    if not parent:
        return None
    found = tree.rows.get(parent) or await _named(session, row.project_id, parent)
    of_a_project = any(parent == other.name for other in tree.rows.values())
    if found is None and row.project_id is None and of_a_project:
        raise InvalidInput(
            f"queue {row.name!r} is the platform's and can't be below {parent!r}, a project's",
            field="parent",
            hint="Use a queue of the platform, or '' for the root.",
        )
    if found is None:
        raise NotFound(
            f"there is no queue {parent!r} of this project or of the platform",
            field="parent",
            hint="`madang queue list` shows them.",
        )
    counts = await count_work(session, [found.id])
    if tree.is_leaf(found.id) and (counts["waiting"] or counts["running"]):
        raise Conflict(
            f"work waits in or runs from queue {found.name!r}, so that no other can be below it",
            field="parent",
            hint="Make a queue that only groups others, with both below it.",
        )
    return found.id


async def _named(session: AsyncSession, project_id: str | None, name: str) -> QueueRow | None:
    """Of the project, or else of the platform."""
    rows = await session.scalars(
        select(QueueRow).where(
            or_(QueueRow.project_id == project_id, QueueRow.project_id.is_(None)),
            or_(QueueRow.name == name, QueueRow.id == name),
            QueueRow.deleted_at.is_(None),
        )
    )
    return max(rows, key=lambda row: row.project_id is not None, default=None)


async def _find_by_name(
    session: AsyncSession, principal: Principal, queue: str, project: str | None
) -> QueueRow:
    found: QueueRow | None = None
    if project is not None:
        home = await resolve_project(session, principal, project)
        found = await _named(session, home.id, queue)
    else:
        query = select(QueueRow).where(QueueRow.name == queue, QueueRow.deleted_at.is_(None))
        if (visible := principal.visible_projects) is not None:
            query = query.where(
                or_(QueueRow.project_id.in_(visible), QueueRow.project_id.is_(None))
            )
        rows = list(await session.scalars(query.limit(2)))
        if len(rows) > 1:
            raise InvalidInput(
                f"there are several queues {queue!r}",
                field="project",
                hint="Say of which project, or use its id.",
            )
        found = rows[0] if rows else None
    if found is None:
        raise NotFound(f"there is no queue {queue!r}", hint="`madang queue list` shows yours.")
    return found


async def _uses(session: AsyncSession, queue_ids: Sequence[str]) -> list[QueueUse]:
    tree, capacity = await read_tree(session), await read_capacity(session)
    return await uses_of(session, tree, capacity, queue_ids)


def _record(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    row: QueueRow,
    action: str,
) -> None:
    record_event(
        session,
        at=context.clock.now(),
        subject=row.id,
        action=action,
        actor=principal.name,
        project_id=row.project_id,
        new=row.name,
    )
    announce(session, f"queue:{row.id}")


async def _make_default(
    session: AsyncSession, context: ServerContext, project_id: str
) -> QueueRow:
    row = QueueRow(
        id=new_id("queue"),
        project_id=project_id,
        name=DEFAULT_QUEUE,
        created_at=context.clock.now(),
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:  # somebody else's first submission was quicker
        found = await _named(session, project_id, DEFAULT_QUEUE)
        assert found is not None
        return found
    announce(session, f"queue:{row.id}")
    return row
