"""Whether something could ever start on these nodes, and if not, the nearest that could.

Asked before a request is taken in: what no node has, or what all nodes together could not hold, is
refused at once instead of waiting for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from madang.core.resources import MILLI, Resources, format_bytes, format_milli
from madang.scheduling.model import Device, Group, Node, Where
from madang.scheduling.placement import Cluster, model_matches, place

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Refusal:
    """What can't be: `value` of `field`. `possible` is the nearest that could, for programs: a
    number, or the names that there are, some with how many; `hint` says it in words."""

    field: str
    value: object
    message: str
    hint: str
    possible: object


def refuse(groups: Sequence[Group], cluster: Cluster) -> Refusal | None:
    """Why `groups` could not start though nothing else ran; None when they could.

    cluster: nodes with all of them free, and all open: what is closed may be opened again. Without
    any node nothing is refused: nobody knows yet what there will be.
    """
    if not cluster.node_ids:
        return None
    for group in groups:
        if group.replicas_min > (largest := _largest(group, cluster)):
            refusal = _explain(group, largest, cluster)
            of = f"{group.role}: " if len(groups) > 1 else ""
            return replace(refusal, message=f"{of}{refusal.message}")
    if len(groups) > 1:
        least = [replace(group, replicas_max=group.replicas_min) for group in groups]
        if not place(least, cluster.copy()).complete:
            return _several(groups, cluster)
    return None


def _largest(group: Group, cluster: Cluster) -> int:
    """How many replicas could run at once."""
    most = cluster.most_by_row(group.resources, group.where, empty=False)
    if not group.where.together and group.where.apart != "rack":
        return int(most.sum())
    units: dict[int, list[int]] = {}
    for node, count in zip(cluster.free().nodes, most.tolist(), strict=False):
        if node is not None and count:
            units.setdefault(cluster.rack_of(node.id), []).append(count)
    racks = list(units.values())
    match group.where.together, group.where.apart:
        case "node", _:
            return max((count for rack in racks for count in rack), default=0)
        case "rack", "node":
            return max((len(rack) for rack in racks), default=0)
        case "rack", _:
            return max((sum(rack) for rack in racks), default=0)
        case _:  # apart: a rack each
            return len(racks)


def _explain(group: Group, largest: int, cluster: Cluster) -> Refusal:
    if largest:
        return _gang(group, largest)
    nodes = [node for node in cluster.free().nodes if node is not None]
    suitable, refusal = _suitable(group.where, nodes)
    return refusal or _too_much(group.resources, suitable)


def _gang(group: Group, largest: int) -> Refusal:
    each = f" of {group.resources} each"
    if group.where.together:
        at_once = f"at once on one {group.where.together}"
    elif group.where.apart:
        at_once = f"at once, each on a {group.where.apart} of its own"
    else:
        at_once = "at once"
    return Refusal(
        "replicas",
        group.replicas_min,
        f"{group.replicas_min} tasks{each} can never run {at_once}",
        f"At most {largest} could: ask for {largest} or fewer, or for less each.",
        largest,
    )


def _several(groups: Sequence[Group], cluster: Cluster) -> Refusal:
    """Each group has room, but not all of them together."""
    first, *others = groups
    low, high = 0, first.replicas_min
    while low + 1 < high:  # how many of the first would still fit beside the others
        middle = (low + high) // 2
        smaller = replace(first, replicas_min=middle, replicas_max=middle)
        rest = [replace(group, replicas_max=group.replicas_min) for group in others]
        if place([smaller, *rest], cluster.copy()).complete:
            low = middle
        else:
            high = middle
    tasks = sum(group.replicas_min for group in groups)
    return Refusal(
        "roles",
        {group.role: group.replicas_min for group in groups},
        f"all {tasks} tasks can never run at once",
        f"Beside the others at most {low} of {first.role} could: ask for fewer, or for less each.",
        {first.role: low},
    )


# -- where ------------------------------------------------------------------------------------


def _suitable(where: Where, nodes: Sequence[Node]) -> tuple[list[Node], Refusal | None]:
    """The nodes that may take it."""
    pools = Counter(node.pool for node in nodes if node.pool)
    if where.pool and where.pool not in pools:
        message = f"no node is in pool {where.pool!r}"
        hint = f"Pools: {_counts(pools)}." if pools else "No node is in any pool."
        return [], Refusal("pool", where.pool, message, hint, dict(pools))
    inside = [node for node in nodes if not where.pool or node.pool == where.pool]
    among = f" of pool {where.pool}" if where.pool else ""
    for name, value in where.labels:
        if not any((name, value) in node.labels for node in inside):
            return [], _unknown_label(name, value, inside, among)
    wanted = set(where.labels)
    suitable = [node for node in inside if wanted.issubset(node.labels)]
    if suitable:
        return suitable, None
    labels = dict(where.labels)
    text = ", ".join(f"{name}={value}" for name, value in labels.items())
    nearest = max(inside, key=lambda node: len(wanted.intersection(node.labels)))
    has = {name: dict(nearest.labels).get(name, "") for name in labels}
    return [], Refusal(
        "node_labels",
        labels,
        f"no node{among} has all of {text}",
        f"Nearest is {nearest.name}, with "
        f"{', '.join(f'{name}={value}' for name, value in has.items() if value)}.",
        has,
    )


def _unknown_label(name: str, value: str, nodes: Sequence[Node], among: str) -> Refusal:
    values = Counter(dict(node.labels)[name] for node in nodes if name in dict(node.labels))
    message = f"no node{among} has the label {name}={value}"
    if values:
        return Refusal(
            "node_labels", {name: value}, message, f"{name} is: {_counts(values)}.", dict(values)
        )
    names = Counter(label for node in nodes for label, _ in node.labels)
    hint = f"Labels: {_counts(names)}." if names else f"No node{among} has any label."
    return Refusal("node_labels", {name: value}, message, hint, dict(names))


# -- how much ---------------------------------------------------------------------------------


def _too_much(need: Resources, nodes: Sequence[Node]) -> Refusal:
    """What of one replica no suitable node has."""
    checks = (_devices, _counted, _cpu, _memory)
    for check in checks:
        if (refusal := check(need, nodes)) is not None:
            return refusal
    nearest = max(nodes, key=lambda node: (_device_count(need, node), node.memory_bytes))
    has = {
        "cpu": format_milli(nearest.cpu_milli),
        "memory": format_bytes(nearest.memory_bytes),
        **({need.device_kind: _device_count(need, nearest)} if need.device_kind else {}),
        **{name: dict(nearest.counted).get(name, 0) for name, _ in need.counted},
    }
    text = " ".join(f"{name}={amount}" for name, amount in has.items())
    return Refusal(
        "resources",
        str(need),
        f"no node has all of {need} at once",
        f"Nearest is {nearest.name}, with {text}.",
        has,
    )


def _devices(need: Resources, nodes: Sequence[Node]) -> Refusal | None:
    if not need.device_kind:
        return None
    kind = need.device_kind
    key = "resources.gpu" if kind == "gpu" else "resources.accelerator"
    devices = [device for node in nodes for device in node.devices]
    of_kind = [device for device in devices if device.kind == kind]
    if not of_kind:
        kinds = Counter(device.kind for device in devices)
        hint = f"There are: {_counts(kinds)}." if kinds else "No node has any accelerator."
        return Refusal(key, kind, f"no node has a {_word(kind)}", hint, dict(kinds))
    whole_or_sliced = [
        device for device in of_kind if device.profile.lower() == need.device_profile
    ]
    if not whole_or_sliced:
        return _unknown_profile(need, of_kind)
    named = [d for d in whole_or_sliced if model_matches(d.model, need.device_models)]
    if not named:
        models = Counter(device.model for device in whole_or_sliced)
        asked = "|".join(need.device_models)
        message = f"no node has a {_word(kind)} of model {asked}"
        hint = f"There are: {_counts(models)}."
        return Refusal("resources.gpu_model", asked, message, hint, dict(models))
    largest = max(device.memory_bytes for device in named)
    if largest < need.device_memory_bytes:
        asked = format_bytes(need.device_memory_bytes)
        message = f"no {_word(kind)} has {asked} of memory"
        hint = f"The largest has {format_bytes(largest)}."
        return Refusal("resources.gpu_memory", asked, message, hint, format_bytes(largest))
    most = max(_device_count(need, node) for node in nodes)
    if most * MILLI < need.device_milli:
        count = format_milli(need.device_milli)
        message = f"no node has {count} {_word(kind)}s that would do"
        hint = f"At most {most} on one node; tasks of a job may be on several nodes: --replicas."
        return Refusal(key, count, message, hint, most)
    return None


def _unknown_profile(need: Resources, devices: Iterable[Device]) -> Refusal:
    there = Counter(device.profile or f"whole {device.model}" for device in devices)
    if need.device_profile:
        message = f"no node has slices of profile {need.device_profile}"
    else:
        message = f"no node has a whole {_word(need.device_kind)}: all are sliced"
    hint = f"There are: {_counts(there)}."
    return Refusal("resources.gpu_profile", need.device_profile, message, hint, dict(there))


def _device_count(need: Resources, node: Node) -> int:
    """How many of a node's devices would do."""
    return sum(
        device.kind == need.device_kind
        and device.profile.lower() == need.device_profile
        and model_matches(device.model, need.device_models)
        and device.memory_bytes >= need.device_memory_bytes
        for device in node.devices
    )


