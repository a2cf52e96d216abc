"""What an administrator does with a node: close it, empty it, say what it is for."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from typing import Any

from nicegui import ui

from madang.core.errors import InvalidInput, MadangError
from madang.schemas.nodes import Node, NodeDetail, NodeTask
from madang.server.portal.components import (
    chip,
    command,
    facts,
    html,
    plain_table,
    problem_markup,
    sentence,
    size,
    with_attributes,
)
from madang.server.portal.dialogs import button, end_of_dialog, undoable
from madang.server.portal.forms import Field, FormDialog, Values
from madang.server.portal.session import PortalSession

Draw = Callable[[], Awaitable[None]]


async def act_on_node(session: PortalSession, act: str, node: str, draw: Draw) -> None:
    """Do what the row's menu offers; `draw` shows the change."""
    try:
        if act == "show":
            _show(session, await session.client.nodes.get(node))
        elif act == "cordon":
            await _cordon(session, node, draw)
        elif act == "uncordon":
            await session.client.nodes.uncordon(node)
            await draw()
        elif act == "drain":
            _drain(session, await session.client.nodes.get(node), draw)
        elif act == "change":
            _change(session, await session.client.nodes.get(node), draw)
    except MadangError as error:
        ui.notify(sentence(str(error)), type="negative", multi_line=True)


async def _cordon(session: PortalSession, node: str, draw: Draw) -> None:
    await session.client.nodes.cordon(node)
    await draw()

    async def undo() -> None:
        await session.client.nodes.uncordon(node)
        await draw()

    words = session.say("Nothing new is placed on {node}; what runs there goes on.", node=node)
    undoable(session, words, undo)


def _drain(session: PortalSession, detail: NodeDetail, draw: Draw) -> None:
    """Says what it will stop; stopping can't be undone, so the node's name is asked for."""
    say, name = session.say, detail.node.name
    with ui.dialog(value=True) as dialog, ui.card().classes("m-dialog"):
        html(escape(say("Drain {node}?", node=name)), tag="h2")
        if detail.tasks:
            words = say(
                "Nothing new is placed on it, and these {count} tasks are stopped. Each is told "
                "to save its work first, and begins again on another node when one has room.",
                count=len(detail.tasks),
            )
        else:
            words = say("Nothing new is placed on it. Nothing runs there now.")
        html(f"<p>{escape(words)}</p>")
        if detail.tasks:
            _task_table(session, detail.tasks)
        typed = ui.input(label=say("Type {name} to confirm", name=name))
        typed.props("outlined dense stack-label").style("width:100%")
        command(f"madang node drain {shlex.quote(name)}", say("Copy"))
        problem = with_attributes(html(""), {"role": "alert"})

        async def run() -> None:
            if (typed.value or "").strip() != name:
                typed.error = say("That is not the name.")
                return
            try:
                await session.client.nodes.drain(name)
            except MadangError as error:
                problem.set_content(problem_markup(error))
                return
            dialog.close()
            await draw()

        end_of_dialog(session, dialog, say("Drain"), run, "primary danger")


def _change(session: PortalSession, detail: NodeDetail, draw: Draw) -> None:
    """Its pool, its labels, what else it has that jobs may ask for."""
    say, node = session.say, detail.node

    async def submit(typed: Values) -> None:
        await session.client.nodes.change(node.name, **node_changes(node, typed))
        await draw()

    FormDialog(
        session,
        say("Pool and labels of {node}", node=node.name),
        [
            Field("pool", say("Pool (jobs may ask for one)"), node.pool),
            Field("labels", say("Labels (rack says where it stands)"), _words(node.labels),
                  hint="rack=r1 generation=5"),
            Field("counted", say("What else it has, and how much of it"), _words(node.counted),
                  hint="matlab=2"),
        ],
        lambda typed: node_lines(node, typed),
        submit,
        label=say("Save"),
    )  # fmt: skip


