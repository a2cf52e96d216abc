"""Queues: the tree that shares the cluster, with bars; weights are dragged or typed."""

from __future__ import annotations

import asyncio
import math
from html import escape

from nicegui import events, ui

from madang.core.permissions import Permission
from madang.schemas.queues import Queue
from madang.schemas.scheduling import ClusterSummary
from madang.server.portal.components import command, html, note
from madang.server.portal.dialogs import button
from madang.server.portal.filters import Filter, FilterBar
from madang.server.portal.frame import header, page, role_note
from madang.server.portal.live import Patience, refresh_on
from madang.server.portal.queue_dialogs import (
    delete_queue,
    edit_queue,
    new_queue,
    set_open,
    set_weight,
)
from madang.server.portal.queue_tree import (
    Line,
    Scale,
    all_queues,
    amount_words,
    matching,
    row_markup,
    scale_for,
    tree_lines,
)
from madang.server.portal.session import PortalSession

PAGE = 50
"""Rows of the tree on a page."""

UNFOLDED = 200
"""A larger tree begins folded."""

QUIET_S = 2.0


@page("/queues", title="Queues", section="/queues")
async def queues_page(session: PortalSession) -> None:
    say = session.say
    tree = QueuesPage(session)
    with header(say("Queues"), say("Who gets how much of the cluster, and in what order.")) as at:
        if session.may(Permission.QUEUES_WRITE):
            button(say("New queue"), tree.new, "primary")
    role_note(session, Permission.QUEUES_WRITE)
    await tree.build(at)


def cluster_amount(summary: ClusterSummary, resource: str) -> float:
    """How much of a resource all nodes have."""
    if resource == "cpu":
        return summary.cpu
    if resource == "memory":
        return float(summary.memory_bytes)
    return float(sum(use.total for use in summary.models if use.kind == resource))


def resources_of(summary: ClusterSummary) -> list[str]:
    """What bars can count, accelerators first."""
    kinds = dict.fromkeys(use.kind for use in summary.models)
    return [*kinds, "cpu", "memory"]