def _counted(need: Resources, nodes: Sequence[Node]) -> Refusal | None:
    for name, count in need.counted:
        most = max(dict(node.counted).get(name, 0) for node in nodes)
        if most >= count:
            continue
        if most:
            message = f"no node has {count} {name}"
            return Refusal("resources.counted", {name: count}, message,
                           f"At most {most} on one node.", {name: most})  # fmt: skip
        names: Counter[str] = Counter()
        for node in nodes:
            names.update(dict(node.counted))
        hint = f"There are: {_counts(names)}." if names else "No node has any counted resource."
        return Refusal("resources.counted", {name: count}, f"no node has any {name}", hint,
                       dict(names))  # fmt: skip
    return None


def _cpu(need: Resources, nodes: Sequence[Node]) -> Refusal | None:
    most = max(node.cpu_milli for node in nodes)
    return _more_than_any("cpu", need.cpu_milli, most, format_milli)


def _memory(need: Resources, nodes: Sequence[Node]) -> Refusal | None:
    most = max(node.memory_bytes for node in nodes)
    return _more_than_any("memory", need.memory_bytes, most, format_bytes)


def _more_than_any(
    name: str, asked: int, most: int, show: Callable[[int], str | int | float]
) -> Refusal | None:
    if asked <= most:
        return None
    return Refusal(
        f"resources.{name}",
        show(asked),
        f"no node has {name}={show(asked)}",
        f"The largest has {name}={show(most)}.",
        show(most),
    )


def _word(kind: str) -> str:
    return "GPU" if kind == "gpu" else kind


def _counts(counter: Counter[str]) -> str:
    """`8 A100, 2 H100`: most first."""
    shown = [f"{count} {name}" for name, count in counter.most_common(_SHOWN)]
    return ", ".join(shown) + (", …" if len(counter) > _SHOWN else "")
