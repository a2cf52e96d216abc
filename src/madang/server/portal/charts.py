"""Charts: one palette that colour-blind people can read, units, zoom, the numbers behind."""

from __future__ import annotations

import csv
import io
from html import escape
from typing import Any

from nicegui import ui

from madang.server.portal.components import html
from madang.server.portal.dialogs import button
from madang.server.portal.session import PortalSession

PALETTE = ("#1F8A70", "#C46A1B", "#4A82C4", "#9B62AE", "#8C8A35", "#C0564C", "#5AA9A0", "#A08050")
GREY = "#8a8378"

TIP = (
    "background:var(--surface);border:1px solid var(--line);box-shadow:none;color:var(--text);"
    "border-radius:8px"
)

ZOOM: dict[str, Any] = {
    "type": "slider",
    "height": 16,
    "bottom": 12,
    "borderColor": "rgba(138,131,120,0.3)",
    "fillerColor": "rgba(31,138,112,0.12)",
    "handleStyle": {"color": "#1F8A70", "borderColor": "#1F8A70"},
    "moveHandleStyle": {"color": "rgba(31,138,112,0.3)"},
    "dataBackground": {"lineStyle": {"opacity": 0}, "areaStyle": {"opacity": 0}},
    "selectedDataBackground": {"lineStyle": {"opacity": 0}, "areaStyle": {"opacity": 0}},
    "textStyle": {"color": GREY},
    "brushSelect": False,
}

SHOWN_ROWS = 500
"""Rows of raw numbers on the page; the CSV has all."""


def time_chart(session: PortalSession, series: list[dict[str, Any]], unit: str) -> dict[str, Any]:
    """Lines over time, in the visitor's zone; a wheel or the slider below zooms."""
    grey = {"color": GREY}
    return {
        "color": list(PALETTE),
        "animation": False,
        "textStyle": {"fontFamily": "inherit"},
        "grid": {"left": 56, "right": 16, "top": 60, "bottom": 60},
        "legend": {"type": "scroll", "top": 0, "left": 0, "textStyle": grey, "icon": "roundRect",
                   "itemHeight": 10, "itemWidth": 10},
        "tooltip": {"trigger": "axis", "confine": True, "extraCssText": TIP},
        "xAxis": {"type": "time", "axisLabel": grey | {"hideOverlap": True},
                  "axisLine": {"lineStyle": grey}, "splitLine": {"show": False}},
        "yAxis": {"type": "value", "name": unit, "nameTextStyle": grey | {"align": "left"},
                  "axisLabel": grey, "min": 0,
                  "splitLine": {"lineStyle": {"color": "rgba(138,131,120,0.2)"}}},
        "dataZoom": [{"type": "inside"}, ZOOM],
        "series": series,
    }  # fmt: skip


def raw_numbers(session: PortalSession, name: str, rows: list[list[str]]) -> None:
    """The numbers of a chart, a click away: as a table, and as CSV. The first row is titles."""
    say = session.say

    def download() -> None:
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        ui.download.content(out.getvalue(), f"{name}.csv", "text/csv")

    def show() -> None:
        if not table.content:
            table.set_content(_table(rows))

    with ui.element("details").classes("m-same") as details:
        html(escape(say("The numbers")), tag="summary")
        table = html("").classes("m-raw m-tablebox").props('tabindex="0"')
        button("CSV", download, "quiet")
    details.on("toggle", show)


def _table(rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows[1:][-SHOWN_ROWS:]
    )
    return (
        f'<table class="m-table m-numbers"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
