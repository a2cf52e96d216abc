"""Tables for thousands: paged and filtered by the server, keyboard, selection, CSV.

A table is one piece of markup, made anew when something changed; its state (filters, page) is in
the page's address, so that a link shows a colleague the same.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Generic, TypeVar

from nicegui import events, ui

from madang.core.errors import MadangError
from madang.schemas import Page
from madang.server.portal.components import (
    html,
    note,
    sentence,
    with_attributes,
)
from madang.server.portal.dialogs import button
from madang.server.portal.filters import Filter, FilterBar
from madang.server.portal.frame import problem_panel
from madang.server.portal.session import PortalSession

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """`cell` gives markup (escaped by who writes it), `text` what stands in the CSV."""

    title: str
    cell: Callable[[Row], str]
    text: Callable[[Row], object]
    numeric: bool = False


Fetch = Callable[..., Awaitable[Page[Row]]]
BulkAction = Callable[[list[str]], Awaitable[None]]


class ServerTable(Generic[Row]):
    """`fetch(limit=, cursor=, **filters)` gives a page of rows; `empty` is shown for none."""

    def __init__(
        self,
        session: PortalSession,
        fetch: Fetch[Row],
        columns: Sequence[Column[Row]],
        *,
        key: Callable[[Row], str],
        name: Callable[[Row], str],
        href: Callable[[Row], str],
        empty: Callable[[], object],
        filters: Sequence[Filter] = (),
        bulk: Sequence[tuple[str, BulkAction]] = (),
        page_size: int = 50,
    ) -> None:
        self._session = session
        self._fetch = fetch
        self._columns = columns
        self._key = key
        self._name = name
        self._href = href
        self._empty = empty
        self._filters = filters
        self._chosen: dict[str, str] = {}
        self._bulk = bulk
        self._page_size = page_size
        cursor = session.query.get("cursor")
        self._cursors: list[str | None] = [None, cursor] if cursor else [None]

    async def build(self) -> None:
        """Draw the filters and the first page."""
        if self._filters or self._bulk:
            with ui.element("div").classes("m-bar"):
                bar = FilterBar(self._session, self._filters, self._filtered)
                self._chosen = bar.chosen
                ui.element("span").classes("grow")
                for label, action in self._bulk:
                    self._build_bulk(label, action)
        self._body = ui.element("div")
        await self.refresh()

    async def refresh(self) -> None:
        """Fetch the page that is shown and draw it again."""
        try:
            page = await self._fetch(
                limit=self._page_size, cursor=self._cursors[-1], **self._chosen
            )
        except MadangError as error:
            self._body.clear()
            with self._body:
                problem_panel(self._session, error)
            return
        self._body.clear()
        with self._body:
            if page.items:
                self._draw(page)
            elif self._chosen or len(self._cursors) > 1:
                note(
                    self._session.say("Nothing matches"),
                    self._session.say("No row has what the filters ask for."),
                    action=(self._session.say("Clear the filters"), self._session.path),
                )
            else:
                self._empty()

    def _draw(self, page: Page[Row]) -> None:
        head = "".join(
            f"<th{' class=num' if column.numeric else ''}>{escape(column.title)}</th>"
            for column in self._columns
        )
        pick_all = self._session.say("Choose all")
        pick = (
            f'<th class="pick"><input type="checkbox" aria-label="{escape(pick_all)}" '
            'onchange="madang.pickAll(this)"></th>'
            if self._bulk
            else ""
        )
        rows = "".join(self._row(row) for row in page.items)
        html(
            f'<table class="m-table stack"><thead><tr>{pick}{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table>"
        ).classes("m-tablebox")
        self._draw_pager(page)

    def _row(self, row: Row) -> str:
        cells = "".join(
            f'<td data-title="{escape(column.title)}"{" class=num" if column.numeric else ""}>'
            f"{column.cell(row)}</td>"
            for column in self._columns
        )
        key = escape(self._key(row))
        label = escape(self._session.say("Choose {name}", name=self._name(row)))
        pick = (
            f'<td class="pick"><input type="checkbox" class="pick" value="{key}" '
            f'aria-label="{label}"></td>'
            if self._bulk
            else ""
        )
        href = self._href(row)
        leads = f' data-href="{escape(href)}"' if href else ""
        return f'<tr data-key="{key}"{leads}>{pick}{cells}</tr>'

    def _draw_pager(self, page: Page[Row]) -> None:
        async def turn(cursors: list[str | None]) -> None:
            self._cursors = cursors
            self._session.keep(cursor=cursors[-1])
            await self.refresh()

        with ui.element("div").classes("m-pager"):
            every_row = self._session.say("All rows that the filters let through")
            with_attributes(button("CSV", self._export, "quiet"), {"title": every_row})
            ui.element("span").classes("grow")
            if len(self._cursors) > 1:
                button(self._session.say("Previous"), lambda: turn(self._cursors[:-1]))
            if page.next_cursor is not None:
                button(self._session.say("Next"), lambda: turn([*self._cursors, page.next_cursor]))

    async def _filtered(self) -> None:
        self._cursors = [None]
        await self.refresh()

    def _build_bulk(self, label: str, action: BulkAction) -> None:
        async def run(event: events.GenericEventArguments) -> None:
            keys: Any = event.args
            if not keys:
                ui.notify(self._session.say("Choose rows first."))
                return
            try:
                await action([str(key) for key in keys])
            except MadangError as error:
                ui.notify(sentence(str(error)), type="negative", multi_line=True)
            ui.run_javascript("madang.pickNone()")
            await self.refresh()

        made = ui.element("button").classes("m-button").props('type="button"')
        made.on("click", run, js_handler="() => emit(madang.picked())")
        with made:
            html(escape(label), tag="span")

    async def _export(self) -> None:
        """All rows that the filters let through, as CSV."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow([column.title for column in self._columns])
        cursor: str | None = None
        try:
            while True:
                page = await self._fetch(limit=1000, cursor=cursor, **self._chosen)
                for row in page.items:
                    writer.writerow([_inert(column.text(row)) for column in self._columns])
                if (cursor := page.next_cursor) is None:
                    break
        except MadangError as error:
            ui.notify(sentence(str(error)), type="negative", multi_line=True)
            return
        name = self._session.path.strip("/").replace("/", "-") or "home"
        ui.download.content(out.getvalue(), f"{name}.csv", "text/csv")


def _inert(value: object) -> object:
    """Text that a spreadsheet would run as a formula is written so that it does not."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" and value else value
