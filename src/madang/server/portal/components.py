"""The pieces that pages are made of. All text that comes from people is escaped here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import TypeVar

from nicegui import ui

from madang.core.errors import MadangError
from madang.core.resources import format_bytes

E = TypeVar("E", bound=ui.element)

CHIPS = {
    "running": "good",
    "ready": "good",
    "finished": "good",
    "succeeded": "good",
    "starting": "busy",
    "updating": "busy",
    "building": "busy",
    "stopping": "busy",
    "deleting": "busy",
    "pending": "wait",
    "scheduled": "wait",
    "degraded": "wait",
    "cordoned": "wait",
    "assigned": "busy",
    "failed": "bad",
    "lost": "bad",
    "cancelled": "off",
    "killed": "off",
}


def html(content: str, tag: str = "div") -> ui.html:
    """Markup of our own making; everything in it that people wrote must be escaped already."""
    return ui.html(content, sanitize=False, tag=tag)


def with_attributes(element: E, attributes: Mapping[str, str]) -> E:
    """The element with HTML attributes; their values are given as they are, not escaped."""
    element.props.update(attributes)
    return element


def link_button(label: str, address: str, style: str = "") -> ui.html:
    """A link that looks like a button; `style`: primary, danger, quiet or nothing."""
    made = html(escape(label), tag="a").classes(f"m-button {style}")
    return with_attributes(made, {"href": address})


def js(text: str) -> str:
    """Text as a JavaScript string, to stand in an attribute within markup."""
    return escape(json.dumps(text))


def chip(state: str, label: str | None = None) -> str:
    """A state as a coloured word (never colour alone)."""
    return f'<span class="m-chip {CHIPS.get(state, "off")}">{escape(label or state)}</span>'


def moment(when: datetime | None) -> str:
    """A time in the visitor's zone and language; the browser fills it in."""
    if when is None:
        return "–"
    stamp = when.isoformat()
    return f'<time datetime="{stamp}" data-ago>{escape(stamp[:16].replace("T", " "))}</time>'


def size(number: int | None) -> str:
    return "–" if number is None else format_bytes(number)


def facts(pairs: Iterable[tuple[str, str]]) -> ui.html:
    """Names and values; values are markup (escape them, or use `chip`, `moment`…)."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in pairs if value)
    return html(rows, tag="dl").classes("m-facts")


def command(line: str, copy_label: str) -> ui.html:
    """A command or a Python call that can be copied."""
    return html(command_markup(line, copy_label)).classes("m-command")


def command_markup(line: str, copy_label: str) -> str:
    return (
        f"<span>{escape(line)}</span>"
        '<button type="button" class="m-button" onclick="madang.copy(this)">'
        f"{escape(copy_label)}</button>"
    )


def note(
    title: str,
    text: str,
    *,
    kind: str = "empty",
    action: tuple[str, str] | None = None,
    command_line: str = "",
) -> ui.html:
    """A panel for "nothing yet" or "that did not work", with the way on."""
    button = ""
    if action:
        label, address = action
        button = f'<a class="m-button" href="{escape(address)}">{escape(label)}</a>'
    shown = f'<div class="m-command">{escape(command_line)}</div>' if command_line else ""
    style = "m-note bad" if kind == "problem" else "m-note"
    role = ' role="alert"' if kind == "problem" else ""
    return html(f"<h2>{escape(title)}</h2><p{role}>{escape(text)}</p>{button}{shown}").classes(
        style
    )


def sentence(text: str) -> str:
    """An error's words as a sentence: with a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def problem_markup(error: MadangError) -> str:
    return f'<p class="m-problem">{escape(sentence(str(error)))}</p>'


def tabs(items: Sequence[tuple[str, str, str]], current: str) -> ui.html:
    """`(key, label, address)`; the address holds which one is open."""
    links = "".join(
        f'<a href="{escape(address)}"{" aria-current=page" if key == current else ""}>'
        f"{escape(label)}</a>"
        for key, label, address in items
    )
    return html(links, tag="nav").classes("m-tabs")


def plain_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], hrefs: Sequence[str] = ()
) -> ui.html:
    """A short table; cells are markup. With `hrefs` a row leads there."""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(
        "<tr"
        + (f' data-href="{escape(hrefs[number])}"' if hrefs and hrefs[number] else "")
        + ">"
        + "".join(
            f'<td data-title="{escape(title)}">{cell}</td>'
            for title, cell in zip(titles, row, strict=True)
        )
        + "</tr>"
        for number, row in enumerate(rows)
    )
    return html(
        f'<table class="m-table stack"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    ).classes("m-tablebox")


def bars(rows: Sequence[tuple[str, float, str]]) -> ui.html:
    """Horizontal bars `(name, value, text)`, scaled to the largest."""
    largest = max((value for _, value, _ in rows), default=0) or 1
    return html(
        "".join(
            f"<span>{escape(name)}</span>"
            f'<span class="bar" style="width:{100 * value / largest:.1f}%"></span>'
            f'<span class="m-muted">{escape(text)}</span>'
            for name, value, text in rows
        )
    ).classes("m-bars")
