"""Cluster: every node as a row, every accelerator as a cell; reservations and history beside."""

from __future__ import annotations

import asyncio
from html import escape

from nicegui import events, ui

from madang.core.errors import MadangError
from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.nodes import NodeState
from madang.schemas.scheduling import ClusterNode, ClusterSummary
from madang.server.portal.cluster_map import legend, model_card, node_row, number
from madang.server.portal.components import html, note, tabs
from madang.server.portal.dialogs import button
from madang.server.portal.filters import Filter, FilterBar
from madang.server.portal.frame import header, page, problem_panel
from madang.server.portal.history import history_tab
from madang.server.portal.live import Patience, refresh_on
from madang.server.portal.node_dialogs import act_on_node
from madang.server.portal.reservations import new_reservation, reservations_tab
from madang.server.portal.session import PortalSession

PAGE = 50
"""Nodes on a page: with eight accelerators each, 400 cells."""

CHANGES = ("node:", "workload:", "allocations", "reservation:")
"""Topics after which the map may look otherwise."""

QUIET_S = 2.0


@page("/cluster", title="Cluster", section="/cluster")
async def cluster_page(session: PortalSession) -> None:
    say = session.say
    current = session.query.get("tab", "nodes")
    with header(say("Cluster")) as state:
        if current == "reservations" and session.may(Permission.RESERVATIONS_WRITE):
            button(say("Reserve"), lambda: new_reservation(session), "primary")
    kinds = (
        ("nodes", say("Nodes")),
        ("reservations", say("Reservations")),
        ("history", say("History")),
    )
    tabs([(key, label, f"/cluster?tab={key}") for key, label in kinds], current)
    if current == "reservations":
        await reservations_tab(session, state)
    elif current == "history":
        await history_tab(session, state)
    else:
        await ClusterNodes(session, state).build()


def cluster_sentence(session: PortalSession, summary: ClusterSummary) -> str:
    """`61 of 64 accelerators in use. Nodes: 8.…`, and what is wrong."""
    say, nodes = session.say, summary.nodes
    count = sum(nodes.values())
    if not count:
        return say("No node is connected: nothing can start.")
    sentence = say(
        "{used} of {total} accelerators in use. Nodes: {nodes}. Jobs that wait: {waiting}.",
        used=number(sum(use.used for use in summary.models)),
        total=number(sum(use.total for use in summary.models)),
        nodes=f"{count:,}",
        waiting=f"{summary.waiting:,}",
    )
    if closed := nodes.get(NodeState.CORDONED, 0):
        sentence += " " + say("Nodes that take nothing new: {count}.", count=f"{closed:,}")
    if lost := nodes.get(NodeState.LOST, 0):
        sentence += " " + say("Nodes that do not answer: {count}.", count=f"{lost:,}")
    return sentence


class ClusterNodes:
    """The map: a page of nodes, drawn again row by row, and only where something changed."""

    def __init__(self, session: PortalSession, state: ui.html) -> None:
        self._session = session
        self._state = state
        self._rows: dict[str, tuple[str, ui.html]] = {}
        self._cursors: list[str | None] = [None]
        self._may_write = session.may(Permission.NODES_WRITE)

    async def build(self) -> None:
        session, say = self._session, self._session.say
        summary = await session.client.cluster.summary()
        self._models = html("").classes("m-models")
        pools = tuple((pool, pool) for pool in summary.pools if pool)
        states = tuple((state.value, say(state.value)) for state in NodeState)
        filters = [
            Filter("name", say("Search by name")),
            Filter("state", say("Any state"), states),
        ]
        if pools:
            filters.append(Filter("pool", say("Any pool"), pools))
        with ui.element("div").classes("m-bar"):
            self._filters = FilterBar(session, filters, self._filtered)
            ui.element("span").classes("grow")
            html(legend(session))
        self._grid = ui.element("div").classes("m-map")
        self._grid.on("click", self._act, js_handler=ACT)
        self._pager = ui.element("div").classes("m-pager")
        patience = Patience(self._grid, self.draw)
        await self.draw()
        refresh_on(session, CHANGES, patience.draw, quiet_s=QUIET_S)

    async def draw(self) -> None:
        """Fetch what is shown and change the rows that are other than before."""
        client = self._session.client
        try:
            summary, nodes = await asyncio.gather(
                client.cluster.summary(),
                client.cluster.list(limit=PAGE, cursor=self._cursors[-1], **self._filters.chosen),
            )
        except MadangError as error:
            self._clear()
            with self._grid:
                problem_panel(self._session, error)
            return
        self._state.set_content(escape(cluster_sentence(self._session, summary)))
        cards = "".join(model_card(self._session, use) for use in summary.models)
        if cards != self._models.content:
            self._models.set_content(cards)
        if not nodes.items:
            self._nothing()
        elif [node.id for node in nodes.items] == list(self._rows):
            for node in nodes.items:
                self._redraw(node)
        else:
            self._draw_rows(nodes)

    def _draw_rows(self, nodes: Page[ClusterNode]) -> None:
        self._clear()
        with self._grid:
            for node in nodes.items:
                markup = node_row(self._session, node, may_write=self._may_write)
                row = html(markup).classes("m-row")
                self._rows[node.id] = (markup, row)
        with self._pager:
            ui.element("span").classes("grow")
            if len(self._cursors) > 1:
                button(self._session.say("Previous"), lambda: self._turn(self._cursors[:-1]))
            if nodes.next_cursor is not None:
                following = [*self._cursors, nodes.next_cursor]
                button(self._session.say("Next"), lambda: self._turn(following))

    def _redraw(self, node: ClusterNode) -> None:
        before, row = self._rows[node.id]
        markup = node_row(self._session, node, may_write=self._may_write)
        if markup != before:
            row.set_content(markup)
            self._rows[node.id] = (markup, row)

    def _nothing(self) -> None:
        say = self._session.say
        self._clear()
        with self._grid:
            if self._filters.chosen:
                note(
                    say("Nothing matches"),
                    say("No row has what the filters ask for."),
                    action=(say("Clear the filters"), self._session.path),
                )
            else:
                note(
                    say("No nodes yet"),
                    say("A machine appears here as soon as the agent on it is started."),
                    command_line="madang up",
                )

    def _clear(self) -> None:
        self._rows.clear()
        self._grid.clear()
        self._pager.clear()

    async def _turn(self, cursors: list[str | None]) -> None:
        self._cursors = cursors
        await self.draw()

    async def _filtered(self) -> None:
        self._cursors = [None]
        await self.draw()

    async def _act(self, event: events.GenericEventArguments) -> None:
        act, node = event.args
        if act == "show" or self._may_write:
            await act_on_node(self._session, act, node, self.draw)


ACT = """(event) => {
  const made = event.target.closest('[data-act]');
  if (!made) return;
  made.closest('details')?.removeAttribute('open');
  emit([made.dataset.act, made.dataset.node]);
}"""
"""One listener for all rows: which of their buttons was pressed."""
