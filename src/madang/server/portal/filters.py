"""Filters above a list, kept in the page's address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from html import escape

from nicegui import events, ui

from madang.server.portal.components import html, with_attributes
from madang.server.portal.session import PortalSession


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter, kept in the address as `name`. Without `options` it is text."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...] = ()


class FilterBar:
    """Draws filters where it is made; `chosen` has what they say, `changed` is called after."""

    def __init__(
        self,
        session: PortalSession,
        filters: Sequence[Filter],
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._session = session
        self._filters = filters
        self._changed = changed
        self.chosen = {
            entry.name: session.query[entry.name]
            for entry in filters
            if entry.name in session.query
        }
        for entry in filters:
            self._build(entry)

    def _build(self, entry: Filter) -> None:
        async def choose(change: events.GenericEventArguments) -> None:
            value = str(change.args or "").strip()
            self.chosen.pop(entry.name, None)
            if value:
                self.chosen[entry.name] = value
            self._session.keep(**{entry.name: value}, cursor=None)
            await self._changed()

        current = self.chosen.get(entry.name, "")
        read = "(event) => emit(event.target.value)"
        if entry.options:
            select = with_attributes(
                ui.element("select").classes("m-select"), {"aria-label": entry.label}
            )
            select.on("change", choose, js_handler=read)
            with select:
                for value, label in (("", entry.label), *entry.options):
                    option = with_attributes(html(escape(label), tag="option"), {"value": value})
                    if value == current:
                        option.props("selected")
            return
        box = with_attributes(
            ui.element("input").classes("m-input"),
            {
                "type": "search",
                "placeholder": entry.label,
                "aria-label": entry.label,
                "value": current,
                "data-search": "",
            },
        )
        box.on("input", choose, throttle=0.25, leading_events=False, js_handler=read)
