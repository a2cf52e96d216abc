"""Asking twice for the same and getting it once: requests that carry a key of the client's."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput
from madang.core.permissions import Permission
from madang.schemas.jobs import JobCreate
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads.tables import SubmissionRow, WorkloadRow

KEPT = timedelta(days=1)

_KEY = re.compile(r"[!-~]{1,200}")


async def find_submitted(
    session: AsyncSession, principal: Principal, key: str, request: JobCreate
) -> WorkloadRow | None:
    """What came of the request when it was made before with this key; None when it was not.

    Raises InvalidInput when the key was used for another request, or can't be a key.
    """
    if not _KEY.fullmatch(key):
        raise InvalidInput(
            f"{key[:100]!r} is no key for a request",
            field="Idempotency-Key",
            hint="Use 1 to 200 visible ASCII characters, such as a random UUID.",
        )
    row = await session.get(SubmissionRow, (principal.user_id, key))
    if row is None:
        return None
    if row.digest != _digest(request):
        raise InvalidInput(
            f"the key {key!r} was used for another request",
            field="Idempotency-Key",
            hint="Make a new key for each request; repeat one only with the request it came with.",
        )
    workload = await session.get_one(WorkloadRow, row.workload_id)
    principal.require(Permission.JOBS_WRITE, workload.project_id, what="job")
    return workload


async def remember_submitted(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    key: str,
    request: JobCreate,
    workload: WorkloadRow,
) -> None:
    """Keep what came of it, and forget what is old. The commit fails (IntegrityError) where
    another transaction has used the same key meanwhile."""
    now = context.clock.now()
    await session.execute(delete(SubmissionRow).where(SubmissionRow.created_at < now - KEPT))
    session.add(
        SubmissionRow(
            user_id=principal.user_id,
            key=key,
            digest=_digest(request),
            workload_id=workload.id,
            created_at=now,
        )
    )


def _digest(request: JobCreate) -> str:
    return hashlib.sha256(json.dumps(asdict(request), sort_keys=True).encode()).hexdigest()
