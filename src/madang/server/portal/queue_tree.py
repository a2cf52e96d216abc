"""The queue tree as markup: rows in the order of the tree, each with its bar of shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from madang.core.errors import InvalidInput
from madang.core.resources import format_bytes, parse_bytes
from madang.schemas.queues import Amounts, Queue
from madang.server.portal.components import chip
from madang.server.portal.session import PortalSession

AT_ONCE = 1000
"""Queues that are asked for at once: the API works the whole tree out for each page."""

TICKS = 4
"""Into so many equal parts the scale is divided, at least."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What the bars count, how much of it the cluster has, how much a whole bar stands for, and
    the distance of the numbers above."""

    resource: str
    cluster: float
    end: float
    step: float

    def percent(self, amount: float) -> float:
        return min(100.0, 100 * amount / self.end) if self.end else 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """A queue at its depth; `above` is the one that it is part of, where she sees it."""

    queue: Queue
    depth: int
    above: Queue | None
    below: int


async def all_queues(session: PortalSession) -> list[Queue]:
    """Every queue that she sees."""
    queues: list[Queue] = []
    cursor: str | None = None
    while True:
        page = await session.everywhere.queues.list(limit=AT_ONCE, cursor=cursor)
        queues += page.items
        if (cursor := page.next_cursor) is None:
            return queues


def tree_lines(queues: Sequence[Queue]) -> list[Line]:
    """Parents before children, siblings by name. A queue whose parent she does not see is a
    root to her."""
    by_id = {queue.id: queue for queue in queues}
    children: dict[str, list[Queue]] = {}
    for queue in sorted(queues, key=lambda one: one.name):
        parent = queue.parent if queue.parent in by_id else ""
        children.setdefault(parent or "", []).append(queue)
    lines: list[Line] = []
    stack = [(queue, 0) for queue in reversed(children.get("", []))]
    while stack:
        queue, depth = stack.pop()
        below = children.get(queue.id, [])
        lines.append(Line(queue, depth, by_id.get(queue.parent or ""), len(below)))
        stack += [(child, depth + 1) for child in reversed(below)]
    return lines


def matching(lines: Sequence[Line], text: str) -> list[Line]:
    """Those whose name has the text, with all above them."""
    wanted: set[str] = set()
    by_id = {line.queue.id: line for line in lines}
    for line in lines:
        if text.lower() not in line.queue.path.lower():
            continue
        at: Line | None = line
        while at is not None and at.queue.id not in wanted:
            wanted.add(at.queue.id)
            at = by_id.get(at.queue.parent or "")
    return [line for line in lines if line.queue.id in wanted]


def amount_of(amounts: Amounts, resource: str) -> float | None:
    """How much of a resource; of `gpu` without its own entry, all its models together."""
    value = amounts.get(resource)
    if value is None:
        models = [amounts[name] for name in amounts if name.startswith(f"{resource}/")]
        return sum(float(one) for one in models) if models else None
    if resource == "memory":
        try:
            return float(parse_bytes(value, "memory"))
        except InvalidInput:
            return None
    return float(value)


def amount_words(resource: str, amount: float) -> str:
    if resource == "memory":
        return format_bytes(round(amount))
    return f"{amount:,.2f}".rstrip("0").rstrip(".")


def scale_for(lines: Sequence[Line], resource: str, cluster: float) -> Scale:
    """One scale for all rows, so that their bars can be compared."""
    longest = 0.0
    for line in lines:
        queue = line.queue
        for amounts in (queue.used, queue.guarantee):
            longest = max(longest, amount_of(amounts, resource) or 0.0)
        longest = max(longest, queue.fair_share * cluster)
    step = _round_step((longest or cluster) / TICKS, binary=resource == "memory")
    return Scale(resource, cluster, step * math.ceil((longest or cluster) / step), step)


def _round_step(least: float, *, binary: bool) -> float:
    """The next of 1, 2, 2.5, 5, 10…; of bytes the next power of two."""
    if least <= 0:
        return 1.0
    if binary:
        return float(2 ** math.ceil(math.log2(least)))
    power = 10.0 ** math.floor(math.log10(least))
    return float(next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least))


def row_markup(session: PortalSession, line: Line, scale: Scale, *, folded: bool) -> str:
    """One queue: its name, its bar, its weight, what waits and runs, what can be done."""
    say, queue = session.say, line.queue
    closed = "" if queue.open else chip("cordoned", say("closed"))
    owner = queue.project or say("the platform's")
    return (
        f'<div class="who" style="--depth:{line.depth}">{_fold(session, line, folded)}'
        f'<a href="/queues/{escape(queue.id)}">{escape(queue.name)}</a>'
        f'<span class="m-muted">{escape(owner)}</span>{closed}</div>'
        f"{_bar(session, line, scale)}"
        f"{_weight(session, line)}"
        f"{_counts(session, queue)}"
        f"{_menu(session, queue)}"
    )


def _fold(session: PortalSession, line: Line, folded: bool) -> str:
    if not line.below:
        return '<span class="m-fold"></span>'
    label = session.say("Queues below {name}: {count}", name=line.queue.name, count=line.below)
    return (
        f'<button type="button" class="m-fold" data-act="fold" data-queue="{line.queue.id}" '
        f'aria-expanded="{str(not folded).lower()}" aria-label="{escape(label)}"></button>'
    )


def share_words(session: PortalSession, queue: Queue, scale: Scale) -> str:
    """`5.5 of 8 guaranteed in use, 2 borrowed, limit 16`: the bar in words."""
    say, resource = session.say, scale.resource
    used = amount_of(queue.used, resource) or 0.0
    guarantee = amount_of(queue.guarantee, resource) or 0.0
    limit = amount_of(queue.limit, resource)
    borrowed = max(0.0, used - guarantee) if guarantee else 0.0
    facts = {
        "used": amount_words(resource, used),
        "guarantee": amount_words(resource, guarantee),
        "borrowed": amount_words(resource, borrowed),
        "limit": amount_words(resource, limit or 0.0),
        "fair": amount_words(resource, queue.fair_share * scale.cluster),
    }
    if guarantee and borrowed:
        words = say("{used} in use, {borrowed} above the guarantee of {guarantee}", **facts)
    elif guarantee:
        words = say("{used} of {guarantee} guaranteed in use", **facts)
    else:
        words = say("{used} in use, fair share {fair}", **facts)
    return words if limit is None else say("{words}; at most {limit}", words=words, **facts)


def _bar(session: PortalSession, line: Line, scale: Scale) -> str:
    queue, resource = line.queue, scale.resource
    used = amount_of(queue.used, resource) or 0.0
    guarantee = amount_of(queue.guarantee, resource) or 0.0
    limit = amount_of(queue.limit, resource)
    own = min(used, guarantee) if guarantee else used
    marks = ""
    if guarantee:
        marks += f'<i class="kept" style="width:{scale.percent(guarantee):.2f}%"></i>'
    marks += f'<i class="own" style="width:{scale.percent(own):.2f}%"></i>'
    if used > own:
        left, wide = scale.percent(own), scale.percent(used) - scale.percent(own)
        marks += f'<i class="more" style="left:{left:.2f}%;width:{wide:.2f}%"></i>'
    if limit is not None:
        beyond = " beyond" if limit > scale.end else ""
        marks += f'<i class="most{beyond}" style="left:{scale.percent(limit):.2f}%"></i>'
    words = escape(share_words(session, queue, scale))
    return (
        f'<div class="m-share"><div class="track" data-end="{scale.end:.6g}" '
        f'data-cluster="{scale.cluster:.6g}"><span aria-hidden="true">{marks}</span>'
        f"{_handle(session, line, scale)}</div><small>{words}</small></div>"
    )


def _handle(session: PortalSession, line: Line, scale: Scale) -> str:
    """What is dragged to change the weight: it stands where the fair share ends."""
    queue = line.queue
    parent = line.above.fair_share if line.above else 1.0
    at = scale.percent(queue.fair_share * scale.cluster)
    alone = queue.fair_share >= parent - 1e-9
    if not queue.can_write or alone:
        return f'<i class="fair" style="left:{at:.2f}%" aria-hidden="true"></i>'
    label = session.say("Weight of {name}", name=queue.name)
    words = session.say("weight {weight}, {percent} % of what it shares", weight="{weight}",
                        percent="{percent}")  # fmt: skip
    return (
        f'<span class="fair drag" role="slider" tabindex="0" style="left:{at:.2f}%" '
        f'aria-label="{escape(label)}" aria-valuemin="0.01" aria-valuemax="1000" '
        f'aria-valuenow="{queue.weight:g}" data-weight="{escape(queue.id)}" '
        f'data-share="{queue.fair_share:.9g}" data-parent="{parent:.9g}" '
        f'data-words="{escape(words)}" '
        f'aria-valuetext="{escape(_weight_words(session, queue, parent))}"></span>'
    )


def _weight_words(session: PortalSession, queue: Queue, parent: float) -> str:
    percent = 100 * queue.fair_share / parent if parent else 0.0
    return session.say("weight {weight}, {percent} % of what it shares",
                       weight=f"{queue.weight:g}", percent=f"{percent:.3g}")  # fmt: skip


def _weight(session: PortalSession, line: Line) -> str:
    queue = line.queue
    begin = f'<div class="weight" data-title="{escape(session.say("Weight"))}">'
    if not queue.can_write:
        return f'{begin}<span class="m-muted">× {queue.weight:g}</span></div>'
    label = escape(session.say("Weight of {name}, as a number", name=queue.name))
    return (
        f'{begin}<span class="m-muted" aria-hidden="true">×</span>'
        f'<input class="m-input" type="number" min="0.01" step="any" value="{queue.weight:g}" '
        f'aria-label="{label}" data-weight-of="{escape(queue.id)}"></div>'
    )


def _counts(session: PortalSession, queue: Queue) -> str:
    say = session.say
    waiting = say("{count} waiting", count=f"{queue.waiting:,}")
    running = say("{count} running", count=f"{queue.running:,}")
    if queue.waiting:
        shown = f'<a class="m-chip wait" href="/queues/{escape(queue.id)}">{escape(waiting)}</a>'
    else:
        shown = f'<span class="m-muted">{escape(waiting)}</span>'
    return f'<div class="counts">{shown}<span class="m-muted">{escape(running)}</span></div>'


def _menu(session: PortalSession, queue: Queue) -> str:
    if not queue.can_write:
        return ""
    say = session.say
    acts: Mapping[str, str] = {
        "edit": say("Change…"),
        "below": say("New queue below…"),
        "close" if queue.open else "open": say("Close") if queue.open else say("Open"),
        "delete": say("Delete…"),
    }
    items = "".join(
        f'<button type="button" class="m-button quiet" data-act="{act}" '
        f'data-queue="{escape(queue.id)}">{escape(label)}</button>'
        for act, label in acts.items()
    )
    label = escape(say("What to do with {node}", node=queue.name))
    return (
        f'<details class="m-menu" data-menu><summary class="m-button quiet m-dots" '
        f'aria-label="{label}">⋯</summary><div class="m-card">{items}</div></details>'
    )
