"""`madang node …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from madang.cli._output import JsonOption, LimitOption, ago, connect, print_item, print_list

if TYPE_CHECKING:
    from madang.schemas.nodes import Node, NodeDevice

app = typer.Typer(help="Nodes: the machines and their use.", no_args_is_help=True)

NodeArgument = Annotated[str, typer.Argument(help="Node, by name or id.")]


@app.command("list")
def list_nodes(limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """Show nodes and what is in use of them."""
    with connect() as client:
        page = client.nodes.list(limit=limit)
    print_list(
        page.items,
        {
            "NAME": lambda node: node.name,
            "STATE": lambda node: node.state.value,
            "POOL": lambda node: node.pool,
            "CPU": _cpu,
            "MEMORY": _memory,
            "DEVICES": _devices,
            "TASKS": lambda node: node.tasks,
            "SEEN": lambda node: ago(node.seen_at),
        },
        as_json=as_json,
        empty="No node is connected. `madang up` makes this machine one.",
    )


@app.command("show")
def show_node(node: NodeArgument, as_json: JsonOption = False) -> None:
    """Show a node, its devices and what runs on it."""
    with connect() as client:
        detail = client.nodes.get(node)
    found = detail.node
    lines: list[tuple[str, object]] = [
        ("name", found.name),
        ("id", found.id),
        ("state", found.state.value),
        ("host", found.hostname),
        ("cpu", _cpu(found)),
        ("memory", _memory(found)),
        *_place(found),
        ("sandbox", found.sandbox),
        ("enforced", ", ".join(found.limits) or "nothing"),
        ("seen", ago(found.seen_at)),
        *((f"{device.kind} {device.index}", _device(device)) for device in found.devices),
    ]
    print_item(detail, as_json=as_json, lines=lines)
    if as_json or not detail.tasks:
        return
    print()
    print_list(
        detail.tasks,
        {
            "TASK": lambda task: task.task_id,
            "NAME": lambda task: task.name or "(not yours to see)",
            "USER": lambda task: task.user,
            "STATE": lambda task: task.state,
            "CPU": lambda task: f"{task.cpu:g}",
        },
        as_json=False,
        empty="",
    )


@app.command("cordon")
def cordon_node(node: NodeArgument, as_json: JsonOption = False) -> None:
    """Place nothing new on a node; what runs goes on (administrators)."""
    with connect() as client:
        found = client.nodes.cordon(node)
    print_item(found, as_json=as_json, lines=[(found.name, found.state.value)])


@app.command("uncordon")
def uncordon_node(node: NodeArgument, as_json: JsonOption = False) -> None:
    """Use a node again (administrators)."""
    with connect() as client:
        found = client.nodes.uncordon(node)
    print_item(found, as_json=as_json, lines=[(found.name, found.state.value)])


@app.command("drain")
def drain_node(node: NodeArgument, as_json: JsonOption = False) -> None:
    """Stop what runs on a node, so that it begins again elsewhere (administrators)."""
    with connect() as client:
        found = client.nodes.drain(node)
    lines: list[tuple[str, object]] = [
        (found.name, found.state.value),
        ("stopping", f"{found.tasks} tasks"),
    ]
    print_item(found, as_json=as_json, lines=lines)


@app.command("label")
def label_node(
    node: NodeArgument,
    labels: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE, each; NAME= removes one.")
    ] = None,
    pool: Annotated[
        str | None, typer.Option(help="The pool that it belongs to; '' for none.")
    ] = None,
    counted: Annotated[
        list[str] | None, typer.Option(help="Other things that it has: NAME=COUNT; 0 removes.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say to which pool a node belongs, what it is labelled with, what else it has
    (administrators)."""
    from madang.cli._job_options import parse_counts, parse_pairs

    with connect() as client:
        found = client.nodes.change(
            node,
            pool=pool,
            labels=parse_pairs(labels, "labels") if labels else None,
            counted=parse_counts(counted) if counted else None,
        )
    print_item(found, as_json=as_json, lines=[(found.name, ""), *_place(found)])


def _place(node: Node) -> list[tuple[str, object]]:
    return [
        ("pool", node.pool),
        ("labels", " ".join(f"{name}={value}" for name, value in node.labels.items())),
        ("has", " ".join(f"{name}={count}" for name, count in node.counted.items())),
    ]


def _cpu(node: Node) -> str:
    return f"{node.cpu_used:g} of {node.cpu:g}"


def _memory(node: Node) -> str:
    from madang.core.resources import format_bytes

    return f"{format_bytes(node.memory_used_bytes)} of {format_bytes(node.memory_bytes)}"


def _devices(node: Node) -> str:
    models: dict[str, list[NodeDevice]] = {}
    for device in node.devices:
        shown = f"{device.model} {device.profile}".strip()
        shown = f"{shown} (simulated)" if device.simulated else shown
        models.setdefault(shown, []).append(device)
    return ", ".join(
        f"{sum(device.used for device in devices):g} of {len(devices)} {model}"
        for model, devices in models.items()
    )


def _device(device: NodeDevice) -> str:
    from madang.core.resources import format_bytes

    words = [
        f"{device.model} {device.profile}".strip(),
        format_bytes(device.memory_bytes),
        f"{device.used:.0%} used",
        f"NUMA node {device.numa_node}",
    ]
    if device.link_group >= 0:
        words.append(f"links {device.link_group}")
    if device.profile:
        words.append("a slice kept apart by hardware")
    elif 0 < device.used < 1:
        words.append("shared cooperatively: nothing enforces the parts")
    if device.simulated:
        words.append("simulated")
    return ", ".join(words)