class QueuesPage:
    """The tree of all queues that she sees; rows are drawn again where something changed."""

    def __init__(self, session: PortalSession) -> None:
        self._session = session
        self._queues: list[Queue] = []
        self._rows: dict[str, tuple[str, ui.html]] = {}
        self._folded: set[str] | None = None
        self._first = 0
        self._orderings = ["priority"]

    async def build(self, state: ui.html) -> None:
        session, say = self._session, self._session.say
        self._state = state
        summary = await session.client.cluster.summary()
        self._orderings = (await session.client.scheduling.policy()).orderings
        kinds = tuple((name, _resource_name(session, name)) for name in resources_of(summary))
        with ui.element("div").classes("m-bar"):
            self._filters = FilterBar(
                session,
                [Filter("name", say("Search by name")),
                 Filter("resource", say("Bars count accelerators"), kinds[1:])],
                self._filtered,
            )  # fmt: skip
            ui.element("span").classes("grow")
            html(_legend(session))
        self._head = html("").classes("m-scale")
        self._body = ui.element("div").classes("m-map m-tree")
        self._body.on("click", self._act, js_handler=ACT)
        self._body.on("weight", self._weigh, js_handler="(event) => emit(event.detail)")
        self._pager = ui.element("div").classes("m-pager")
        patience = Patience(self._body, self.draw)
        _what_if(session)
        await self.draw()
        refresh_on(session, ("queue:", "workload:"), patience.draw, quiet_s=QUIET_S)

    def new(self) -> None:
        new_queue(self._session, self._queues, self.draw, orderings=self._orderings)

    async def draw(self) -> None:
        session = self._session
        summary, self._queues = await asyncio.gather(
            session.client.cluster.summary(), all_queues(session)
        )
        self._state.set_content(escape(queues_sentence(session, self._queues)))
        lines = tree_lines(self._queues)
        if self._folded is None:
            big = len(lines) > UNFOLDED
            self._folded = {line.queue.id for line in lines if line.below} if big else set()
        folded = self._folded
        if text := self._filters.chosen.get("name"):
            lines, folded = matching(lines, text), set()
        else:
            lines = _unfolded(lines, folded)
        resource = self._filters.chosen.get("resource", resources_of(summary)[0])
        scale = scale_for(lines, resource, cluster_amount(summary, resource))
        self._first = min(self._first, PAGE * max(0, (len(lines) - 1) // PAGE))
        self._head.set_content(_scale_markup(session, scale))
        self._draw_rows(lines[self._first : self._first + PAGE], scale, folded)
        self._draw_pager(len(lines))

    def _draw_rows(self, lines: list[Line], scale: Scale, folded: set[str]) -> None:
        markup = {
            line.queue.id: row_markup(
                self._session, line, scale, folded=line.queue.id in folded
            )
            for line in lines
        }  # fmt: skip
        if list(markup) != list(self._rows) or not markup:
            self._body.clear()
            self._rows.clear()
            with self._body:
                for key, text in markup.items():
                    self._rows[key] = (text, html(text).classes("m-row"))
                if not markup:
                    self._nothing()
            return
        for key, text in markup.items():
            before, row = self._rows[key]
            if text != before:
                row.set_content(text)
                self._rows[key] = (text, row)

    def _draw_pager(self, count: int) -> None:
        say = self._session.say
        self._pager.clear()
        with self._pager:
            ui.element("span").classes("grow")
            if self._first:
                button(say("Previous"), lambda: self._turn(-PAGE))
            if self._first + PAGE < count:
                button(say("Next"), lambda: self._turn(PAGE))

    def _nothing(self) -> None:
        say = self._session.say
        if self._filters.chosen.get("name"):
            note(
                say("Nothing matches"),
                say("No row has what the filters ask for."),
                action=(say("Clear the filters"), self._session.path),
            )
            return
        note(
            say("No queues yet"),
            say("A project's first job makes its default one; shares are given with more."),
            command_line="madang queue create train --weight 2 --guarantee gpu=4",
        )

    async def _turn(self, step: int) -> None:
        self._first += step
        await self.draw()

    async def _filtered(self) -> None:
        self._first = 0
        await self.draw()

    async def _weigh(self, event: events.GenericEventArguments) -> None:
        queue = self._by_id(event.args["queue"])
        weight = float(event.args["weight"])
        if queue is not None and queue.can_write and math.isfinite(weight) and weight > 0:
            await set_weight(self._session, queue, weight, self.draw)

    async def _act(self, event: events.GenericEventArguments) -> None:
        act, queue_id = event.args
        queue = self._by_id(queue_id)
        if queue is None:
            return
        if act == "fold":
            assert self._folded is not None
            self._folded ^= {queue.id}
            await self.draw()
        elif queue.can_write:
            await self._change(act, queue)

    async def _change(self, act: str, queue: Queue) -> None:
        session = self._session
        if act == "edit":
            edit_queue(session, queue, self._queues, self.draw, orderings=self._orderings)
        elif act == "below":
            new_queue(session, self._queues, self.draw, parent=queue, orderings=self._orderings)
        elif act in ("open", "close"):
            await set_open(session, queue, act == "open", self.draw)
        elif act == "delete":
            delete_queue(session, queue, self.draw)

    def _by_id(self, queue_id: str) -> Queue | None:
        return next((queue for queue in self._queues if queue.id == queue_id), None)


ACT = """(event) => {
  const made = event.target.closest('[data-act]');
  if (!made) return;
  made.closest('details')?.removeAttribute('open');
  emit([made.dataset.act, made.dataset.queue]);
}"""


def queues_sentence(session: PortalSession, queues: list[Queue]) -> str:
    leaves = [queue for queue in queues if queue.leaf]
    return session.say(
        "Queues: {queues}. Jobs that run: {running}, that wait: {waiting}.",
        queues=f"{len(queues):,}",
        running=f"{sum(queue.running for queue in leaves):,}",
        waiting=f"{sum(queue.waiting for queue in leaves):,}",
    )


def _unfolded(lines: list[Line], folded: set[str]) -> list[Line]:
    shown: list[Line] = []
    hidden_below: int | None = None
    for line in lines:
        if hidden_below is not None and line.depth > hidden_below:
            continue
        hidden_below = line.depth if line.queue.id in folded else None
        shown.append(line)
    return shown


def _resource_name(session: PortalSession, resource: str) -> str:
    say = session.say
    names = {"gpu": say("GPUs"), "cpu": say("CPUs"), "memory": say("Memory")}
    return say("Bars count {resource}", resource=names.get(resource, resource))


def _scale_markup(session: PortalSession, scale: Scale) -> str:
    """The numbers above the bars."""
    ticks = "".join(
        f'<span style="left:{scale.percent(number * scale.step):.2f}%">'
        f"{amount_words(scale.resource, number * scale.step)}</span>"
        for number in range(round(scale.end / scale.step) + 1)
    )
    words = _resource_name(session, scale.resource)
    return (
        f'<span class="m-muted">{escape(session.say("Queue"))}</span>'
        f'<div class="ticks" role="img" aria-label="{escape(words)}">{ticks}</div>'
        f'<span class="m-muted">{escape(session.say("Weight"))}</span><span></span><span></span>'
    )


def _legend(session: PortalSession) -> str:
    say = session.say
    kinds = (
        ("own", say("In use")),
        ("more", say("Borrowed")),
        ("kept", say("Guarantee")),
        ("fair", say("Fair share by weight")),
        ("most", say("Limit")),
    )
    keys = "".join(
        f'<span><i class="m-key {kind}"></i>{escape(text)}</span>' for kind, text in kinds
    )
    return f'<div class="m-keys m-legend">{keys}</div>'


def _what_if(session: PortalSession) -> None:
    """The simulator, with the cluster and its history as they are."""
    say = session.say
    html(f"<h2>{escape(say('What if?'))}</h2>")
    words = say(
        "The simulator replays this cluster's own history with other queues, policies or nodes."
    )
    html(f'<p class="m-muted">{escape(words)}</p>')
    command("madang simulate --from-history --html report.html", say("Copy"))