def node_changes(node: Node, typed: Values) -> dict[str, Any]:
    """What differs, as the client's `change` takes it. Raises InvalidInput."""
    labels = _pairs(typed["labels"], "labels")
    counted = {name: _count(text) for name, text in _pairs(typed["counted"], "counted").items()}
    gone = {name: "" for name in node.labels.keys() - labels.keys()}
    none = {name: 0 for name in node.counted.keys() - counted.keys()}
    changes: dict[str, Any] = {}
    if typed["pool"] != node.pool:
        changes["pool"] = typed["pool"]
    if labels != node.labels:
        changes["labels"] = labels | gone
    if counted != node.counted:
        changes["counted"] = counted | none
    return changes


def node_lines(node: Node, typed: Values) -> tuple[str, str]:
    """The command and the call that do it."""
    words = ["madang", "node", "label", node.name]
    try:
        changes = node_changes(node, typed)
    except InvalidInput:
        return shlex.join(words), ""
    if "pool" in changes:
        words += ["--pool", changes["pool"]]
    for name, number in changes.get("counted", {}).items():
        words += ["--counted", f"{name}={number}"]
    words += [f"{name}={value}" for name, value in changes.get("labels", {}).items()]
    options = "".join(f", {name}={value!r}" for name, value in changes.items())
    call = f"Client().nodes.change({node.name!r}{options})"
    return shlex.join(words), f"from madang.client import Client\n\n{call}"


def _words(pairs: Mapping[str, object]) -> str:
    return shlex.join(f"{name}={value}" for name, value in sorted(pairs.items()))


def _pairs(text: str, field: str) -> dict[str, str]:
    """`rack=r1 zone='a b'`. Raises InvalidInput."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} can't be split into words: {error}",
            field=field,
            hint="Close every quotation mark.",
        ) from None
    pairs = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or not name:
            raise InvalidInput(f"{word!r} is not NAME=VALUE", field=field)
        pairs[name] = value
    return pairs


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is not a whole number", field="counted") from None


def _show(session: PortalSession, detail: NodeDetail) -> None:
    say, node = session.say, detail.node
    with ui.dialog(value=True) as dialog, ui.card().classes("m-dialog"):
        html(escape(node.name), tag="h2")
        labels = " ".join(f"{key}={value}" for key, value in sorted(node.labels.items()))
        facts(
            [
                (say("State"), chip(node.state, say(node.state.value))),
                (say("Machine"), escape(node.hostname)),
                (say("Pool"), escape(node.pool)),
                (say("Labels"), f'<span class="m-mono">{escape(labels)}</span>' if labels else ""),
                (say("What else it has"), escape(_words(node.counted))),
                (say("CPUs"), say("{used:g} of {all:g}", used=node.cpu_used, all=node.cpu)),
                (
                    say("Memory"),
                    say("{used} of {all}", used=size(node.memory_used_bytes),
                        all=size(node.memory_bytes)),
                ),
                (say("Isolation"), escape(node.sandbox)),
            ]
        )  # fmt: skip
        if detail.tasks:
            _task_table(session, detail.tasks)
        else:
            html(f'<p class="m-muted">{escape(say("Nothing runs here now."))}</p>')
        with ui.element("div").classes("m-ways"):
            button(say("Close"), dialog.close)


def _task_table(session: PortalSession, tasks: list[NodeTask]) -> None:
    say = session.say
    plain_table(
        [say("Job"), say("By"), say("State"), say("CPUs"), say("Memory")],
        [
            (
                f'<a href="/jobs/{escape(task.workload_id)}">{escape(task.name)}</a>'
                if task.name
                else f'<span class="m-muted">{escape(say("of another project"))}</span>',
                escape(task.user) or "–",
                chip(task.state, say(task.state)),
                f"{task.cpu:g}",
                size(task.memory_bytes),
            )
            for task in tasks
        ],
    ).classes("m-short")
