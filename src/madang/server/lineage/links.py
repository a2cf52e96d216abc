"""The links of the chain: what was made from what, as the domains keep it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.schemas.lineage import LineageEdge, LineageKind
from madang.server.serving.tables import EndpointRevisionRow
from madang.server.tracking.sql import chunks
from madang.server.tracking.tables import ModelVersionRow, RunRow
from madang.server.workloads.tables import WorkloadInputRow


@dataclass(frozen=True, slots=True)
class Link:
    """Columns of a table that names both ends: `target` was made from `source`."""

    source: Any
    target: Any
    ref: Any = None
    condition: ColumnElement[bool] | None = None

    async def into(self, session: AsyncSession, targets: Sequence[str]) -> list[LineageEdge]:
        """What these were made from."""
        return await self._edges(session, self.target, targets)

    async def out_of(self, session: AsyncSession, sources: Sequence[str]) -> list[LineageEdge]:
        """What was made from these."""
        return await self._edges(session, self.source, sources)

    async def _edges(
        self, session: AsyncSession, column: Any, ids: Sequence[str]
    ) -> list[LineageEdge]:
        ref = literal("") if self.ref is None else self.ref
        query = select(self.source, self.target, ref).where(self.source.is_not(None))
        if self.condition is not None:
            query = query.where(self.condition)
        query = query.order_by(self.target.desc())
        found = []
        for some in chunks(ids):
            for source, target, ref in await session.execute(query.where(column.in_(some))):
                found.append(LineageEdge(source, target, ref))
        return found


LINKS: dict[LineageKind, Link] = {
    LineageKind.JOB: Link(
        WorkloadInputRow.input_id,
        WorkloadInputRow.workload_id,
        WorkloadInputRow.ref,
        WorkloadInputRow.kind == "dataset_version",
    ),
    LineageKind.RUN: Link(RunRow.workload_id, RunRow.id),
    LineageKind.MODEL_VERSION: Link(ModelVersionRow.run_id, ModelVersionRow.id),
    LineageKind.ENDPOINT: Link(
        EndpointRevisionRow.model_version_id,
        EndpointRevisionRow.endpoint_id,
        condition=EndpointRevisionRow.retired_at.is_(None),
    ),
}
"""For each kind how it hangs on the one before."""

CHAIN = (LineageKind.DATASET_VERSION, *LINKS)
"""The kinds in the order of the chain: each is made from the one before."""
