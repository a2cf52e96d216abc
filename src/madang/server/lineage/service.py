"""Following the chain from one thing: up to what it was made from, down to what it became."""

from __future__ import annotations

from madang.core.errors import NotFound
from madang.schemas.lineage import LineageChain, LineageEdge, LineageKind
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.lineage import nodes
from madang.server.lineage.links import CHAIN, LINKS

MAX_NODES_PER_KIND = 1_000


async def trace(
    context: ServerContext,
    principal: Principal,
    kind: LineageKind,
    ref: str,
    project: str | None = None,
) -> LineageChain:
    """The chain of one thing; what belongs to projects that she does not see is left out.

    Raises NotFound, Forbidden, InvalidInput when the reference can't be read.
    """
    if "\0" in ref:
        what = kind.value.replace("_", " ")
        raise NotFound(f"there is no {what} {ref!r}, or none that you may see", field=kind.value)
    async with context.db.read() as session:
        subject = await nodes.find(session, principal, kind, ref, project)
        place = CHAIN.index(kind)
        ids: dict[LineageKind, list[str]] = {kind: [subject]}
        edges: list[LineageEdge] = []
        truncated = False
        for target in reversed(CHAIN[1 : place + 1]):
            found = await LINKS[target].into(session, ids[target])
            source = CHAIN[CHAIN.index(target) - 1]
            ids[source], cut = _first([edge.source for edge in found])
            edges, truncated = edges + found, truncated or cut
        for target in CHAIN[place + 1 :]:
            source = CHAIN[CHAIN.index(target) - 1]
            found = await LINKS[target].out_of(session, ids[source])
            ids[target], cut = _first([edge.target for edge in found])
            edges, truncated = edges + found, truncated or cut
        described = [
            node
            for step in CHAIN
            for node in await nodes.describe(session, principal, step, ids[step])
        ]
    shown = {node.id for node in described}
    kept = [edge for edge in edges if edge.source in shown and edge.target in shown]
    return LineageChain(subject, described, kept, truncated)


def _first(ids: list[str]) -> tuple[list[str], bool]:
    """Each id once, at most so many, and whether some were left out."""
    unique = list(dict.fromkeys(ids))
    return unique[:MAX_NODES_PER_KIND], len(unique) > MAX_NODES_PER_KIND
