"""The cluster as markup: a row for each node, a cell for each accelerator, who holds what."""

from __future__ import annotations

from html import escape

from madang.schemas.nodes import NodeState
from madang.schemas.scheduling import ClusterDevice, ClusterNode, ModelUse
from madang.server.portal.components import chip, size
from madang.server.portal.session import PortalSession

LEAST = 0.0005
"""Shares are thousandths; less is nothing."""


def model_name(device: ClusterDevice | ModelUse) -> str:
    """`H100`, or `H100 1g.10gb` for a slice that hardware keeps apart."""
    return f"{device.model} {device.profile}".strip() or device.kind


def number(value: float) -> str:
    """Devices, with thousandths only where there are some."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def model_card(session: PortalSession, use: ModelUse) -> str:
    """One model: a bar of how much is held, and the same in words."""
    say = session.say
    free = max(0.0, use.free - use.fragment)
    closed = max(0.0, use.total - use.used - use.free)
    parts = [
        ("others", use.used, say("{count} in use", count=number(use.used))),
        ("leftover", use.fragment, say("{count} left over", count=number(use.fragment))),
        ("free", free, say("{count} free", count=number(free))),
        ("closed", closed, say("{count} closed", count=number(closed))),
    ]
    shown = [part for part in parts if part[1] > LEAST]
    bar = "".join(
        f'<i class="{kind}" style="flex-grow:{value:.3f}"></i>' for kind, value, _ in shown
    )
    words = "".join(
        f'<span><i class="m-key {kind}"></i>{escape(text)}</span>' for kind, _, text in shown
    )
    simulated = (
        f' <span class="m-tag wait">{escape(say("simulated"))}</span>' if use.simulated else ""
    )
    return (
        f'<div class="m-card m-model"><div><b>{escape(model_name(use))}</b> '
        f'<span class="m-muted">× {use.total:,}</span>{simulated}</div>'
        f'<div class="m-stack" aria-hidden="true">{bar}</div>'
        f'<div class="m-keys">{words}</div></div>'
    )


def legend(session: PortalSession) -> str:
    """What the colours of cells stand for."""
    say = session.say
    kinds = (
        ("mine", say("Yours")),
        ("others", say("Others'")),
        ("leftover", say("Left over: likely too small for anyone")),
        ("free", say("Free")),
        ("closed", say("Takes nothing new")),
    )
    keys = "".join(
        f'<span><i class="m-key {kind}"></i>{escape(text)}</span>' for kind, text in kinds
    )
    return f'<div class="m-keys m-legend">{keys}</div>'


def node_row(session: PortalSession, node: ClusterNode, *, may_write: bool) -> str:
    """A node: what it is, its cells, its CPUs and memory, what an administrator can do."""
    say = session.say
    closed = node.state is not NodeState.READY
    marks = [chip(node.state, say(node.state.value))] if closed else []
    if node.pool:
        marks.append(f'<span class="m-tag">{escape(node.pool)}</span>')
    if any(device.simulated for device in node.devices):
        marks.append(f'<span class="m-tag wait">{escape(say("simulated"))}</span>')
    marks += [
        f'<span class="m-tag plain">{escape(key)}={escape(value)}</span>'
        for key, value in sorted(node.labels.items())
        if key != "simulated"
    ]
    return (
        f'<div class="who"><button type="button" class="m-name" data-act="show" '
        f'data-node="{escape(node.name)}">{escape(node.name)}</button>{"".join(marks)}</div>'
        f'<div class="m-gpus" role="group" aria-label="{escape(node.name)}" data-cells>'
        f"{_cells(session, node)}</div>"
        f"{_meters(session, node)}"
        f"{_menu(session, node) if may_write else ''}"
    )


def node_strip(session: PortalSession, node: ClusterNode) -> str:
    """A node in a few centimetres: its name and its cells."""
    return (
        f'<div class="m-strip"><small>{escape(node.name)}</small>'
        f'<div class="m-gpus" role="group" aria-label="{escape(node.name)}" data-cells>'
        f"{_cells(session, node)}</div></div>"
    )


def device_words(session: PortalSession, node: str, device: ClusterDevice) -> list[str]:
    """What the cell says when looked at: a line each."""
    say = session.say
    what = say("{node}, {model} number {index}", node=node, model=model_name(device),
               index=device.index)  # fmt: skip
    if device.simulated:
        what = say("{device} (simulated)", device=what)
    apart = []
    if device.profile:
        apart = [say("A slice that the hardware keeps apart")]
    elif any(hold.share < 1 for hold in device.holds):
        apart = [say("Shared cooperatively: nothing enforces the parts")]
    return [what, *apart, *_holds(session, device), *_rest(session, device)]


def _holds(session: PortalSession, device: ClusterDevice) -> list[str]:
    say = session.say
    lines = []
    for hold in device.holds:
        since = session.clock(hold.since)
        facts = {"percent": f"{100 * hold.share:.3g}", "since": since}
        if not hold.name:
            lines.append(say("{percent} % is held by another project since {since}", **facts))
        else:
            facts |= {"job": hold.name, "user": hold.user, "project": hold.project}
            lines.append(say("{percent} %: {job} of {user} in {project}, since {since}", **facts))
    return lines


def _rest(session: PortalSession, device: ClusterDevice) -> list[str]:
    say, free = session.say, 1.0 - device.used
    if free < LEAST:
        return []
    if not device.holds and not device.fragment:
        return [say("Free, {memory}", memory=size(device.memory_bytes))]
    facts = {
        "percent": f"{100 * free:.3g}",
        "memory": size(max(0, device.memory_bytes - device.used_memory_bytes)),
    }
    if device.fragment:
        return [say("{percent} % and {memory} are left over", **facts)]
    return [say("{percent} % and {memory} are free", **facts)]


def _cells(session: PortalSession, node: ClusterNode) -> str:
    if not node.devices:
        return f'<span class="m-muted">{escape(session.say("no accelerators"))}</span>'
    cells, before = [], node.devices[0].link_group
    for device in node.devices:
        gap = " apart" if device.link_group != before else ""
        before = device.link_group
        cells.append(_cell(session, node, device, gap))
    return "".join(cells)


def _cell(session: PortalSession, node: ClusterNode, device: ClusterDevice, gap: str) -> str:
    lines = "\n".join(device_words(session, node.name, device))
    fills = "".join(
        f'<i class="{"mine" if hold.mine else "others"}" '
        f'style="height:{100 * hold.share:.3g}%"></i>'
        for hold in sorted(device.holds, key=lambda one: not one.mine)
    )
    style = ("closed" if node.state is not NodeState.READY else "") + gap
    style += " leftover" if device.fragment else ""
    style += " slice" if device.profile else ""
    job = next((one.workload_id for one in device.holds if one.workload_id), "")
    leads = f' data-href="/jobs/{escape(job)}"' if job else ""
    return (
        f'<span class="m-gpu {style}" role="{"link" if job else "img"}" tabindex="-1" '
        f'data-cell="{escape(node.name)}/{device.kind}/{device.index}"{leads} '
        f'aria-label="{escape(lines)}">{fills}</span>'
    )


def _meters(session: PortalSession, node: ClusterNode) -> str:
    """CPUs and memory as two thin bars, with their numbers in words."""
    say = session.say
    cpu = say("{used:g} of {all:g} CPUs", used=node.cpu_used, all=node.cpu)
    memory = say("{used} of {all}", used=size(node.memory_used_bytes), all=size(node.memory_bytes))
    return (
        '<div class="m-meters">'
        f"{_meter(node.cpu_used, node.cpu, cpu)}"
        f"{_meter(node.memory_used_bytes, node.memory_bytes, memory)}</div>"
    )


def _meter(used: float, total: float, words: str) -> str:
    percent = 100 * used / total if total else 0.0
    return (
        f'<div><span class="m-bar1" aria-hidden="true"><i style="width:{percent:.1f}%"></i></span>'
        f"<small>{escape(words)}</small></div>"
    )


def _menu(session: PortalSession, node: ClusterNode) -> str:
    say = session.say
    closed = node.state is NodeState.CORDONED
    acts = (
        ("uncordon", say("Use again")) if closed else ("cordon", say("Place nothing new")),
        ("drain", say("Drain…")),
        ("change", say("Pool and labels…")),
    )
    items = "".join(
        f'<button type="button" class="m-button quiet" data-act="{act}" '
        f'data-node="{escape(node.name)}">{escape(label)}</button>'
        for act, label in acts
    )
    label = escape(say("What to do with {node}", node=node.name))
    return (
        f'<details class="m-menu" data-menu><summary class="m-button quiet m-dots" '
        f'aria-label="{label}">⋯</summary><div class="m-card">{items}</div></details>'
    )
