"""The same jobs on another cluster, or with other queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from madang.core.errors import InvalidInput
from madang.scheduling.model import Amounts, Node, Queue
from madang.scheduling.simulation import csv
from madang.scheduling.simulation.queue_rules import faults
from madang.scheduling.simulation.trace import Job, Trace

_AMOUNTS = ("guarantee", "limit", "borrowing_limit", "lending_limit")
_NUMBERS = ("weight", "min_runtime_s")
_SWITCHES = {"yes": True, "true": True, "no": False, "false": False}
SETTINGS = tuple(field.name for field in fields(Queue) if field.name not in ("id", "name"))


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be other than it was.

    queues: a CSV file with all queues. settings: `QUEUE.NAME=VALUE`. add: `N:KIND`. without: names
    of nodes. inflate: how many times as fast jobs arrive.
    """

    queues: Path | None = None
    settings: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    inflate: float = 1.0

    @property
    def any(self) -> bool:
        return self != Changes()


def changed(trace: Trace, changes: Changes) -> Trace:
    """Raises InvalidInput where a change names what is not there."""
    nodes = changed_nodes(trace.nodes, changes)
    # A guarantee may stay while nodes go, as it does in a cluster.
    more = max(trace.nodes, nodes, key=len)
    queues = csv.read_queues(changes.queues, more) if changes.queues else trace.queues
    for text in changes.settings:
        queues = _with_setting(queues, text)
    _check_settings(queues, more, changes.settings)
    _check_queues(queues, trace.jobs)
    jobs = _faster(trace, changes.inflate)
    return replace(trace, nodes=nodes, queues=queues, jobs=jobs)


def changed_nodes(nodes: tuple[Node, ...], changes: Changes) -> tuple[Node, ...]:
    """Those that are left, and those that are added."""
    left = without_nodes(nodes, changes.without)
    for text in changes.add:
        left += added_nodes(text, (*nodes, *left))
        if wrong := csv.too_many(len(left), sum(len(node.devices) for node in left)):
            raise InvalidInput(f"--add-nodes {text} makes too many nodes", hint=wrong)
    return left


def without_nodes(nodes: tuple[Node, ...], names: Sequence[str]) -> tuple[Node, ...]:
    known = {node.name for node in nodes}
    for name in names:
        if name not in known:
            some = ", ".join(sorted(known)[:5]) + (", …" if len(known) > 5 else "")
            raise InvalidInput(f"there is no node {name!r}", hint=f"There are {some}.")
    return tuple(node for node in nodes if node.name not in names)


def added_nodes(text: str, nodes: Sequence[Node]) -> tuple[Node, ...]:
    count, separator, kind = text.partition(":")
    if not separator or not count.isdecimal() or not 1 <= int(count[:10]) <= csv.MOST_NODES:
        raise InvalidInput(
            f"{text!r} says not how many nodes of which kind",
            hint="Write it like 4:H100, or 2:cpu=64,memory=512GiB,gpu=8,gpu_model=H100.",
        )
    like = csv.node_like(kind, nodes)
    names = {node.name for node in nodes}
    found: list[Node] = []
    number = 0
    while len(found) < int(count):
        number += 1
        name = f"added-{like.name}-{number}"
        if name not in names:
            found.append(replace(like, id=name, name=name, open=True))
    return tuple(found)


def _with_setting(queues: tuple[Queue, ...], text: str) -> tuple[Queue, ...]:
    target, separator, value = text.partition("=")
    name, dot, setting = target.rpartition(".")
    if not separator or not dot:
        raise InvalidInput(
            f"{text!r} sets nothing", hint="Write QUEUE.NAME=VALUE: vision.guarantee=gpu=8."
        )
    found = [queue for queue in queues if name in (queue.name, queue.id)]
    if not found:
        names = ", ".join(sorted(queue.name for queue in queues)[:20])
        raise InvalidInput(f"there is no queue {name!r}", hint=f"There are {names or 'none'}.")
    if setting not in SETTINGS:
        raise InvalidInput(f"a queue has no {setting!r}", hint=f"It has {', '.join(SETTINGS)}.")
    chosen: Any = _parent(value, queues) if setting == "parent" else _value(setting, value)
    changed_queue = replace(found[0], **{setting: chosen})
    return tuple(changed_queue if queue is found[0] else queue for queue in queues)


def _parent(text: str, queues: Sequence[Queue]) -> str:
    """The id of the queue of that name; empty for the root."""
    if not text:
        return ""
    for queue in queues:
        if text in (queue.name, queue.id):
            return queue.id
    raise InvalidInput(
        f"'parent={text}': there is no queue {text!r}",
        field="parent",
        hint=f"There are {', '.join(sorted(queue.name for queue in queues)[:20])}.",
    )


def _check_settings(
    queues: Sequence[Queue], nodes: Sequence[Node], settings: Sequence[str]
) -> None:
    """Once all are set: one may make room for another. The error names the one at fault."""
    fault = next(faults(queues, nodes), None) if settings else None
    if fault is None:
        return
    names = {queue.id: queue.name for queue in queues}
    targets = [text.partition("=")[0].rpartition(".") for text in settings]
    own = [
        text
        for text, (name, _, field) in zip(settings, targets, strict=True)
        if field == fault.field and name in (fault.queue, names[fault.queue])
    ]
    raise InvalidInput(
        f"--set {(own or settings)[-1]}: {fault.message}", field=fault.field, hint=fault.hint
    )


def _value(setting: str, text: str) -> Any:
    if setting in _AMOUNTS:
        amounts: Amounts | None = csv.parse_amounts(text, setting)
        return amounts or (() if setting == "guarantee" else None)
    if setting in _NUMBERS:
        try:
            return float(text)
        except ValueError:
            raise InvalidInput(f"'{setting}={text}' is not a number", field=setting) from None
    if setting in ("reclaimable", "open"):
        if text.lower() not in _SWITCHES:
            raise InvalidInput(f"'{setting}={text}' is neither yes nor no", field=setting)
        return _SWITCHES[text.lower()]
    return text


def _check_queues(queues: Sequence[Queue], jobs: Sequence[Job]) -> None:
    if not queues:
        return
    known = {queue.id for queue in queues}
    for job in jobs:
        if job.request.queue not in known:
            raise InvalidInput(
                f"jobs wait in queue {job.request.queue!r}, which is not among the queues",
                hint=f"The queues are {', '.join(sorted(known)[:20])}.",
            )


def _faster(trace: Trace, inflate: float) -> tuple[Job, ...]:
    """Jobs arrive in less time: the load is so many times what it was."""
    if inflate == 1.0:
        return trace.jobs
    begin = trace.begin
    return tuple(
        replace(
            job,
            request=replace(
                job.request, submitted_at=begin + (job.request.submitted_at - begin) / inflate
            ),
        )
        for job in trace.jobs
    )
